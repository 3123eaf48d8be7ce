-- A block holds all events of one website and UTC day with after_id < id <= last_id, sorted by name: one column of a day is one read, where
-- blocks of one name each took forty. Those blocks stay until they are merged.
alter table blocks add column slices text; -- JSON: [name, crawler (0 or 1), events] in the order of the columns; null: one slice, of `name` and `crawler`

drop index blocks_day;
create index blocks_day on blocks (website_rid, day, after_id);

-- As in 0009, but for the blocks that become stale.
drop trigger event_rows_deleted;
create trigger event_rows_deleted after delete on event_rows begin
  update sealed set deleted = deleted + 1 where old.id > id;
  update blocks set stale = stale + 1
  where website_rid in (old.website_rid, -1 - old.website_rid)
    and day = old.ts / 86400000
    and after_id < old.id
    and last_id >= old.id
    and (slices is not null or name = (select name from event_types where id = old.type_id) and crawler = old.crawler);
  insert into event_rows (id, website_rid, type_id, ts, delay, via_key, crawler)
  select old.id, -1, 0, 0, 0, 0, 0 from sealed where id = old.id;
  insert into type_checks (type_id, changes) select old.type_id, 1 where old.type_id > 0
  on conflict (type_id) do update set changes = changes + 1;
end;
