-- When an object was last registered for its run, so that the oldest of those that no message
-- needs any more can be released before the run ends.

-- +goose Up
ALTER TABLE run_objects ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
