-- People who may log in. What a role may do is in src/store/users.ts.
create table users (
  id text primary key,
  email text not null unique, -- lower case
  role text not null,
  websites text, -- JSON array of website ids that the person is limited to; null: not limited
  password text, -- Argon2id with its parameters and salt; null until it is chosen
  created_at integer not null, -- Unix ms, as every *_at
  last_login_at integer
) strict;

-- Logins that have not ended. The token is in the browser's cookie alone: 256 random bits need no slow hash.
create table sessions (
  hash blob primary key, -- SHA-256 of the token
  user_id text not null references users (id) on delete cascade,
  created_at integer not null,
  seen_at integer not null, -- written behind, at most an hour late
  expires_at integer not null
) strict, without rowid;

create index sessions_user on sessions (user_id);

-- One-time links with which a person chooses a password. Whoever uses one deletes it.
create table invites (
  hash blob primary key, -- SHA-256 of the token in the link
  purpose text not null, -- setup: makes the first owner; invite and reset: for the user
  user_id text references users (id) on delete cascade, -- null: setup
  created_at integer not null,
  expires_at integer not null
) strict, without rowid;

create index invites_user on invites (user_id);
