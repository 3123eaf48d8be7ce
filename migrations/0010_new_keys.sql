-- An estimate of the memory that it takes to make a block again, in bytes. Null: made before it was noted.
alter table blocks add column bytes integer;

-- Property keys that events of a website brought into event_types: see src/store/property-keys.ts.
create table property_keys (
  website_rid integer not null,
  hash integer not null, -- xxHash32 of the key
  day integer not null, -- of receipt, days since 1970-01-01, UTC
  primary key (website_rid, hash)
) strict, without rowid;

create index property_keys_day on property_keys (website_rid, day);
