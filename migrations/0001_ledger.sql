-- The ledger: who holds money, what moved it, and which events wait for the bus.
--
-- Every key of a ledger's table starts with ledger_id, and every hot statement names exactly one
-- ledger. Money is bigint minor units: credit positive, debit negative.

-- Domains are checked where a value is made, not again on every update of its row.
CREATE DOMAIN wallet_address AS text COLLATE "C"
    CONSTRAINT wallet_address_form CHECK (
        length(VALUE) <= 255 AND VALUE ~ '^[a-z0-9_-]+(:[a-z0-9_-]+){0,7}$'
    );
CREATE DOMAIN currency_code AS text COLLATE "C"
    CONSTRAINT currency_code_form CHECK (VALUE ~ '^[A-Z]{3}$');
CREATE DOMAIN sha256 AS bytea
    CONSTRAINT sha256_length CHECK (length(VALUE) = 32);

CREATE TABLE ledgers (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ledgers_name_key UNIQUE (name),
    CONSTRAINT ledgers_name_form CHECK (name ~ '^[a-z0-9_-]{1,64}$')
);

CREATE TABLE wallets (
    ledger_id   integer NOT NULL,
    id          uuid NOT NULL,
    address     wallet_address NOT NULL,
    currency    currency_code NOT NULL,
    balance     bigint NOT NULL DEFAULT 0,
    held        bigint NOT NULL DEFAULT 0,
    version     bigint NOT NULL DEFAULT 0,
    -- NULL: unbounded, the outside world.
    min_balance bigint,
    -- Hash of the last entry; before the first one, of the wallet's own name.
    head_hash   sha256 NOT NULL,
    status      text COLLATE "C" NOT NULL DEFAULT 'active',
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT wallets_pkey PRIMARY KEY (ledger_id, id),
    CONSTRAINT wallets_address_currency_key UNIQUE (ledger_id, address, currency),
    CONSTRAINT wallets_ledger_exists FOREIGN KEY (ledger_id) REFERENCES ledgers (id),
    CONSTRAINT wallets_balance_above_minimum CHECK (balance - held >= min_balance),
    CONSTRAINT wallets_held_not_negative CHECK (held >= 0),
    CONSTRAINT wallets_version_not_negative CHECK (version >= 0),
    CONSTRAINT wallets_status_known CHECK (status IN ('active', 'frozen'))
-- Room on each page for the next version of its rows: an update touches no index.
) WITH (fillfactor = 50);

CREATE TABLE transactions (
    ledger_id       integer NOT NULL,
    -- UUIDv7 whose last 62 bits are a hash over the other columns.
    id              uuid NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    request_hash    bytea NOT NULL,
    kind            text COLLATE "C" NOT NULL,
    entry_count     smallint NOT NULL,
    reference       text COLLATE "C",
    correlation_id  text COLLATE "C",
    effective_at    timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    reverses        uuid,
    -- As text: the id is a hash over it, and jsonb would write it anew.
    metadata        json,
    CONSTRAINT transactions_pkey PRIMARY KEY (ledger_id, id),
    CONSTRAINT transactions_idempotency_key UNIQUE (ledger_id, idempotency_key)
);
CREATE INDEX transactions_reference_idx ON transactions (ledger_id, reference, id)
    WHERE reference IS NOT NULL;
CREATE INDEX transactions_correlation_id_idx ON transactions (ledger_id, correlation_id, id)
    WHERE correlation_id IS NOT NULL;

CREATE TABLE ledger_entries (
    ledger_id      integer NOT NULL,
    wallet_id      uuid NOT NULL,
    version        bigint NOT NULL,
    transaction_id uuid NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    amount         bigint NOT NULL,
    balance_after  bigint NOT NULL,
    hash           bytea NOT NULL,
    CONSTRAINT ledger_entries_pkey PRIMARY KEY (ledger_id, wallet_id, version)
);
-- Transaction ids grow with time, so this index grows at its right edge.
CREATE INDEX ledger_entries_transaction_idx ON ledger_entries (ledger_id, transaction_id);

