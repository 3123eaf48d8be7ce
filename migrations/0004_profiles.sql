-- Identified users of a website, as POST /identify tells them.
create table profiles (
  website_rid integer not null,
  profile_id text not null,
  email text, -- lower case; these three are copies of traits, to search by
  name text,
  username text,
  traits text not null, -- JSON object of scalars
  created_at integer not null,
  updated_at integer not null,
  primary key (website_rid, profile_id)
) strict, without rowid;

-- Which anonymous ids were seen to be whom. One anonymous id can be several people on a shared device.
create table profile_links (
  website_rid integer not null,
  anonymous_id text not null,
  profile_id text not null,
  linked_at integer not null,
  primary key (website_rid, anonymous_id, profile_id)
) strict, without rowid;

-- Keys of the daily visitor hash; a day's salt is deleted when the day is over.
create table salts (
  day integer primary key, -- days since 1970-01-01, UTC
  salt blob not null
) strict;
