-- The events that were shipped before the view existed. A migration of its own: see Shipper.
insert into event_ids (event_id, website, credential, id, day)
select assumeNotNull(event_id), website, credential, id, day from events final where isNotNull(event_id);
