-- New event names that came with a website id as the credential, on the latest day that brought any: see src/store/new-names.ts.
create table new_names (
  website_rid integer primary key,
  day integer not null, -- days since 1970-01-01, UTC
  names integer not null
) strict;

-- Types that may have no event: new ones, and those that lost one. src/store/types.ts looks for their events, and deletes a type that
-- has none.
create table type_checks (
  type_id integer primary key, -- event_types.id
  changes integer not null -- counts what happens to the type: whoever looked for its events trusts the result only if this is the same
) strict;

create table type_state (
  one integer primary key check (one = 1),
  checks integer not null, -- counts checks that began: a cache of type ids is good until the next one
  next_id integer not null -- lowest id of the next type: no id is used twice, so that no cache confuses two types
) strict;

insert into type_state (one, checks, next_id) values (1, 0, 1);
insert into type_checks (type_id, changes) select id, 1 from event_types;

create trigger event_types_inserted after insert on event_types begin
  insert into type_checks (type_id, changes) values (new.id, 1)
  on conflict (type_id) do update set changes = changes + 1;
end;

create trigger event_types_deleted after delete on event_types begin
  delete from type_checks where type_id = old.id;
  update type_state set next_id = max(next_id, old.id + 1);
end;

-- As in 0006, with two differences: the type of a deleted event is checked, and the empty row that keeps the highest id in blocks has
-- no type.
drop trigger event_rows_deleted;
create trigger event_rows_deleted after delete on event_rows begin
  update sealed set deleted = deleted + 1 where old.id > id;
  update blocks set stale = stale + 1
  where website_rid in (old.website_rid, -1 - old.website_rid)
    and day = old.ts / 86400000
    and name = (select name from event_types where id = old.type_id)
    and crawler = old.crawler
    and after_id < old.id
    and last_id >= old.id;
  insert into event_rows (id, website_rid, type_id, ts, delay, via_key, crawler)
  select old.id, -1, 0, 0, 0, 0, 0 from sealed where id = old.id;
  insert into type_checks (type_id, changes) select old.type_id, 1 where old.type_id > 0
  on conflict (type_id) do update set changes = changes + 1;
end;

update event_rows set type_id = 0 where website_rid = -1;

create trigger event_rows_retyped after update of type_id on event_rows when old.type_id > 0 and old.type_id <> new.type_id begin
  insert into type_checks (type_id, changes) values (old.type_id, 1)
  on conflict (type_id) do update set changes = changes + 1;
end;
