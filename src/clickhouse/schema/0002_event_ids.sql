-- For several nodes that share the database: see README.md.
-- The event ids of all nodes, because an event that is sent again can arrive at another node. The view fills the table.
create table if not exists event_ids (
  event_id String codec(ZSTD),
  website LowCardinality(String),
  credential LowCardinality(String),
  id UInt64,
  day Date32
)
engine = ReplacingMergeTree()
order by (event_id, website, credential, id)
settings index_granularity = 512, fsync_after_insert = 1, fsync_part_directory = 1;

create materialized view if not exists event_ids_of_events to event_ids as
select assumeNotNull(sent_id) as event_id, website, credential, id, toDate32(ts) as day
from (select event_id as sent_id, website, credential, id, ts from events where isNotNull(event_id));

-- Events that another node has too, with the same event id.
create table if not exists duplicates (
  id UInt64,
  original UInt64 -- the event of a node with a lower number: the one that counts
)
engine = ReplacingMergeTree()
order by (id, original)
settings fsync_after_insert = 1, fsync_part_directory = 1;
