-- Events once more, column by column, so that questions over millions of them need not read rows. All of it can be made
-- anew from event_rows (`databuddy rebuild`). It is written behind the commits, by one who reads a stretch of ids.
create table sealed (
  one integer primary key check (one = 1),
  id integer not null, -- events up to this id are in blocks, later ones in rows alone
  deleted integer not null, -- counts deletions of later ones, for those who are just reading them
  seed integer not null -- of the hashes in identities
) strict;

insert into sealed (one, id, deleted, seed) values (1, 0, 0, random());

-- The events of one website, one UTC day and one name, crawlers' or not, with after_id < id <= last_id.
create table blocks (
  id integer primary key autoincrement,
  website_rid integer not null,
  day integer not null, -- days since 1970-01-01
  name text not null,
  crawler integer not null,
  after_id integer not null,
  last_id integer not null,
  events integer not null,
  quarters blob, -- events in each of the day's 96 quarters of an hour, in 1, 2 or 4 bytes, little endian; null where they are few
  layout text not null, -- JSON: where in the segments each column is
  stale integer not null default 0 -- counts deletions; above 0 the events are read from rows until the block is made anew
) strict;

create index blocks_day on blocks (website_rid, day, name, crawler);
-- What is to be made anew, and what another block has taken the place of: its website_rid is -1 - that of the website, and it stays
-- for a moment for those who are just reading it.
create index blocks_spent on blocks (id) where stale > 0 or website_rid < 0;

-- Bytes of columns. Those of block b have the ids from b * 1024 on.
create table segments (
  id integer primary key,
  data blob not null
) strict;

-- Hashes of 96 bits of anonymous ids (kind 0), session ids (1) and profile ids (2). The n-th one of a row has the number first + n,
-- which stands for the id in the columns. Kinds from 10 on are left of before a rebuild.
create table identities (
  kind integer not null,
  first integer not null,
  hashes blob not null,
  primary key (kind, first)
) strict;

create trigger blocks_stale after update of stale on blocks when old.stale = 0 begin
  delete from segments where id between new.id * 1024 and new.id * 1024 + 1023;
end;

create trigger blocks_deleted after delete on blocks begin
  delete from segments where id between old.id * 1024 and old.id * 1024 + 1023;
end;

-- Whoever deletes an event, by whatever program: no block goes on telling of it. The row with the highest id in blocks
-- leaves an empty one behind, so that SQLite does not give its id to an event to come.
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
  select old.id, -1, old.type_id, 0, 0, 0, 0 from sealed where id = old.id;
end;

create trigger event_rows_updated after update on event_rows begin
  update sealed set deleted = deleted + 1 where old.id > id;
  update blocks set stale = stale + 1
  where website_rid in (old.website_rid, -1 - old.website_rid, new.website_rid, -1 - new.website_rid)
    and day in (old.ts / 86400000, new.ts / 86400000)
    and after_id < old.id
    and last_id >= old.id;
end;
