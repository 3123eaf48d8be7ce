-- Websites that events belong to. `rid` is the small number that event rows carry; `id` is what people and pages use.
-- rid 0 is never used here: in event rows it means "no website, the owner's own event". No rid is used twice, so that an
-- event that was under way when its website was deleted can never turn up under another one.
create table websites (
  rid integer primary key autoincrement check (rid > 0),
  id text not null,
  domain text not null,
  name text not null,
  allowed_origins text not null default '[]', -- JSON array of hosts beside the domain and its subdomains
  anonymize text not null default 'off' check (anonymize in ('off', 'daily')),
  created_at integer not null, -- Unix ms, as every *_at
  paused_at integer,
  deleted_at integer -- set at once; the rows of its events go in small batches behind it, then this row
) strict;

create unique index websites_id on websites (id) where deleted_at is null;

-- Counts every change to websites and keys. A running server polls this one number to notice what the command line did.
create table registry (
  one integer primary key check (one = 1),
  version integer not null
) strict;

insert into registry (one, version) values (1, 1);

create trigger websites_inserted after insert on websites begin update registry set version = version + 1; end;
create trigger websites_updated after update on websites begin update registry set version = version + 1; end;
create trigger websites_deleted after delete on websites begin update registry set version = version + 1; end;
