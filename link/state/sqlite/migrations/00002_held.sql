-- An object that a run has registered counts for it only once the run was given the bytes;
-- that another run has them does not make it a holder. What older links registered, they
-- gave out: it stays held.

-- +goose Up
ALTER TABLE run_objects ADD COLUMN held INTEGER NOT NULL DEFAULT 1;
