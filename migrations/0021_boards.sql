-- Boards of the dashboard. website_rid as in views: websites.rid, 0: events without a website, null: all websites.
create table boards (
  id text primary key,
  website_rid integer,
  name text not null,
  tiles text not null, -- JSON array; a tile of a board for all websites can have the id of a website
  revision integer not null, -- counts changes, so that nobody overwrites a change that they have not seen
  created_at integer not null, -- Unix ms, as every *_at
  updated_at integer not null
) strict;

create index boards_website on boards (website_rid);

-- The boards of a website are deleted with it, and its tiles on the boards for all websites.
create trigger boards_website_deleted after update of deleted_at on websites when new.deleted_at is not null begin
  delete from boards where website_rid = new.rid;
  update boards
  set
    revision = revision + 1,
    tiles = (
      -- Not an aggregate with `order by`, which the sqlite3 of Debian 12 (3.40) cannot read: then it could not open the file.
      select json_group_array(json(value))
      from (select value from json_each(boards.tiles) where value ->> '$.websiteId' is not new.id order by key)
    )
  where
    website_rid is null
    and exists (select 1 from json_each(boards.tiles) where value ->> '$.websiteId' = new.id);
end;
