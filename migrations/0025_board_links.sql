-- Share links that are limited to a board. Their website_rid is that of the board; 0: a board of all websites.
alter table shares add column board_id text; -- boards.id; null: not limited to a board
alter table shares add column created_by text; -- of a link to a board: id of the user or key whose permissions it depends on

create index shares_board on shares (board_id) where board_id is not null;

-- Also for boards that another trigger deletes with their website.
create trigger boards_deleted after delete on boards begin
  delete from shares where board_id = old.id;
end;
