-- Which events of a website happened when: the 10 seconds (ts / 10000) in which it has events, and the groups of 64 consecutive ids
-- (event_rows.id / 64) that hold them. Most have many events, where the index on time had an entry for each. See src/store/event-times.ts.
create table event_times (
  website_rid integer not null, -- event_rows.website_rid
  period integer not null,
  id_group integer not null,
  primary key (website_rid, period, id_group)
) strict, without rowid;

insert into event_times
select distinct website_rid, ts / 10000, id / 64 from event_rows where website_rid >= 0;

drop index event_rows_time;
-- Tombstones: see 0006.
create index event_rows_tombstones on event_rows (id) where website_rid < 0;

create trigger event_rows_times_changed after update of id, website_rid, ts on event_rows begin
  insert or ignore into event_times values (new.website_rid, new.ts / 10000, new.id / 64);
end;

-- The index of event ids took more than half of what an event id takes. An id that is a UUID is unique by half of its bytes now: those that
-- differ most, whatever the version of the UUID. See src/store/packed-ids.ts.
create index event_rows_event_key on event_rows (cast(substr(event_id, 1, 4) || substr(event_id, 13) as blob)) where typeof(event_id) = 'blob';

-- Different UUIDs that are equal in that half, or the same one of two websites: all but one become texts.
create temp table unpacked as
select id from event_rows
where typeof(event_id) = 'blob'
  and cast(substr(event_id, 1, 4) || substr(event_id, 13) as blob) in (
    select cast(substr(event_id, 1, 4) || substr(event_id, 13) as blob) from event_rows
    where typeof(event_id) = 'blob'
    group by 1
    having count(*) > 1
  );
delete from unpacked where id in (
  select min(id) from event_rows
  where id in (select id from unpacked)
  group by cast(substr(event_id, 1, 4) || substr(event_id, 13) as blob)
);
update event_rows
set event_id = lower(
  hex(substr(event_id, 1, 4)) || '-' || hex(substr(event_id, 5, 2)) || '-' || hex(substr(event_id, 7, 2)) || '-'
    || hex(substr(event_id, 9, 2)) || '-' || hex(substr(event_id, 11, 6))
)
where id in (select id from unpacked);
update type_state set unpacked_id = max(unpacked_id, (select coalesce(max(id), 0) from unpacked));
drop table unpacked;

-- Building it again as a unique index would take as long as the first time.
pragma writable_schema = on;
update sqlite_schema
set sql = replace(sql, 'CREATE INDEX event_rows_event_key', 'CREATE UNIQUE INDEX event_rows_event_key')
where type = 'index' and name = 'event_rows_event_key';
pragma writable_schema = reset;

-- All other event ids are compared as a whole.
drop index event_rows_event_id;
create unique index event_rows_event_text on event_rows (website_rid, via_key, event_id) where typeof(event_id) = 'text';
