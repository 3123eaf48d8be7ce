-- What an event records: an index into src/event-kinds.ts. Existing types are custom. Part of the type, so that it costs nothing per row.
alter table event_types add column kind integer not null default 0;

drop index event_types_all;
create unique index event_types_all on event_types (name, namespace, source, keys, kind);

-- Where a page ran, shared by the events of the same browser, place and language. '': unknown. Ids are never reused, so that no cache
-- confuses two contexts.
create table client_contexts (
  id integer primary key autoincrement,
  browser_name text not null,
  browser_version text not null,
  os_name text not null,
  device_type text not null,
  country text not null,
  region text not null,
  city text not null,
  language text not null,
  timezone text not null,
  screen_resolution text not null
) strict;

create unique index client_contexts_all on client_contexts (
  timezone, screen_resolution, browser_version, city, language, region, os_name, browser_name, country, device_type
);

-- Where a visitor came from. '': unknown.
create table acquisition_contexts (
  id integer primary key autoincrement,
  referrer text not null,
  referrer_domain text not null,
  referrer_type text not null,
  utm_source text not null,
  utm_medium text not null,
  utm_campaign text not null,
  utm_term text not null,
  utm_content text not null
) strict;

create unique index acquisition_contexts_all on acquisition_contexts (
  referrer, utm_campaign, utm_source, utm_content, utm_term, utm_medium, referrer_domain, referrer_type
);

alter table event_rows add column client_id integer; -- client_contexts.id; null: none
alter table event_rows add column acquisition_id integer; -- acquisition_contexts.id; null: none

-- As type_checks: contexts that can be without events. src/store/unused-event-types.ts deletes those that have none.
create table client_context_checks (
  id integer primary key, -- client_contexts.id
  changes integer not null
) strict;

create table acquisition_context_checks (
  id integer primary key, -- acquisition_contexts.id
  changes integer not null
) strict;

create trigger client_contexts_inserted after insert on client_contexts begin
  insert into client_context_checks (id, changes) values (new.id, 1)
  on conflict (id) do update set changes = changes + 1;
end;

create trigger client_contexts_deleted after delete on client_contexts begin
  delete from client_context_checks where id = old.id;
end;

create trigger acquisition_contexts_inserted after insert on acquisition_contexts begin
  insert into acquisition_context_checks (id, changes) values (new.id, 1)
  on conflict (id) do update set changes = changes + 1;
end;

create trigger acquisition_contexts_deleted after delete on acquisition_contexts begin
  delete from acquisition_context_checks where id = old.id;
end;

create trigger event_rows_client_removed after delete on event_rows when old.client_id is not null begin
  insert into client_context_checks (id, changes) values (old.client_id, 1)
  on conflict (id) do update set changes = changes + 1;
end;

create trigger event_rows_acquisition_removed after delete on event_rows when old.acquisition_id is not null begin
  insert into acquisition_context_checks (id, changes) values (old.acquisition_id, 1)
  on conflict (id) do update set changes = changes + 1;
end;

create trigger event_rows_client_changed after update of client_id on event_rows
when old.client_id is not null and old.client_id is not new.client_id begin
  insert into client_context_checks (id, changes) values (old.client_id, 1)
  on conflict (id) do update set changes = changes + 1;
end;

create trigger event_rows_acquisition_changed after update of acquisition_id on event_rows
when old.acquisition_id is not null and old.acquisition_id is not new.acquisition_id begin
  insert into acquisition_context_checks (id, changes) values (old.acquisition_id, 1)
  on conflict (id) do update set changes = changes + 1;
end;

-- As in 0003, and the kind and the contexts.
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
left join websites as w on w.rid = e.website_rid
where e.website_rid = 0 or (w.rid is not null and w.deleted_at is null);
