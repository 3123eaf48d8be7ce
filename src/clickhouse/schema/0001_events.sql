-- One row an event, as it is stored in SQLite. A row that was sent twice has the same sorting key: merges and `final` leave one.
create table if not exists events (
  id UInt64 codec(Delta, ZSTD), -- as in the view `events` of the SQLite file; ids of further writers will have a node number in the high bits
  website LowCardinality(String), -- id of the website; '': none
  kind LowCardinality(String),
  name LowCardinality(String),
  namespace LowCardinality(String), -- '' where the event had none, as for source
  source LowCardinality(String),
  ts DateTime64(3, 'UTC') codec(Delta, ZSTD), -- when it happened
  received_at DateTime64(3, 'UTC') codec(Delta, ZSTD),
  day Date32 materialized toDate32(ts),
  anonymous_id Nullable(String) codec(ZSTD),
  session_id Nullable(String) codec(ZSTD),
  profile_id Nullable(String) codec(ZSTD),
  path Nullable(String) codec(ZSTD),
  event_id Nullable(String) codec(ZSTD),
  credential LowCardinality(String), -- key or website_id
  crawler Bool,
  properties Nullable(String) codec(ZSTD), -- JSON text of an object
  -- Where the page ran, and where its visitor came from. '': unknown.
  browser_name LowCardinality(String),
  browser_version LowCardinality(String),
  os_name LowCardinality(String),
  device_type LowCardinality(String),
  country LowCardinality(String),
  region LowCardinality(String),
  city LowCardinality(String),
  language LowCardinality(String),
  timezone LowCardinality(String),
  screen_resolution LowCardinality(String),
  referrer String codec(ZSTD),
  referrer_domain LowCardinality(String),
  referrer_type LowCardinality(String),
  utm_source LowCardinality(String),
  utm_medium LowCardinality(String),
  utm_campaign LowCardinality(String),
  utm_term LowCardinality(String),
  utm_content LowCardinality(String),
  index id_range id type minmax granularity 1 -- ids follow the time of receipt, and so the days of the sorting key
)
engine = ReplacingMergeTree()
partition by toYYYYMM(day)
order by (website, name, day, ts, id)
settings fsync_after_insert = 1, fsync_part_directory = 1;

-- What each SQLite file has shipped. The row with the highest sequence counts.
create table if not exists writers (
  writer String,
  sequence UInt64,
  shipped_id UInt64, -- all events up to this id are in the table of events
  shipped_at DateTime64(3, 'UTC')
)
engine = ReplacingMergeTree(sequence)
order by writer
settings fsync_after_insert = 1, fsync_part_directory = 1;

-- The websites of each SQLite file, as lines of an export, so that the events can be brought back into an empty file.
create table if not exists websites (
  writer String,
  sequence UInt64,
  lines Array(String) -- JSON
)
engine = ReplacingMergeTree(sequence)
order by writer
settings fsync_after_insert = 1, fsync_part_directory = 1;
