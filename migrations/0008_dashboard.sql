-- What people keep beside events, for charts and links. In notes and views, website_rid is websites.rid, 0: the owner's own events,
-- null: whatever there is, together.
create table notes (
  id text primary key,
  website_rid integer,
  date text not null, -- 2026-11-24, a day of whatever zone a chart is in
  text text not null,
  created_at integer not null -- Unix ms, as every *_at
) strict;

create index notes_website on notes (website_rid, date);

create table views (
  id text primary key,
  website_rid integer,
  kind text not null,
  name text not null,
  path text not null, -- page and query in the address bar, behind the website
  created_at integer not null
) strict;

create index views_website on views (website_rid, kind);

-- Links with which anybody may look at one website. The token is in the link alone: 256 random bits need no slow hash.
create table shares (
  id text primary key,
  website_rid integer not null, -- websites.rid
  name text not null,
  path text not null, -- where the link leads to, as in views
  hash blob not null unique, -- SHA-256 of the token
  created_at integer not null,
  expires_at integer, -- null: never
  last_used_at integer -- written behind, at most a minute late
) strict;

create index shares_website on shares (website_rid);

-- Whoever deletes a website, by whatever program: its notes and views go with it, and its links end.
create trigger websites_gone after update of deleted_at on websites when new.deleted_at is not null begin
  delete from notes where website_rid = new.rid;
  delete from views where website_rid = new.rid;
  delete from shares where website_rid = new.rid;
end;

-- The one who was heard of last comes first in a list; and whose an anonymous id is, is asked both ways.
create index profiles_updated on profiles (website_rid, updated_at desc);
create index profile_links_profile on profile_links (website_rid, profile_id);
