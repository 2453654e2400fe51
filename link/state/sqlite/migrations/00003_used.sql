-- When an object was last registered for its run, so that of those that no message needs
-- any more the oldest can be let go before the run ends.

-- +goose Up
ALTER TABLE run_objects ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
