-- Tasks of a SuperLink or a SuperNode. 64-bit ids are stored as the signed integer of the
-- same bits, times as Unix microseconds (0: not reached).

-- +goose Up
CREATE TABLE tasks (
    task_id      INTEGER PRIMARY KEY,
    run_id       INTEGER NOT NULL,
    type         TEXT    NOT NULL,
    fab_hash     TEXT    NOT NULL,
    message_id   TEXT    NOT NULL, -- empty on a SuperLink
    status       TEXT    NOT NULL, -- pending, starting, running, finished
    sub_status   TEXT    NOT NULL, -- completed, failed, stopped; empty before the end
    details      TEXT    NOT NULL,
    pending_at   INTEGER NOT NULL,
    starting_at  INTEGER NOT NULL,
    running_at   INTEGER NOT NULL,
    finished_at  INTEGER NOT NULL,
    active_until INTEGER NOT NULL, -- 0 unless starting or running
    token_hash   BLOB              -- SHA-256; NULL unless starting or running
) STRICT;
CREATE INDEX tasks_pending ON tasks (type, pending_at) WHERE status = 'pending';
CREATE INDEX tasks_active ON tasks (active_until) WHERE active_until > 0;
CREATE UNIQUE INDEX tasks_token ON tasks (token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX tasks_run ON tasks (run_id);
CREATE INDEX tasks_message ON tasks (message_id) WHERE message_id <> '';
