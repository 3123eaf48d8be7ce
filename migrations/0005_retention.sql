-- ms that a website's events are kept; 0: for ever; null: as the server's --retain says.
alter table websites add column retain_ms integer check (retain_ms >= 0);
