-- Payout runs: lists that are frozen, counted and hashed before the first payment.

CREATE DOMAIN payout_run_key AS text COLLATE "C"
    CONSTRAINT payout_run_key_form CHECK (VALUE ~ '^[A-Za-z0-9._:-]{1,128}$');

CREATE TABLE payout_runs (
    ledger_id       integer NOT NULL,
    key             payout_run_key NOT NULL,
    -- Whether the merchants' terms made the list, or somebody wrote it.
    source          text COLLATE "C" NOT NULL,
    currency        currency_code NOT NULL,
    count           integer NOT NULL,
    total           bigint NOT NULL,
    -- Over the lines of the list, in order.
    list_hash       sha256 NOT NULL,
    status          text COLLATE "C" NOT NULL,
    -- The limit that it is over, in words; NULL: it needs no second person.
    approval_reason text,
    started_by      text NOT NULL,
    started_from    text NOT NULL,
    started_at      timestamptz NOT NULL,
    approved_by     text,
    approved_from   text,
    approved_at     timestamptz,
    cancelled_by    text,
    cancel_reason   text,
    -- aegisd is to work on it.
    in_background   boolean NOT NULL DEFAULT false,
    updated_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    CONSTRAINT payout_runs_pkey PRIMARY KEY (ledger_id, key),
    CONSTRAINT payout_runs_ledger_exists FOREIGN KEY (ledger_id) REFERENCES ledgers (id),
    CONSTRAINT payout_runs_source_known CHECK (source IN ('due', 'list')),
    CONSTRAINT payout_runs_status_known
        CHECK (status IN ('waiting', 'running', 'finished', 'cancelled')),
    CONSTRAINT payout_runs_list_not_empty CHECK (count > 0 AND total > 0),
    CONSTRAINT payout_runs_approved_by_another CHECK (approved_by <> started_by),
    CONSTRAINT payout_runs_approved_as_a_whole CHECK (
        (approved_by IS NULL) = (approved_at IS NULL)
        AND (approved_by IS NULL) = (approved_from IS NULL)),
    CONSTRAINT payout_runs_approved_before_it_pays CHECK (
        approval_reason IS NULL OR approved_by IS NOT NULL OR status IN ('waiting', 'cancelled')),
    CONSTRAINT payout_runs_waits_for_a_reason
        CHECK (status <> 'waiting' OR approval_reason IS NOT NULL),
    CONSTRAINT payout_runs_cancelled_with_reason
        CHECK (status <> 'cancelled' OR (cancelled_by IS NOT NULL AND cancel_reason <> '')),
    CONSTRAINT payout_runs_over_since
        CHECK ((status IN ('finished', 'cancelled')) = (finished_at IS NOT NULL))
);
CREATE INDEX payout_runs_started_idx ON payout_runs (ledger_id, started_at, key);
CREATE INDEX payout_runs_open_idx ON payout_runs (ledger_id, key)
    WHERE status IN ('waiting', 'running');
CREATE TRIGGER payout_runs_permanent BEFORE DELETE OR TRUNCATE ON payout_runs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What was frozen stays: a run only ever comes further.
CREATE FUNCTION payout_runs_keep_their_list() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.ledger_id, NEW.key, NEW.source, NEW.currency, NEW.count, NEW.total, NEW.list_hash,
        NEW.started_by, NEW.started_at)
       IS DISTINCT FROM
       (OLD.ledger_id, OLD.key, OLD.source, OLD.currency, OLD.count, OLD.total, OLD.list_hash,
        OLD.started_by, OLD.started_at)
       OR (OLD.approval_reason IS NOT NULL
           AND NEW.approval_reason IS DISTINCT FROM OLD.approval_reason)
       OR (OLD.approved_by IS NOT NULL AND NEW.approved_by IS DISTINCT FROM OLD.approved_by)
    THEN
        RAISE EXCEPTION 'payout run % is frozen', OLD.key USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER payout_runs_frozen BEFORE UPDATE ON payout_runs
    FOR EACH ROW EXECUTE FUNCTION payout_runs_keep_their_list();

CREATE TABLE payout_run_items (
    ledger_id  integer NOT NULL,
    run_key    payout_run_key NOT NULL,
    -- Its place in the list, from 1.
    number     integer NOT NULL,
    merchant   merchant_id NOT NULL,
    amount     bigint NOT NULL,
    reference  text,
    -- The day of the merchant's schedule that it pays.
    due_on     date,
    status     text COLLATE "C" NOT NULL DEFAULT 'waiting',
    -- With status 'requested': how it stands is the payout's to say.
    payout_id  uuid,
    -- With status 'rejected': why there is no payout.
    code       text COLLATE "C",
    detail     text,
    updated_at timestamptz NOT NULL,
    CONSTRAINT payout_run_items_pkey PRIMARY KEY (ledger_id, run_key, number),
    CONSTRAINT payout_run_items_run_exists FOREIGN KEY (ledger_id, run_key)
        REFERENCES payout_runs (ledger_id, key),
    CONSTRAINT payout_run_items_merchant_exists FOREIGN KEY (ledger_id, merchant)
        REFERENCES merchants (ledger_id, id),
    CONSTRAINT payout_run_items_payout_key UNIQUE (ledger_id, payout_id),
    CONSTRAINT payout_run_items_number_from_one CHECK (number >= 1),
    CONSTRAINT payout_run_items_amount_positive CHECK (amount > 0),
    CONSTRAINT payout_run_items_status_known
        CHECK (status IN ('waiting', 'requested', 'rejected', 'cancelled')),
    CONSTRAINT payout_run_items_requested_with_payout
        CHECK ((status = 'requested') = (payout_id IS NOT NULL)),
    CONSTRAINT payout_run_items_rejected_with_code
        CHECK ((status = 'rejected') = (code IS NOT NULL))
);
CREATE INDEX payout_run_items_merchant_idx ON payout_run_items (ledger_id, merchant, run_key);
CREATE TRIGGER payout_run_items_permanent BEFORE DELETE OR TRUNCATE ON payout_run_items
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION payout_run_items_keep_what_they_pay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (NEW.ledger_id, NEW.run_key, NEW.number, NEW.merchant, NEW.amount, NEW.reference, NEW.due_on)
       IS DISTINCT FROM
       (OLD.ledger_id, OLD.run_key, OLD.number, OLD.merchant, OLD.amount, OLD.reference, OLD.due_on)
       OR OLD.status <> 'waiting'
    THEN
        RAISE EXCEPTION 'item % of payout run % is frozen', OLD.number, OLD.run_key
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER payout_run_items_frozen BEFORE UPDATE ON payout_run_items
    FOR EACH ROW EXECUTE FUNCTION payout_run_items_keep_what_they_pay();
