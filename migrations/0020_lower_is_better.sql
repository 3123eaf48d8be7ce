-- Events of which fewer are better, such as errors: a JSON array of their names. The changes of all others are neutral.
alter table websites add column lower_is_better text not null default '[]';
