-- What the site's policy said of the app of a run. A run of before this table has no
-- decision: it is asked for before any of its messages reaches an app.

-- +goose Up
CREATE TABLE decisions (
    run_id     INTEGER NOT NULL REFERENCES runs (run_id) ON DELETE CASCADE,
    fab_hash   TEXT    NOT NULL,
    -- the fingerprint of the policy: a changed policy decides anew
    policy     TEXT    NOT NULL,
    allowed    INTEGER NOT NULL, -- 0 or 1
    rule       TEXT    NOT NULL, -- the name of the rule that decided
    reason     TEXT    NOT NULL, -- why it may not run; stays at this site
    decided_at INTEGER NOT NULL, -- Unix time in microseconds
    PRIMARY KEY (run_id, fab_hash, policy)
) STRICT, WITHOUT ROWID;
