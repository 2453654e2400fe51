-- The states of a message use the same words as those of the SuperLink:
-- gathering, waiting, leased, answered, confirmed.

-- +goose Up
UPDATE messages SET state = CASE state
    WHEN 'offered' THEN 'gathering'
    WHEN 'queued'  THEN 'waiting'
    WHEN 'working' THEN 'leased'
    WHEN 'done'    THEN 'confirmed'
    ELSE state END;
