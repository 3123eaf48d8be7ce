-- Identifies the websites, keys and users of this file. A copy has the values of the registry that it copies.
create table registry_identity (
  one integer primary key check (one = 1),
  id text not null,
  revision integer not null, -- grows with each change
  left_revision integer -- the revision at which a copy became the file's own; null: it never was a copy
) strict;

insert into registry_identity (one, id, revision) values (1, lower(hex(randomblob(16))), 1);

-- The server from which this file copies its websites, keys and users: see src/registry/README.md. No row: they are its own.
create table registry_source (
  one integer primary key check (one = 1),
  url text not null,
  etag text not null default '', -- of the copy; '': nothing was copied yet
  copied_at integer not null default 0, -- Unix ms: the copy was equal then
  copying integer not null default 0, -- 1 during a transaction that copies
  accepts_any integer not null default 1, -- 1: the next copy can be of another registry, or of an older revision
  problem text not null default '' -- why the last answer was not accepted; '': it was
) strict;

-- Deleted websites, also after their events and rows are gone. A copy deletes a website only if it is listed here.
create table deleted_websites (
  rid integer primary key,
  id text not null,
  deleted_at integer not null
) strict;

insert into deleted_websites (rid, id, deleted_at)
select rid, id, deleted_at from websites where deleted_at is not null;

create trigger websites_deleted_at after update of deleted_at on websites when new.deleted_at is not null begin
  insert into deleted_websites (rid, id, deleted_at) values (new.rid, new.id, new.deleted_at) on conflict do nothing;
end;

-- `registry` counts changes of websites and keys. The revision of a copy is that of the other server.
create trigger registry_revised after update on registry when not exists (select 1 from registry_source) begin
  update registry_identity set revision = revision + 1;
end;
create trigger users_inserted_revision after insert on users when not exists (select 1 from registry_source) begin
  update registry_identity set revision = revision + 1;
end;
create trigger users_updated_revision
after update of id, email, role, websites, sections, password, created_at on users
when not exists (select 1 from registry_source) begin
  update registry_identity set revision = revision + 1;
end;
create trigger users_deleted_revision after delete on users when not exists (select 1 from registry_source) begin
  update registry_identity set revision = revision + 1;
end;

-- Copies are read-only for all programs. The message is a code: see src/store/registry-copy.ts.
create trigger websites_copied_insert before insert on websites
when exists (select 1 from registry_source where copying = 0) begin select raise(abort, 'registry_read_only'); end;
create trigger websites_copied_update before update on websites
when exists (select 1 from registry_source where copying = 0) begin select raise(abort, 'registry_read_only'); end;
-- Once its events are deleted, the row of a deleted website goes too.
create trigger websites_copied_delete before delete on websites
when old.deleted_at is null and exists (select 1 from registry_source where copying = 0) begin
  select raise(abort, 'registry_read_only');
end;

create trigger keys_copied_insert before insert on keys
when exists (select 1 from registry_source where copying = 0) begin select raise(abort, 'registry_read_only'); end;
create trigger keys_copied_update
before update of
  id, name, hash, start, scopes, websites, rate_limit, created_at, expires_at, disabled_at, revoked_at, previous_hash,
  previous_start, previous_expires_at
on keys
when exists (select 1 from registry_source where copying = 0) begin select raise(abort, 'registry_read_only'); end;
create trigger keys_copied_delete before delete on keys
when exists (select 1 from registry_source where copying = 0) begin select raise(abort, 'registry_read_only'); end;

create trigger users_copied_insert before insert on users
when exists (select 1 from registry_source where copying = 0) begin select raise(abort, 'registry_read_only'); end;
create trigger users_copied_update before update of id, email, role, websites, sections, password, created_at on users
when exists (select 1 from registry_source where copying = 0) begin select raise(abort, 'registry_read_only'); end;
create trigger users_copied_delete before delete on users
when exists (select 1 from registry_source where copying = 0) begin select raise(abort, 'registry_read_only'); end;
