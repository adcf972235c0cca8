-- Money in: merchants and their terms, payments, and what does not agree.

CREATE DOMAIN merchant_id AS text COLLATE "C"
    CONSTRAINT merchant_id_form CHECK (VALUE ~ '^[a-z0-9_-]{1,64}$');

CREATE TABLE merchants (
    ledger_id  integer NOT NULL,
    id         merchant_id NOT NULL,
    name       text NOT NULL,
    status     text COLLATE "C" NOT NULL DEFAULT 'active',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT merchants_pkey PRIMARY KEY (ledger_id, id),
    CONSTRAINT merchants_ledger_exists FOREIGN KEY (ledger_id) REFERENCES ledgers (id),
    CONSTRAINT merchants_status_known CHECK (status IN ('active', 'frozen'))
);
CREATE TRIGGER merchants_permanent BEFORE DELETE OR TRUNCATE ON merchants
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What was agreed with a merchant, a version after the other. Payments name the one that they were
-- made under.
CREATE TABLE merchant_terms (
    ledger_id integer NOT NULL,
    merchant  merchant_id NOT NULL,
    currency  currency_code NOT NULL,
    version   integer NOT NULL,
    -- Canonical text.
    terms     json NOT NULL,
    made_at   timestamptz NOT NULL,
    made_by   text NOT NULL,
    CONSTRAINT merchant_terms_pkey PRIMARY KEY (ledger_id, merchant, currency, version),
    CONSTRAINT merchant_terms_merchant_exists
        FOREIGN KEY (ledger_id, merchant) REFERENCES merchants (ledger_id, id),
    CONSTRAINT merchant_terms_version_from_one CHECK (version >= 1)
);
CREATE TRIGGER merchant_terms_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON merchant_terms
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What each name that a PSP knows stands for, in whichever ledger: a webhook brings nothing else.
-- The key is unique over all ledgers, since a PSP knows nothing of them.
CREATE TABLE psp_references (
    psp        text COLLATE "C" NOT NULL,
    reference  text COLLATE "C" NOT NULL,
    ledger_id  integer NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    subject_id uuid NOT NULL,
    CONSTRAINT psp_references_pkey PRIMARY KEY (psp, reference),
    CONSTRAINT psp_references_kind_known CHECK (kind IN ('payment', 'payout'))
);
CREATE TRIGGER psp_references_permanent BEFORE UPDATE OR DELETE OR TRUNCATE ON psp_references
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE payments (
    ledger_id       integer NOT NULL,
    id              uuid NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    request_hash    sha256 NOT NULL,
    merchant        merchant_id NOT NULL,
    currency        currency_code NOT NULL,
    terms_version   integer NOT NULL,
    psp             text COLLATE "C" NOT NULL,
    -- As the PSP knows it, written before the PSP is called.
    reference       text COLLATE "C" NOT NULL,
    email           text NOT NULL,
    callback_url    text,
    metadata        json,
    correlation_id  text COLLATE "C",
    traceparent     text COLLATE "C",
    amount          bigint NOT NULL,
    fee             bigint NOT NULL,
    net             bigint NOT NULL,
    status          text COLLATE "C" NOT NULL,
    checkout_url    text,
    -- The PSP's own id, and what it keeps of the amount, once they are known.
    psp_id          text COLLATE "C",
    psp_fee         bigint,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    -- The next call to the PSP: to open it, or to ask how it stands. NULL: none is due.
    next_attempt_at timestamptz,
    attempts        integer NOT NULL DEFAULT 0,
    last_error      text,
    -- What the customer paid at, the merchant's day that it counts for, and when that matures.
    paid_at         timestamptz,
    period          date,
    matures_at      timestamptz,
    -- Its part of merchant:<m>:pending; 0 once it is settled. Below 0: more went back than had come.
    unsettled       bigint NOT NULL DEFAULT 0,
    settlement_id   uuid,
    -- Of the amount, what went back to the customer, and what is on its way back.
    refunded        bigint NOT NULL DEFAULT 0,
    CONSTRAINT payments_pkey PRIMARY KEY (ledger_id, id),
    CONSTRAINT payments_idempotency_key UNIQUE (ledger_id, idempotency_key),
    CONSTRAINT payments_terms_exist FOREIGN KEY (ledger_id, merchant, currency, terms_version)
        REFERENCES merchant_terms (ledger_id, merchant, currency, version),
    CONSTRAINT payments_reference_known FOREIGN KEY (psp, reference)
        REFERENCES psp_references (psp, reference),
    CONSTRAINT payments_parts_sum_up CHECK (fee + net = amount),
    CONSTRAINT payments_amount_positive CHECK (amount > 0 AND fee >= 0 AND net >= 0),
    CONSTRAINT payments_status_known CHECK (status IN (
        'created', 'pending', 'succeeded', 'failed', 'abandoned', 'partly_refunded', 'refunded',
        'disputed')),
    CONSTRAINT payments_refunded_within_amount CHECK (refunded BETWEEN 0 AND amount),
    CONSTRAINT payments_paid_as_a_whole CHECK (
        (paid_at IS NULL) = (period IS NULL) AND (paid_at IS NULL) = (matures_at IS NULL)),
    CONSTRAINT payments_settled_as_a_whole CHECK (settlement_id IS NULL OR unsettled = 0)
);
CREATE INDEX payments_merchant_idx ON payments (ledger_id, merchant, id);
CREATE INDEX payments_due_idx ON payments (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX payments_reference_idx ON payments (psp, reference);
CREATE INDEX payments_unsettled_idx ON payments (ledger_id, merchant, currency, period)
    INCLUDE (matures_at) WHERE paid_at IS NOT NULL AND settlement_id IS NULL;
CREATE INDEX payments_lacking_idx ON payments (ledger_id, merchant, currency)
    INCLUDE (unsettled) WHERE unsettled < 0;
CREATE INDEX payments_settlement_idx ON payments (ledger_id, settlement_id)
    WHERE settlement_id IS NOT NULL;
CREATE INDEX payments_correlation_id_idx ON payments (ledger_id, correlation_id)
    WHERE correlation_id IS NOT NULL;
CREATE TRIGGER payments_permanent BEFORE DELETE OR TRUNCATE ON payments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What does not agree between the ledger and the world. Found again, it stays one row.
CREATE TABLE discrepancies (
    id                bigint GENERATED ALWAYS AS IDENTITY,
    ledger_id         integer NOT NULL,
    -- Made of what was found: the same finding again is the same.
    fingerprint       sha256 NOT NULL,
    class             text COLLATE "C" NOT NULL,
    -- Who found it: 'webhook', 'query' or 'reconciliation'.
    source            text COLLATE "C" NOT NULL,
    psp               text COLLATE "C",
    reference         text COLLATE "C",
    subject_kind      text COLLATE "C",
    subject_id        uuid,
    expected_amount   bigint,
    expected_currency text COLLATE "C",
    found_amount      bigint,
    found_currency    text COLLATE "C",
    detail            text NOT NULL,
    occurred_at       timestamptz,
    opened_at         timestamptz NOT NULL,
    status            text COLLATE "C" NOT NULL DEFAULT 'open',
    -- A correction waits for a second person.
    proposal          json,
    proposed_by       text,
    proposed_at       timestamptz,
    reason            text,
    transaction_id    uuid,
    resolved_by       text,
    resolved_at       timestamptz,
    CONSTRAINT discrepancies_pkey PRIMARY KEY (ledger_id, id),
    CONSTRAINT discrepancies_fingerprint_key UNIQUE (ledger_id, fingerprint),
    CONSTRAINT discrepancies_ledger_exists FOREIGN KEY (ledger_id) REFERENCES ledgers (id),
    CONSTRAINT discrepancies_class_known CHECK (class IN (
        'missing_here', 'missing_there', 'amount', 'currency', 'duplicate', 'late', 'status',
        'unknown_reference', 'unreadable')),
    CONSTRAINT discrepancies_status_known CHECK (status IN ('open', 'proposed', 'resolved')),
    CONSTRAINT discrepancies_proposed_by_somebody
        CHECK (status <> 'proposed' OR (proposed_by IS NOT NULL AND proposal IS NOT NULL)),
    CONSTRAINT discrepancies_resolved_with_reason
        CHECK (status <> 'resolved' OR (resolved_by IS NOT NULL AND reason <> ''))
);
CREATE INDEX discrepancies_open_idx ON discrepancies (ledger_id, id) WHERE status <> 'resolved';
CREATE INDEX discrepancies_reference_idx ON discrepancies (ledger_id, reference)
    WHERE reference IS NOT NULL;
CREATE TRIGGER discrepancies_permanent BEFORE DELETE OR TRUNCATE ON discrepancies
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
