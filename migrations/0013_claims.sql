-- What pages say about people. Anyone can send it with the public website id, so it is marked, and never replaces what a key said.
alter table profiles add column claimed text not null default '[]'; -- JSON array of the traits that only a page said
alter table profile_links add column claimed integer not null default 0; -- 1: only a page said so

-- 0: pages cannot identify visitors.
alter table websites add column page_identify integer not null default 1;
