-- State of a SuperLink. 64-bit ids are stored as the signed integer of the same bits, times
-- as Unix microseconds (0: never), object ids as their 32 bytes.

-- +goose Up
CREATE TABLE series (
    series_id  INTEGER PRIMARY KEY,
    federation TEXT    NOT NULL,
    context    BLOB    NOT NULL, -- flwr.proto.Context
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE runs (
    run_id          INTEGER PRIMARY KEY,
    series_id       INTEGER NOT NULL REFERENCES series (series_id),
    primary_task_id INTEGER NOT NULL UNIQUE REFERENCES tasks (task_id),
    created_at      INTEGER NOT NULL,
    fab_id          TEXT    NOT NULL,
    fab_version     TEXT    NOT NULL,
    fab_hash        TEXT    NOT NULL,
    verifications   TEXT    NOT NULL, -- JSON object
    override_config BLOB    NOT NULL, -- flwr.proto.StartRunRequest with nothing but override_config
    federation      TEXT    NOT NULL,
    account_id      TEXT    NOT NULL,
    bytes_sent      INTEGER NOT NULL DEFAULT 0,
    bytes_received  INTEGER NOT NULL DEFAULT 0,
    clientapp_time  INTEGER NOT NULL DEFAULT 0, -- microseconds
    objects         INTEGER NOT NULL DEFAULT 0, -- how many rows of run_objects it has
    log_seq         INTEGER NOT NULL DEFAULT 0, -- number of the last log row
    log_bytes       INTEGER NOT NULL DEFAULT 0, -- in all log rows
    log_dropped     INTEGER NOT NULL DEFAULT 0  -- bytes that are gone
) STRICT;
CREATE INDEX runs_created ON runs (created_at, run_id);

CREATE TABLE run_logs (
    run_id INTEGER NOT NULL REFERENCES runs (run_id),
    seq    INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    text   TEXT    NOT NULL,
    bytes  INTEGER NOT NULL,
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_objects (
    run_id    INTEGER NOT NULL REFERENCES runs (run_id),
    object_id BLOB    NOT NULL,
    PRIMARY KEY (run_id, object_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_objects_object ON run_objects (object_id);

CREATE TABLE nodes (
    node_id             INTEGER PRIMARY KEY,
    peer_id             TEXT UNIQUE, -- NULL for a stock SuperNode
    public_key          BLOB UNIQUE, -- PEM
    name                TEXT    NOT NULL,
    location            TEXT    NOT NULL,
    owner_id            TEXT    NOT NULL,
    status              TEXT    NOT NULL, -- registered, online, offline, unregistered
    heartbeat_interval  INTEGER NOT NULL, -- microseconds
    online_until        INTEGER NOT NULL,
    registered_at       INTEGER NOT NULL,
    last_activated_at   INTEGER NOT NULL,
    last_deactivated_at INTEGER NOT NULL,
    unregistered_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX nodes_online ON nodes (online_until) WHERE status = 'online';

CREATE TABLE instructions (
    seq         INTEGER PRIMARY KEY, -- order of arrival
    message_id  TEXT    NOT NULL UNIQUE,
    run_id      INTEGER NOT NULL REFERENCES runs (run_id),
    node_id     INTEGER NOT NULL REFERENCES nodes (node_id), -- destination
    state       TEXT    NOT NULL, -- gathering, waiting, leased, delivered
    lease_until INTEGER NOT NULL, -- 0: no end, or not leased
    replied     INTEGER NOT NULL DEFAULT 0, -- 1: there is a complete reply
    proto       BLOB    NOT NULL, -- flwr.proto.Message
    tree        BLOB    NOT NULL, -- flwr.proto.ObjectTree
    created_at  REAL    NOT NULL, -- Unix seconds, by the sender's clock
    ttl         REAL    NOT NULL, -- seconds
    expires_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX instructions_run ON instructions (run_id);
CREATE INDEX instructions_node ON instructions (node_id, state, seq) WHERE replied = 0;
CREATE INDEX instructions_lease ON instructions (lease_until) WHERE lease_until > 0;
CREATE INDEX instructions_expiry ON instructions (expires_at);
CREATE INDEX instructions_gathering ON instructions (seq) WHERE state = 'gathering';

CREATE TABLE replies (
    instruction INTEGER PRIMARY KEY REFERENCES instructions (seq) ON DELETE CASCADE,
    message_id  TEXT    NOT NULL UNIQUE,
    complete    INTEGER NOT NULL, -- 0: objects are missing
    proto       BLOB    NOT NULL, -- flwr.proto.Message
    tree        BLOB    NOT NULL, -- flwr.proto.ObjectTree
    created_at  REAL    NOT NULL,
    ttl         REAL    NOT NULL,
    expires_at  INTEGER NOT NULL  -- never after the instruction
) STRICT;
CREATE INDEX replies_gathering ON replies (instruction) WHERE complete = 0;

CREATE TABLE members (
    peer_id    TEXT    PRIMARY KEY,
    role       TEXT    NOT NULL, -- node, operator, observer
    name       TEXT    NOT NULL,
    added_at   INTEGER NOT NULL,
    added_by   TEXT    NOT NULL,
    revoked_at INTEGER NOT NULL
) STRICT;

CREATE TABLE join_tokens (
    token_id    TEXT    PRIMARY KEY,
    secret_hash BLOB    NOT NULL, -- SHA-256
    role        TEXT    NOT NULL,
    max_uses    INTEGER NOT NULL, -- 0: no limit
    uses        INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    revoked_at  INTEGER NOT NULL
) STRICT;
