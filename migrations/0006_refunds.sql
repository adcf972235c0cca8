-- Money that goes back: refunds that were asked for here, those that were made at the PSP, and
-- chargebacks; disputes; and payments whose refunds the PSP is to be asked for.

CREATE TABLE refunds (
    ledger_id       integer NOT NULL,
    -- Also the note by which it is found again at the PSP, which takes no reference for refunds.
    id              uuid NOT NULL,
    payment_id      uuid NOT NULL,
    merchant        merchant_id NOT NULL,
    currency        currency_code NOT NULL,
    -- 'request': asked for here. 'psp': made at the PSP. 'chargeback': a dispute was lost.
    origin          text COLLATE "C" NOT NULL,
    idempotency_key text COLLATE "C",
    request_hash    sha256,
    amount          bigint NOT NULL,
    -- The fee's share in the amount, and what of it the platform gives back.
    fee_share       bigint NOT NULL,
    fee_returned    bigint NOT NULL,
    -- What the merchant pays the platform for the trouble.
    penalty         bigint NOT NULL,
    -- What the merchant bears, by the wallet that it came from.
    from_pending    bigint NOT NULL,
    from_available  bigint NOT NULL,
    from_owed       bigint NOT NULL,
    customer_note   text,
    psp             text COLLATE "C" NOT NULL,
    -- The PSP's id of the refund, or of the dispute, and its last word.
    psp_id          text COLLATE "C",
    psp_status      text COLLATE "C",
    correlation_id  text COLLATE "C",
    traceparent     text COLLATE "C",
    requested_by    text NOT NULL,
    status          text COLLATE "C" NOT NULL,
    -- A call that sends it is under way since then, or nobody came back from it.
    sending_since   timestamptz,
    -- The end of the last call that may have sent it without the PSP saying so.
    doubtful_until  timestamptz,
    -- When the PSP's list was last read without it.
    not_known_at    timestamptz,
    -- The next call to the PSP: to send it, or to ask how it stands. While a call is under way: when
    -- that is given up for lost. NULL: none is due.
    next_attempt_at timestamptz,
    -- Calls so far, and waits since it last changed how it stands.
    attempts        integer NOT NULL DEFAULT 0,
    waits           integer NOT NULL DEFAULT 0,
    last_error      text,
    -- A person's word on how it ended.
    resolved_by     text,
    resolved_at     timestamptz,
    reason          text,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    CONSTRAINT refunds_pkey PRIMARY KEY (ledger_id, id),
    CONSTRAINT refunds_idempotency_key UNIQUE (ledger_id, idempotency_key),
    CONSTRAINT refunds_payment_exists FOREIGN KEY (ledger_id, payment_id)
        REFERENCES payments (ledger_id, id),
    CONSTRAINT refunds_origin_known CHECK (origin IN ('request', 'psp', 'chargeback')),
    CONSTRAINT refunds_asked_for_under_a_key CHECK (
        (origin = 'request') = (idempotency_key IS NOT NULL)
        AND (idempotency_key IS NULL) = (request_hash IS NULL)),
    CONSTRAINT refunds_amount_positive CHECK (amount > 0),
    CONSTRAINT refunds_parts_not_negative CHECK (
        fee_share >= 0 AND fee_returned >= 0 AND penalty >= 0
        AND from_pending >= 0 AND from_available >= 0 AND from_owed >= 0),
    -- One that had failed before it was heard of was never booked.
    CONSTRAINT refunds_parts_sum_up CHECK (
        from_pending + from_available + from_owed + fee_returned - penalty = amount
        OR (status = 'failed' AND from_pending + from_available + from_owed + fee_returned = 0)),
    CONSTRAINT refunds_status_known CHECK (status IN (
        'requested', 'sent', 'succeeded', 'failed', 'unknown')),
    CONSTRAINT refunds_open_ones_are_looked_after CHECK (
        (next_attempt_at IS NOT NULL) = (status IN ('requested', 'sent', 'unknown'))),
    CONSTRAINT refunds_open_ones_were_asked_for CHECK (
        origin = 'request' OR status IN ('succeeded', 'failed')),
    CONSTRAINT refunds_resolved_with_reason CHECK (
        (resolved_by IS NULL) = (resolved_at IS NULL)
        AND (resolved_by IS NULL) = (reason IS NULL) AND reason <> ''),
    CONSTRAINT refunds_counts_from_zero CHECK (attempts >= 0 AND waits >= 0)
);
CREATE INDEX refunds_payment_idx ON refunds (ledger_id, payment_id, id);
CREATE INDEX refunds_merchant_idx ON refunds (ledger_id, merchant, id);
CREATE INDEX refunds_status_idx ON refunds (ledger_id, status, id);
CREATE INDEX refunds_due_idx ON refunds (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
-- Refunds and disputes are numbered apart.
CREATE UNIQUE INDEX refunds_psp_id_key ON refunds (ledger_id, psp, (origin = 'chargeback'), psp_id);
CREATE INDEX refunds_correlation_id_idx ON refunds (ledger_id, correlation_id)
    WHERE correlation_id IS NOT NULL;
CREATE TRIGGER refunds_permanent BEFORE DELETE OR TRUNCATE ON refunds
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE disputes (
    ledger_id  integer NOT NULL,
    psp        text COLLATE "C" NOT NULL,
    -- The PSP's.
    psp_id     text COLLATE "C" NOT NULL,
    payment_id uuid NOT NULL,
    -- What goes back if it is lost; NULL: the PSP has not said.
    amount     bigint,
    category   text,
    status     text COLLATE "C" NOT NULL,
    -- The chargeback that it was lost by.
    refund_id  uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT disputes_pkey PRIMARY KEY (ledger_id, psp, psp_id),
    CONSTRAINT disputes_payment_exists FOREIGN KEY (ledger_id, payment_id)
        REFERENCES payments (ledger_id, id),
    CONSTRAINT disputes_refund_exists FOREIGN KEY (ledger_id, refund_id)
        REFERENCES refunds (ledger_id, id),
    CONSTRAINT disputes_status_known CHECK (status IN ('open', 'won', 'lost')),
    CONSTRAINT disputes_lost_by_a_chargeback CHECK ((status = 'lost') = (refund_id IS NOT NULL))
);
CREATE INDEX disputes_payment_idx ON disputes (ledger_id, payment_id);
CREATE TRIGGER disputes_permanent BEFORE DELETE OR TRUNCATE ON disputes
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A webhook about a refund says neither which one it is nor who made it: the PSP's list does.
CREATE TABLE refund_lookups (
    ledger_id       integer NOT NULL,
    payment_id      uuid NOT NULL,
    psp             text COLLATE "C" NOT NULL,
    -- NULL: nothing is due.
    next_attempt_at timestamptz,
    waits           integer NOT NULL DEFAULT 0,
    last_error      text,
    CONSTRAINT refund_lookups_pkey PRIMARY KEY (ledger_id, payment_id),
    CONSTRAINT refund_lookups_payment_exists FOREIGN KEY (ledger_id, payment_id)
        REFERENCES payments (ledger_id, id)
);
CREATE INDEX refund_lookups_due_idx ON refund_lookups (next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;
