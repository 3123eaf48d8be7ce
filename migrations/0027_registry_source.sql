-- The server from which this file copies its websites, keys and users: see src/registry/README.md. No row: they are its own.
create table registry_source (
  one integer primary key check (one = 1),
  url text not null,
  etag text not null default '', -- of the copy; '': nothing was copied yet
  copied_at integer not null default 0, -- Unix ms: the copy was equal then
  copying integer not null default 0 -- 1 during a transaction that copies
) strict;

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
