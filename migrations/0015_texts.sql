-- Texts that many events share: ids that are UUIDs, paths and properties. Event rows hold the id of a text instead of the text. Ids are
-- never reused, so that no cache confuses two texts. See src/store/texts.ts.
create table texts (
  id integer primary key,
  value any not null -- text; blob: the 16 bytes of a UUID, and for a text that begins with anon_ or sess_ a byte 1 or 2
) strict;

-- UUIDs are not looked up: their sessions end soon, and an index would take as much as the values.
create unique index texts_text on texts (value) where typeof(value) = 'text';

create view text_values as
select
  id,
  iif(
    typeof(value) = 'text',
    value,
    case hex(substr(value, 17)) when '01' then 'anon_' when '02' then 'sess_' else '' end
      || lower(
        hex(substr(value, 1, 4)) || '-' || hex(substr(value, 5, 2)) || '-' || hex(substr(value, 7, 2)) || '-'
          || hex(substr(value, 9, 2)) || '-' || hex(substr(value, 11, 6))
      )
  ) as text
from texts;

-- As type_checks: texts that can be without events. src/store/unused-event-types.ts deletes those that have none.
create table text_checks (
  id integer primary key, -- texts.id
  changes integer not null
) strict;

alter table type_state add column next_text_id integer not null default 1; -- lowest id of the next text

create trigger texts_deleted after delete on texts begin
  delete from text_checks where id = old.id;
  update type_state set next_text_id = max(next_text_id, old.id + 1);
end;

-- In event_rows, four columns hold a text, or an integer: texts.id. event_id holds a text, or a blob: the bytes of a UUID. A column of type
-- any stores what a column of type text does, byte for byte, so no row changes.
pragma writable_schema = on;
update sqlite_schema
set sql = replace(replace(replace(replace(replace(sql,
  '  anonymous_id text,', '  anonymous_id any,'),
  '  session_id text,', '  session_id any,'),
  '  path text,', '  path any,'),
  '  event_id text,', '  event_id any,'),
  '  properties text ', '  properties any ')
where type = 'table' and name = 'event_rows';
pragma writable_schema = reset;

-- The last event before this migration: event ids up to here are texts, even if they are UUIDs.
alter table type_state add column unpacked_id integer not null default 0;
update type_state set unpacked_id = (select coalesce(max(id), 0) from event_rows);

create trigger event_rows_texts_removed after delete on event_rows begin
  insert into text_checks (id, changes)
  select id, 1 from (
    select old.anonymous_id as id union all select old.session_id union all select old.path union all select old.properties
  )
  where typeof(id) = 'integer'
  on conflict (id) do update set changes = changes + 1;
end;

create trigger event_rows_texts_changed after update of anonymous_id, session_id, path, properties on event_rows begin
  insert into text_checks (id, changes)
  select id, 1 from (
    select old.anonymous_id as id union all select old.session_id union all select old.path union all select old.properties
  )
  where typeof(id) = 'integer'
  on conflict (id) do update set changes = changes + 1;
end;

-- Segments of blocks can be compressed. Null: not compressed; otherwise `data` is zstd of this many bytes.
alter table segments add column size integer;

-- As in 0012, with the texts.
drop view events;
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
  iif(typeof(e.anonymous_id) = 'integer', (select text from text_values where id = e.anonymous_id), e.anonymous_id) as anonymous_id,
  iif(typeof(e.session_id) = 'integer', (select text from text_values where id = e.session_id), e.session_id) as session_id,
  e.profile_id,
  iif(typeof(e.path) = 'integer', (select text from text_values where id = e.path), e.path) as path,
  iif(
    typeof(e.event_id) = 'blob',
    lower(
      hex(substr(e.event_id, 1, 4)) || '-' || hex(substr(e.event_id, 5, 2)) || '-' || hex(substr(e.event_id, 7, 2)) || '-'
        || hex(substr(e.event_id, 9, 2)) || '-' || hex(substr(e.event_id, 11, 6))
    ),
    e.event_id
  ) as event_id,
  case e.via_key when 1 then 'key' else 'website_id' end as credential,
  e.crawler,
  case
    when t.keys = '' then iif(typeof(e.properties) = 'integer', p.value, e.properties)
    else (
      select json_group_object(k.value, ('[' || iif(typeof(e.properties) = 'integer', p.value, e.properties) || ']') -> k.key)
      from json_each(t.keys) as k
    )
  end as properties,
  case t.kind
    when 0 then 'custom'
    when 1 then 'page_view'
    when 2 then 'page_exit'
    when 3 then 'outgoing_link'
    when 4 then 'web_vital'
    when 5 then 'error'
    when 6 then 'engagement'
    when 7 then 'ai_visit'
  end as kind,
  nullif(c.browser_name, '') as browser_name,
  nullif(c.browser_version, '') as browser_version,
  nullif(c.os_name, '') as os_name,
  nullif(c.device_type, '') as device_type,
  nullif(c.country, '') as country,
  nullif(c.region, '') as region,
  nullif(c.city, '') as city,
  nullif(c.language, '') as language,
  nullif(c.timezone, '') as timezone,
  nullif(c.screen_resolution, '') as screen_resolution,
  nullif(a.referrer, '') as referrer,
  nullif(a.referrer_domain, '') as referrer_domain,
  nullif(a.referrer_type, '') as referrer_type,
  nullif(a.utm_source, '') as utm_source,
  nullif(a.utm_medium, '') as utm_medium,
  nullif(a.utm_campaign, '') as utm_campaign,
  nullif(a.utm_term, '') as utm_term,
  nullif(a.utm_content, '') as utm_content
from event_rows as e
join event_types as t on t.id = e.type_id
left join client_contexts as c on c.id = e.client_id
left join acquisition_contexts as a on a.id = e.acquisition_id
left join texts as p on p.id = iif(typeof(e.properties) = 'integer', e.properties, null)
left join websites as w on w.rid = e.website_rid
where e.website_rid = 0 or (w.rid is not null and w.deleted_at is null);
