-- An object of a reply counts for it only once the ClientApp has pushed it, or if its run
-- has it already: that another run on this node has it is none of its business. What was
-- pushed before stays held.

-- +goose Up
ALTER TABLE message_objects ADD COLUMN held INTEGER NOT NULL DEFAULT 1;
