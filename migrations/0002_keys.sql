-- API keys. The key itself is shown once and kept nowhere: 160 random bits need no slow hash.
create table keys (
  id text primary key,
  name text not null,
  hash blob not null unique, -- SHA-256 of the whole key
  start text not null, -- its first characters, for people to tell keys apart
  scopes text not null, -- JSON array
  websites text, -- JSON array of website ids that it is limited to; null: not limited
  rate_limit integer, -- requests a minute; null: not limited
  created_at integer not null,
  expires_at integer,
  disabled_at integer,
  revoked_at integer,
  last_used_at integer -- written behind, at most some seconds late
) strict;

create trigger keys_inserted after insert on keys begin update registry set version = version + 1; end;
create trigger keys_updated
after update of name, hash, scopes, websites, rate_limit, expires_at, disabled_at, revoked_at on keys
begin update registry set version = version + 1; end;
create trigger keys_deleted after delete on keys begin update registry set version = version + 1; end;
