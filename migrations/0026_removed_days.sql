-- Events that were removed from this file, because a ClickHouse cluster has them: see src/clickhouse/README.md.
create table removed_days (
  website_rid integer not null, -- event_rows.website_rid
  day integer not null, -- days since 1970-01-01, UTC
  events integer not null, -- number of these events that are not deleted
  hash text not null, -- sum of their hashes modulo 2^64, decimal
  last_id integer not null, -- highest id of an event that was removed
  missing integer not null default 0, -- events that the cluster did not have when it was compared after a restore
  expired integer not null default 0, -- 1: retention or the deletion of the website is to delete them in the cluster
  primary key (website_rid, day)
) strict, without rowid;

-- Their event ids, as in event_rows: an event that is sent again is a duplicate.
create table removed_event_ids (
  website_rid integer not null,
  via_key integer not null,
  event_id any not null,
  primary key (website_rid, via_key, event_id)
) strict, without rowid;

-- 1 during a transaction that removes events from the file, which the cluster keeps.
alter table shipping add column removing integer not null default 0;

drop trigger event_rows_deletions_shipped;
create trigger event_rows_deletions_shipped after delete on event_rows
when old.website_rid >= 0 and exists (select 1 from shipping where removing = 0) begin
  insert or ignore into shipping_deletions (id) values (old.id);
end;
