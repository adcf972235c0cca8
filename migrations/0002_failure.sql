-- What failed and what becomes of it: consumed events, messages that are tried again, dead letters
-- and their replays, and who decided what.
--
-- Messages belong to a topic, not to one ledger, so none of these tables stands under a ledger.

-- What took effect. Written in the same transaction as the effect, so that a repeat finds it.
CREATE TABLE consumed_events (
    consumer    text COLLATE "C" NOT NULL,
    event_id    uuid NOT NULL,
    consumed_at timestamptz NOT NULL,
    CONSTRAINT consumed_events_pkey PRIMARY KEY (consumer, event_id)
);
-- For removing the oldest.
CREATE INDEX consumed_events_consumed_at_idx ON consumed_events USING brin (consumed_at);

-- Messages that failed and are tried again, and those behind them of the same key.
CREATE TABLE consumer_retries (
    id              bigint GENERATED ALWAYS AS IDENTITY,
    consumer        text COLLATE "C" NOT NULL,
    event_id        uuid NOT NULL,
    topic           text COLLATE "C" NOT NULL,
    -- Empty: no order.
    key             bytea NOT NULL,
    -- Pairs in order, as in a dead letter.
    headers         json NOT NULL,
    payload         bytea NOT NULL,
    correlation_id  text COLLATE "C",
    attempts        integer NOT NULL,
    -- Of one that waits behind another of its key: as soon as that one is out of the way.
    next_attempt_at timestamptz NOT NULL,
    last_error      text,
    created_at      timestamptz NOT NULL,
    CONSTRAINT consumer_retries_pkey PRIMARY KEY (id),
    CONSTRAINT consumer_retries_event_key UNIQUE (consumer, event_id),
    CONSTRAINT consumer_retries_attempts_not_negative CHECK (attempts >= 0)
);
CREATE INDEX consumer_retries_lane_idx ON consumer_retries (consumer, topic, key, id);
CREATE INDEX consumer_retries_due_idx ON consumer_retries (consumer, next_attempt_at);

-- Index over the .dlq topics.
CREATE TABLE dead_letters (
    id             bigint GENERATED ALWAYS AS IDENTITY,
    -- Where the letter lies.
    topic          text COLLATE "C" NOT NULL,
    partition      integer NOT NULL,
    "offset"       bigint NOT NULL,
    -- The letter's own id: one that was published twice is indexed once. NULL: another service's.
    letter_id      uuid,
    -- The record's value, byte for byte.
    letter         bytea NOT NULL,
    original_topic text COLLATE "C" NOT NULL,
    -- The message's own id, by which consumers drop repeats; NULL where it had none.
    event_id       uuid,
    ledger         text COLLATE "C",
    error          text NOT NULL,
    retry_count    integer NOT NULL,
    failed_at      timestamptz NOT NULL,
    correlation_id text COLLATE "C",
    indexed_at     timestamptz NOT NULL,
    status         text COLLATE "C" NOT NULL DEFAULT 'waiting',
    -- How often the message was published again, in this life and those before it.
    replay_count   integer NOT NULL DEFAULT 0,
    -- The letter of the message's life before this one, and of its first.
    previous_id    bigint,
    first_id       bigint,
    decided_at     timestamptz,
    decided_by     text,
    reason         text,
    CONSTRAINT dead_letters_pkey PRIMARY KEY (id),
    CONSTRAINT dead_letters_place_key UNIQUE (topic, partition, "offset"),
    CONSTRAINT dead_letters_letter_key UNIQUE (letter_id),
    CONSTRAINT dead_letters_status_known CHECK (status IN ('waiting', 'replayed', 'discarded')),
    CONSTRAINT dead_letters_discarded_with_reason CHECK (status <> 'discarded' OR reason <> ''),
    CONSTRAINT dead_letters_counts_not_negative CHECK (retry_count >= 0 AND replay_count >= 0)
);
CREATE INDEX dead_letters_waiting_idx ON dead_letters (original_topic, id)
    WHERE status = 'waiting';
CREATE INDEX dead_letters_event_idx ON dead_letters (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX dead_letters_correlation_id_idx ON dead_letters (correlation_id)
    WHERE correlation_id IS NOT NULL;
CREATE TRIGGER dead_letters_permanent BEFORE DELETE OR TRUNCATE ON dead_letters
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Replays, to be watched and cancelled from elsewhere. Whoever runs one holds an advisory lock a
-- topic; a row that says running without that lock was interrupted.
CREATE TABLE dead_letter_replays (
    id               bigint GENERATED ALWAYS AS IDENTITY,
    -- The original topics, sorted.
    topics           text[] NOT NULL,
    -- The newest letter that belongs to it: letters that come back later don't make it endless.
    last_letter_id   bigint NOT NULL,
    -- What was asked for, for people.
    selection        json NOT NULL,
    status           text COLLATE "C" NOT NULL DEFAULT 'running',
    total            bigint NOT NULL,
    replayed         bigint NOT NULL DEFAULT 0,
    failed           bigint NOT NULL DEFAULT 0,
    cancel_requested boolean NOT NULL DEFAULT false,
    started_by       text NOT NULL,
    host             text NOT NULL,
    started_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    finished_at      timestamptz,
    CONSTRAINT dead_letter_replays_pkey PRIMARY KEY (id),
    CONSTRAINT dead_letter_replays_status_known
        CHECK (status IN ('running', 'done', 'cancelled', 'interrupted'))
);

-- Who did what, from where, and why. Written in the same transaction as the deed.
CREATE TABLE audit_log (
    id     bigint GENERATED ALWAYS AS IDENTITY,
    at     timestamptz NOT NULL,
    actor  text NOT NULL,
    host   text NOT NULL,
    action text COLLATE "C" NOT NULL,
    target text NOT NULL,
    reason text,
    detail json,
    CONSTRAINT audit_log_pkey PRIMARY KEY (id)
);
CREATE INDEX audit_log_target_idx ON audit_log (target, id);
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
