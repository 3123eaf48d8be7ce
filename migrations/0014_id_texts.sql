-- The texts of anonymous ids and profile ids, so that a search need not read rows: zstd of the lengths in bytes (2 bytes each, little
-- endian) and the texts (UTF-8), in the order of the hashes. Null: not stored yet, and always for session ids. An id that no event has
-- any more has a hash of zeros and an empty text.
alter table identities add column texts blob;

create index identities_without_texts on identities (kind, first) where texts is null and kind in (0, 2);

-- Counts rebuilds. The numbers of ids before one mean nothing after it.
alter table sealed add column rebuilds integer not null default 0;
