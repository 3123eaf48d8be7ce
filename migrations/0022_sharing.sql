-- Limits of share links and viewers (src/sections.ts), embedding, and secrets that work for a while after a rotation.
alter table shares add column page text; -- the only page that the link opens, such as web; null: all reports
alter table shares add column embed_hosts text not null default '[]'; -- JSON array of origins whose pages can embed it
alter table shares add column previous_hash blob; -- SHA-256 of the token before the last rotation; null: none
alter table shares add column previous_expires_at integer; -- Unix ms, as every *_at: until then, that token works too

create index shares_previous on shares (previous_hash) where previous_hash is not null;

alter table users add column sections text; -- JSON array of the sections that a viewer is limited to; null: not limited

alter table keys add column previous_hash blob; -- SHA-256 of the secret before the last rotation; null: none
alter table keys add column previous_start text; -- its first characters
alter table keys add column previous_expires_at integer; -- until then, that secret works too

drop trigger keys_updated;
create trigger keys_updated
after update of
  name, hash, scopes, websites, rate_limit, expires_at, disabled_at, revoked_at, previous_hash, previous_expires_at
on keys
begin update registry set version = version + 1; end;
