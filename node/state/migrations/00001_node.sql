-- State of a SuperNode. Ids of 64 bits are stored as the signed integer of the same bits.

-- +goose Up
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- One counter for everything that is ordered by when it happened; wall clocks may jump.
CREATE TABLE clock (
    turn INTEGER NOT NULL
) STRICT;
INSERT INTO clock VALUES (0);

CREATE TABLE runs (
    run_id        INTEGER PRIMARY KEY,
    series_id     INTEGER NOT NULL,
    fab_hash      TEXT    NOT NULL,
    -- flwr.proto.Run of the newest offer; NULL while the run is only announced
    proto         BLOB,
    -- JSON object: what a hub attests about the bundle
    verifications TEXT    NOT NULL DEFAULT '{}',
    -- flwr.proto.Context with nothing but the fused run_config; NULL until the bundle was read
    config        BLOB,
    -- the turn in which the run was last given a slot: the smallest comes next
    served        INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX runs_fab ON runs (fab_hash);

CREATE TABLE contexts (
    series_id INTEGER PRIMARY KEY,
    -- the run whose ClientApp left it
    run_id    INTEGER NOT NULL,
    -- flwr.proto.Context
    context   BLOB    NOT NULL,
    -- the turn in which it was stored: the smallest is forgotten first
    used      INTEGER NOT NULL
) STRICT;

CREATE TABLE messages (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT    NOT NULL UNIQUE,
    run_id     INTEGER NOT NULL REFERENCES runs (run_id),
    -- offered, queued, working, answered, done
    state      TEXT    NOT NULL,
    proto      BLOB    NOT NULL, -- flwr.proto.Message
    tree       BLOB    NOT NULL, -- flwr.proto.ObjectTree
    attempts   INTEGER NOT NULL DEFAULT 0,
    -- the turn in which it was answered; NULL before
    answer_seq INTEGER
) STRICT;
CREATE INDEX messages_state ON messages (state, run_id, seq);
CREATE INDEX messages_run ON messages (run_id, seq);
CREATE INDEX messages_answer ON messages (answer_seq);

CREATE TABLE replies (
    message_id TEXT    PRIMARY KEY REFERENCES messages (message_id) ON DELETE CASCADE,
    reply_id   TEXT    NOT NULL,
    proto      BLOB    NOT NULL, -- flwr.proto.Message
    tree       BLOB    NOT NULL, -- flwr.proto.ObjectTree
    seconds    REAL    NOT NULL, -- run time of the ClientApp
    -- 0: pushed by an app that has not ended its task; 1: the answer, for ever
    final      INTEGER NOT NULL
) STRICT;

CREATE TABLE message_objects (
    message_id TEXT    NOT NULL REFERENCES messages (message_id) ON DELETE CASCADE,
    object_id  TEXT    NOT NULL,
    -- 0: of the instruction; 1: of its reply
    reply      INTEGER NOT NULL,
    PRIMARY KEY (message_id, object_id, reply)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_objects_object ON message_objects (object_id);

-- Objects that lost a reference: to be removed if nothing else refers to them.
CREATE TABLE garbage (
    object_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