CREATE TABLE transaction_outbox (
    ledger_id       integer NOT NULL,
    id              bigint GENERATED ALWAYS AS IDENTITY,
    event_id        uuid NOT NULL,
    event_type      text COLLATE "C" NOT NULL,
    topic           text COLLATE "C" NOT NULL,
    key             text COLLATE "C" NOT NULL,
    subject         text COLLATE "C" NOT NULL,
    correlation_id  text COLLATE "C",
    traceparent     text COLLATE "C",
    payload         text NOT NULL,
    created_at      timestamptz NOT NULL,
    -- Failures that the broker laid to this very event, and when it is tried next.
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    last_error      text,
    CONSTRAINT transaction_outbox_pkey PRIMARY KEY (ledger_id, id)
-- A queue: rows live for moments, so the vacuum looks often and waits for no share of the table.
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
-- Empty but for the events that wait for another attempt.
CREATE INDEX transaction_outbox_waiting_idx ON transaction_outbox (ledger_id, key, id)
    WHERE next_attempt_at IS NOT NULL;

-- What was written stays: no update, no delete, no truncate.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: its rows are permanent', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation',
              CONSTRAINT = TG_NAME,
              HINT = 'Correct a mistake with another transaction.';
END
$$;

CREATE TRIGGER transactions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER wallets_permanent BEFORE DELETE OR TRUNCATE ON wallets
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER wallets_identity BEFORE UPDATE OF ledger_id, id, address, currency ON wallets
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledgers_permanent BEFORE UPDATE OR DELETE OR TRUNCATE ON ledgers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Entries written by one statement sum to zero for every transaction and currency, and name
-- wallets of their currency and transactions that exist. Parents refuse DELETE, so what held here
-- holds for ever. In sets, since a check a row costs several times as much.
CREATE FUNCTION check_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    group_amiss record;
    orphan record;
BEGIN
    -- Each look-up by itself (OFFSET 0, LIMIT 1): a join could be planned while the tables are small,
    -- and read whole ledgers later on. The comparison of rows leaves the planner one index to go by:
    -- with equality, all that begin with ledger_id look alike to it as long as they are empty.
    -- A transaction is looked up once for all its entries in a currency.
    SELECT g.transaction_id, g.currency, g.off INTO group_amiss
        FROM (
            SELECT n.ledger_id, n.transaction_id, n.currency, sum(n.amount) AS off
            FROM new_entries n
            GROUP BY n.ledger_id, n.transaction_id, n.currency
        ) g
        WHERE g.off <> 0 OR NOT EXISTS (
            SELECT FROM (
                SELECT t.ledger_id, t.id FROM transactions t
                WHERE (t.ledger_id, t.id) >= (g.ledger_id, g.transaction_id)
                ORDER BY t.ledger_id, t.id LIMIT 1
            ) t
            WHERE t.ledger_id = g.ledger_id AND t.id = g.transaction_id
        )
        LIMIT 1;
    IF group_amiss.off <> 0 THEN
        RAISE EXCEPTION 'entries of transaction % sum to % in % instead of 0',
            group_amiss.transaction_id, group_amiss.off, group_amiss.currency
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_zero_sum';
    END IF;
    SELECT n.wallet_id, n.currency INTO orphan
        FROM new_entries n
        WHERE NOT EXISTS (
            SELECT FROM wallets w
            WHERE w.ledger_id = n.ledger_id AND w.id = n.wallet_id AND w.currency = n.currency
            OFFSET 0
        )
        LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'an entry names wallet % in %, which does not exist',
            orphan.wallet_id, orphan.currency
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'ledger_entries_wallet_exists';
    END IF;
    IF group_amiss.transaction_id IS NOT NULL THEN
        RAISE EXCEPTION 'an entry names transaction %, which does not exist',
            group_amiss.transaction_id
            USING ERRCODE = 'foreign_key_violation',
                  CONSTRAINT = 'ledger_entries_transaction_exists';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER ledger_entries_balanced AFTER INSERT ON ledger_entries
    REFERENCING NEW TABLE AS new_entries
    FOR EACH STATEMENT EXECUTE FUNCTION check_entries();

CREATE FUNCTION wake_relay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('aegis_outbox', '');
    RETURN NULL;
END
$$;
CREATE TRIGGER transaction_outbox_wakes_relay AFTER INSERT ON transaction_outbox
    FOR EACH STATEMENT EXECUTE FUNCTION wake_relay();

-- Writes a small batch in one round trip, behind a fence: the number of the transaction that wrote,
-- which is the xmin of the wallets from here on; NULL, with nothing written, where a wallet is no longer the row that the decisions were made on. xmin tells,
-- whatever column changed.
CREATE FUNCTION post_batch(
    p_ledger_id integer,
    w_ids uuid[], w_xmins bigint[], w_balances bigint[], w_versions bigint[], w_hashes bytea[],
    t_ids uuid[], t_keys text[], t_request_hashes bytea[], t_kinds text[],
    t_entry_counts smallint[], t_references text[], t_correlation_ids text[],
    t_effective_ats timestamptz[], t_metadata text[], p_recorded_at timestamptz,
    e_wallet_ids uuid[], e_versions bigint[], e_transaction_ids uuid[], e_currencies text[],
    e_amounts bigint[], e_balances_after bigint[], e_hashes bytea[],
    o_event_ids uuid[], o_event_types text[], o_topics text[], o_keys text[], o_subjects text[],
    o_correlation_ids text[], o_traceparents text[], o_payloads text[]
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    locked integer;
    written integer;
BEGIN
    -- One after the other in the order of the array, which is sorted: two batches can't deadlock.
    SELECT count(*) INTO locked
    FROM unnest(w_ids, w_xmins) AS read (id, xmin) CROSS JOIN LATERAL (
        SELECT w.xmin::text::bigint AS xmin
        FROM wallets w WHERE w.ledger_id = p_ledger_id AND w.id = read.id
        FOR NO KEY UPDATE
    ) now
    WHERE now.xmin = read.xmin;
    IF locked <> cardinality(w_ids) THEN
        RETURN NULL;
    END IF;
    INSERT INTO transactions (
        ledger_id, id, idempotency_key, request_hash, kind, entry_count, reference,
        correlation_id, effective_at, recorded_at, metadata
    )
    SELECT p_ledger_id, t.id, t.key, t.request_hash, t.kind, t.entry_count, t.reference,
           t.correlation_id, t.effective_at, p_recorded_at, t.metadata::json
    FROM unnest(t_ids, t_keys, t_request_hashes, t_kinds, t_entry_counts, t_references,
                t_correlation_ids, t_effective_ats, t_metadata)
        AS t (id, key, request_hash, kind, entry_count, reference, correlation_id, effective_at,
              metadata);
    INSERT INTO ledger_entries (
        ledger_id, wallet_id, version, transaction_id, currency, amount, balance_after, hash
    )
    SELECT p_ledger_id, e.wallet_id, e.version, e.transaction_id, e.currency, e.amount,
           e.balance_after, e.hash
    FROM unnest(e_wallet_ids, e_versions, e_transaction_ids, e_currencies, e_amounts,
                e_balances_after, e_hashes)
        AS e (wallet_id, version, transaction_id, currency, amount, balance_after, hash);
    INSERT INTO transaction_outbox (
        ledger_id, event_id, event_type, topic, key, subject, correlation_id, traceparent,
        payload, created_at
    )
    SELECT p_ledger_id, o.event_id, o.event_type, o.topic, o.key, o.subject, o.correlation_id,
           o.traceparent, o.payload, p_recorded_at
    FROM unnest(o_event_ids, o_event_types, o_topics, o_keys, o_subjects, o_correlation_ids,
                o_traceparents, o_payloads)
        AS o (event_id, event_type, topic, key, subject, correlation_id, traceparent, payload);
    -- By way of ctid, for the same reason as OFFSET 0 above. The rows are locked: they stay where
    -- they are.
    UPDATE wallets w
    SET balance = c.balance, version = c.version, head_hash = c.hash, updated_at = p_recorded_at
    FROM unnest(w_ids, w_balances, w_versions, w_hashes) AS c (id, balance, version, hash)
    CROSS JOIN LATERAL (
        SELECT l.ctid FROM wallets l WHERE l.ledger_id = p_ledger_id AND l.id = c.id OFFSET 0
    ) locked
    WHERE w.ctid = locked.ctid;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> cardinality(w_ids) THEN
        RAISE EXCEPTION '% of % wallets were written', written, cardinality(w_ids)
            USING ERRCODE = 'data_corrupted';
    END IF;
    RETURN pg_current_xact_id()::xid::text::bigint;
END
$$;

INSERT INTO ledgers (name) VALUES ('main');
