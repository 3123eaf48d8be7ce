-- What a ClickHouse cluster has of the events: see src/clickhouse/README.md. No row: none was ever shipped.
create table shipping (
  one integer primary key check (one = 1),
  writer text not null, -- random; the cluster's rows about this database have it
  sending_id integer not null, -- no event with a higher id was ever sent
  shipped_id integer not null, -- the watermark: the cluster acknowledged all events up to this id
  shipped_at integer, -- time of the last acknowledgment, Unix ms
  must_compare integer not null default 0 -- 1: the cluster can differ below the watermark, and is compared and repaired
) strict;

-- Ids of deleted events that are still to be deleted in the cluster.
create table shipping_deletions (
  id integer primary key -- event_rows.id
) strict;

create trigger event_rows_deletions_shipped after delete on event_rows
when old.website_rid >= 0 and exists (select 1 from shipping) begin
  insert or ignore into shipping_deletions (id) values (old.id);
end;

-- As in 0011, and an empty row for the highest id if events are shipped: in the cluster, an event to come must not meet a deleted one
-- with its id.
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
  select old.id, -1, 0, 0, 0, 0, 0 from sealed
  where id = old.id
    or (exists (select 1 from shipping) and not exists (select 1 from event_rows as later where later.id > old.id));
  insert into type_checks (type_id, changes) select old.type_id, 1 where old.type_id > 0
  on conflict (type_id) do update set changes = changes + 1;
end;
