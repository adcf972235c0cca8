-- What PSPs told by themselves, and how payments are found by what was settled.

CREATE TABLE psp_webhooks (
    id              bigint GENERATED ALWAYS AS IDENTITY,
    psp             text COLLATE "C" NOT NULL,
    -- The same whenever the PSP sends the event again.
    event_id        text COLLATE "C" NOT NULL,
    -- In the PSP's words; NULL: it can't be read.
    kind            text COLLATE "C",
    reference       text COLLATE "C",
    -- As it came: the signature was over these bytes.
    body            bytea NOT NULL,
    received_at     timestamptz NOT NULL,
    status          text COLLATE "C" NOT NULL DEFAULT 'waiting',
    -- NULL: nothing is due.
    next_attempt_at timestamptz,
    attempts        integer NOT NULL DEFAULT 0,
    last_error      text,
    processed_at    timestamptz,
    CONSTRAINT psp_webhooks_pkey PRIMARY KEY (id),
    CONSTRAINT psp_webhooks_event_key UNIQUE (psp, event_id),
    CONSTRAINT psp_webhooks_status_known
        CHECK (status IN ('waiting', 'applied', 'ignored', 'discrepancy', 'later')),
    CONSTRAINT psp_webhooks_waiting_is_due
        CHECK ((status = 'waiting') = (next_attempt_at IS NOT NULL))
);
CREATE INDEX psp_webhooks_due_idx ON psp_webhooks (next_attempt_at, id)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX psp_webhooks_reference_idx ON psp_webhooks (psp, reference)
    WHERE reference IS NOT NULL;
CREATE TRIGGER psp_webhooks_permanent BEFORE DELETE OR TRUNCATE ON psp_webhooks
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A payment that comes late must not count for a period that was settled.
CREATE INDEX payments_settled_idx ON payments (ledger_id, merchant, currency, period)
    WHERE settlement_id IS NOT NULL;
