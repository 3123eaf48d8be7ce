-- What events have in common, stored once: the name, namespace and source, and the property keys in their order.
create table event_types (
  id integer primary key,
  name text not null,
  namespace text not null, -- '' where the event had none, as for source
  source text not null,
  keys text not null -- JSON array of property keys; '' where the row holds its properties as they are
) strict;

create unique index event_types_all on event_types (name, namespace, source, keys);

-- One row an event, in the order of receipt. Visitors and sessions stand here as text: looking them up in a dictionary
-- costs a commit more than it saves on disk, and what reports need of them is built behind the commit.
create table event_rows (
  id integer primary key,
  website_rid integer not null, -- websites.rid, or 0: the owner's own event
  type_id integer not null, -- event_types.id
  ts integer not null, -- when it happened, Unix ms
  delay integer not null, -- ms from ts to receipt; below 0 where the client's clock was ahead
  anonymous_id text,
  session_id text,
  profile_id text,
  path text,
  via_key integer not null, -- 1: sent with an API key, 0: with a website id
  crawler integer not null, -- 1: a known crawler or AI agent sent it
  event_id text,
  properties text -- JSON values in the order of event_types.keys, with no brackets around them; an object where keys is ''
) strict;

create index event_rows_time on event_rows (website_rid, ts);
create unique index event_rows_event_id on event_rows (website_rid, via_key, event_id) where event_id is not null;

-- The plain table that people read. Events of a deleted website are gone from it at once.
create view events as
select
  e.id,
  w.id as website_id,
  t.name,
  nullif(t.namespace, '') as namespace,
  nullif(t.source, '') as source,
  e.ts as timestamp,
  strftime('%Y-%m-%dT%H:%M:%fZ', e.ts / 1000.0, 'unixepoch') as time,
  e.ts + e.delay as received_at,
  e.anonymous_id,
  e.session_id,
  e.profile_id,
  e.path,
  e.event_id,
  case e.via_key when 1 then 'key' else 'website_id' end as credential,
  e.crawler,
  case
    when t.keys = '' then e.properties
    else (select json_group_object(k.value, ('[' || e.properties || ']') -> k.key) from json_each(t.keys) as k)
  end as properties
from event_rows as e
join event_types as t on t.id = e.type_id
left join websites as w on w.rid = e.website_rid
where e.website_rid = 0 or (w.rid is not null and w.deleted_at is null);
