-- An object that a run has registered counts for it only once the run was given the bytes; that
-- another run has them does not make it a holder. Older links gave out whatever was registered,
-- so that stays held.

-- +goose Up
ALTER TABLE run_objects ADD COLUMN held INTEGER NOT NULL DEFAULT 1;
