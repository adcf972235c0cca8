-- Money out: payouts, and each call to the PSP about one.

CREATE TABLE payouts (
    ledger_id       integer NOT NULL,
    id              uuid NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    request_hash    sha256 NOT NULL,
    merchant        merchant_id NOT NULL,
    currency        currency_code NOT NULL,
    terms_version   integer NOT NULL,
    amount          bigint NOT NULL,
    psp             text COLLATE "C" NOT NULL,
    -- As the PSP knows it, written before the PSP is called.
    reference       text COLLATE "C" NOT NULL,
    -- Where the money goes, as agreed when the payout was asked for.
    recipient       text NOT NULL,
    -- The caller's own name for it.
    label           text,
    -- The run that it is a part of, and its place there.
    run_key         text COLLATE "C",
    run_number      integer,
    correlation_id  text COLLATE "C",
    traceparent     text COLLATE "C",
    requested_by    text NOT NULL,
    status          text COLLATE "C" NOT NULL,
    -- The PSP's own code, once it has acknowledged the reference, and what it took for itself.
    psp_code        text COLLATE "C",
    psp_fee         bigint,
    -- The first call that may have sent it, and the last one's end, as far as that is known.
    doubtful_since  timestamptz,
    doubtful_until  timestamptz,
    -- Whether the PSP refused it after such a call, so that it is not sent again.
    refused         boolean NOT NULL DEFAULT false,
    -- When the PSP last said that it doesn't know the reference.
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
    CONSTRAINT payouts_pkey PRIMARY KEY (ledger_id, id),
    CONSTRAINT payouts_idempotency_key UNIQUE (ledger_id, idempotency_key),
    CONSTRAINT payouts_terms_exist FOREIGN KEY (ledger_id, merchant, currency, terms_version)
        REFERENCES merchant_terms (ledger_id, merchant, currency, version),
    CONSTRAINT payouts_reference_known FOREIGN KEY (psp, reference)
        REFERENCES psp_references (psp, reference),
    CONSTRAINT payouts_reference_once UNIQUE (psp, reference),
    CONSTRAINT payouts_amount_positive CHECK (amount > 0),
    CONSTRAINT payouts_fee_not_negative CHECK (psp_fee >= 0),
    CONSTRAINT payouts_status_known CHECK (status IN (
        'requested', 'sent', 'succeeded', 'failed', 'unknown', 'returned')),
    CONSTRAINT payouts_open_ones_are_looked_after CHECK (
        (next_attempt_at IS NOT NULL) = (status IN ('requested', 'sent', 'unknown'))),
    CONSTRAINT payouts_run_as_a_whole CHECK ((run_key IS NULL) = (run_number IS NULL)),
    CONSTRAINT payouts_doubt_as_a_whole CHECK (
        (doubtful_since IS NULL) = (doubtful_until IS NULL)),
    CONSTRAINT payouts_resolved_with_reason CHECK (
        (resolved_by IS NULL) = (resolved_at IS NULL)
        AND (resolved_by IS NULL) = (reason IS NULL) AND reason <> ''),
    CONSTRAINT payouts_counts_from_zero CHECK (attempts >= 0 AND waits >= 0)
);
CREATE INDEX payouts_merchant_idx ON payouts (ledger_id, merchant, id);
CREATE INDEX payouts_status_idx ON payouts (ledger_id, status, id);
CREATE INDEX payouts_due_idx ON payouts (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE UNIQUE INDEX payouts_run_idx ON payouts (ledger_id, run_key, run_number)
    WHERE run_key IS NOT NULL;
CREATE INDEX payouts_correlation_id_idx ON payouts (ledger_id, correlation_id)
    WHERE correlation_id IS NOT NULL;
CREATE TRIGGER payouts_permanent BEFORE DELETE OR TRUNCATE ON payouts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Written before the call: one without an end may have happened.
CREATE TABLE payout_attempts (
    ledger_id  integer NOT NULL,
    payout_id  uuid NOT NULL,
    number     integer NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    host       text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    outcome    text COLLATE "C",
    detail     text,
    CONSTRAINT payout_attempts_pkey PRIMARY KEY (ledger_id, payout_id, number),
    CONSTRAINT payout_attempts_payout_exists FOREIGN KEY (ledger_id, payout_id)
        REFERENCES payouts (ledger_id, id),
    CONSTRAINT payout_attempts_number_from_one CHECK (number >= 1),
    CONSTRAINT payout_attempts_kind_known CHECK (kind IN ('send', 'ask')),
    CONSTRAINT payout_attempts_outcome_known CHECK (outcome IN (
        'seen', 'not_known', 'refused', 'reference_taken', 'not_sent', 'unclear', 'unanswered',
        'lost')),
    CONSTRAINT payout_attempts_ended_with_outcome
        CHECK ((ended_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX payout_attempts_open_idx ON payout_attempts (ledger_id, payout_id, number)
    WHERE ended_at IS NULL;
CREATE TRIGGER payout_attempts_permanent BEFORE DELETE OR TRUNCATE ON payout_attempts
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
