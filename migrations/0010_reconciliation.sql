-- Statements of the other side, line by line, and what became of each line.

CREATE TABLE reconciliations (
    ledger_id   integer NOT NULL,
    id          uuid NOT NULL,
    -- Whose statement it is: psp:<name> or bank:<name>.
    wallet      wallet_address NOT NULL,
    format      text COLLATE "C" NOT NULL,
    file_name   text NOT NULL,
    file_hash   sha256 NOT NULL,
    -- The time that the file speaks of; NULL: it has no line that is booked.
    covers_from timestamptz,
    covers_to   timestamptz,
    lines       bigint NOT NULL,
    known       bigint NOT NULL,
    pending     bigint NOT NULL,
    broken      bigint NOT NULL,
    matched     bigint NOT NULL,
    opened      bigint NOT NULL,
    resolved    bigint NOT NULL,
    started_by  text NOT NULL,
    started_at  timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    CONSTRAINT reconciliations_pkey PRIMARY KEY (ledger_id, id),
    CONSTRAINT reconciliations_ledger_exists FOREIGN KEY (ledger_id) REFERENCES ledgers (id),
    CONSTRAINT reconciliations_covers_as_a_whole
        CHECK ((covers_from IS NULL) = (covers_to IS NULL) AND covers_from <= covers_to)
);
CREATE INDEX reconciliations_wallet_idx ON reconciliations (ledger_id, wallet, id);
CREATE TRIGGER reconciliations_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reconciliations
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE statement_lines (
    ledger_id         integer NOT NULL,
    -- A hash over what makes a line itself: account, day, amount, names, and which of several equal
    -- ones of that day it is. The same line in another file is the same row.
    id                uuid NOT NULL,
    reconciliation_id uuid NOT NULL,
    line              bigint NOT NULL,
    wallet            wallet_address NOT NULL,
    account           text COLLATE "C" NOT NULL,
    kind              text COLLATE "C" NOT NULL,
    -- As both sides name it.
    reference         text COLLATE "C",
    -- The other side's own id.
    external_id       text COLLATE "C",
    -- The payout of the PSP to the bank that the line is a part of.
    batch             text COLLATE "C",
    currency          text COLLATE "C" NOT NULL,
    -- What it did to what is held for us there, before fees.
    amount            bigint NOT NULL,
    fee               bigint NOT NULL,
    booked_at         timestamptz NOT NULL,
    -- How it was matched; NULL: it was not.
    match             text COLLATE "C",
    -- The one transaction that it stands for; several of them are in statement_matches.
    transaction_id    uuid,
    -- What took the fee into the ledger, where that was reconciliation.
    fee_transaction_id uuid,
    CONSTRAINT statement_lines_pkey PRIMARY KEY (ledger_id, id),
    CONSTRAINT statement_lines_reconciliation_exists
        FOREIGN KEY (ledger_id, reconciliation_id) REFERENCES reconciliations (ledger_id, id)
        DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT statement_lines_match_known CHECK (match IN (
        'reference', 'day', 'near', 'many', 'netted', 'differs', 'elsewhere', 'duplicate',
        'accepted')),
    CONSTRAINT statement_lines_matched_with_something CHECK (
        transaction_id IS NULL OR match IS NOT NULL)
);
CREATE UNIQUE INDEX statement_lines_transaction_key
    ON statement_lines (ledger_id, wallet, transaction_id) WHERE transaction_id IS NOT NULL;
CREATE INDEX statement_lines_reference_idx ON statement_lines (ledger_id, wallet, reference)
    WHERE reference IS NOT NULL;
CREATE INDEX statement_lines_batch_idx ON statement_lines (ledger_id, wallet, batch)
    WHERE batch IS NOT NULL;
CREATE INDEX statement_lines_open_idx ON statement_lines (ledger_id, wallet) WHERE match IS NULL;
CREATE TRIGGER statement_lines_permanent BEFORE DELETE OR TRUNCATE ON statement_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- One line for many transactions.
CREATE TABLE statement_matches (
    ledger_id      integer NOT NULL,
    wallet         wallet_address NOT NULL,
    transaction_id uuid NOT NULL,
    line_id        uuid NOT NULL,
    CONSTRAINT statement_matches_pkey PRIMARY KEY (ledger_id, wallet, transaction_id),
    CONSTRAINT statement_matches_line_exists FOREIGN KEY (ledger_id, line_id)
        REFERENCES statement_lines (ledger_id, id)
);
CREATE INDEX statement_matches_line_idx ON statement_matches (ledger_id, line_id);
CREATE TRIGGER statement_matches_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
    ON statement_matches FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- As the program computes it for findings that it makes one by one.
CREATE FUNCTION discrepancy_fingerprint(class text, source text, identity text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT sha256(
        int8send(octet_length(class)) || convert_to(class, 'UTF8')
        || int8send(octet_length(source)) || convert_to(source, 'UTF8')
        || int8send(octet_length(identity)) || convert_to(identity, 'UTF8'))
$$;

ALTER TABLE discrepancies
    ADD COLUMN wallet text COLLATE "C",
    ADD COLUMN line_id uuid,
    ADD COLUMN reconciliation_id uuid,
    -- Case and spaces don't make another person.
    ADD CONSTRAINT discrepancies_two_persons CHECK (
        status <> 'resolved' OR proposed_by IS NULL
        OR lower(btrim(resolved_by)) <> lower(btrim(proposed_by))),
    ADD CONSTRAINT discrepancies_corrected_as_proposed CHECK (
        transaction_id IS NULL OR (status = 'resolved' AND proposed_by IS NOT NULL));
CREATE INDEX discrepancies_transaction_idx ON discrepancies (ledger_id, transaction_id)
    WHERE transaction_id IS NOT NULL;
CREATE INDEX discrepancies_line_idx ON discrepancies (ledger_id, line_id)
    WHERE line_id IS NOT NULL;

-- What a person decides goes by way of a proposal, and what was proposed stays as it was. No account
-- of a person has a colon in its name.
CREATE FUNCTION discrepancies_take_two_persons() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'resolved' THEN
        RAISE EXCEPTION 'discrepancy % is resolved, and stays so', OLD.id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'discrepancies_stay_resolved';
    END IF;
    IF NEW.status = 'resolved' AND NEW.resolved_by NOT LIKE 'aegis:%' THEN
        IF OLD.status <> 'proposed'
            OR NEW.proposed_by IS DISTINCT FROM OLD.proposed_by
            OR NEW.proposal::text IS DISTINCT FROM OLD.proposal::text
        THEN
            RAISE EXCEPTION 'discrepancy % has no proposal of somebody else', OLD.id
                USING ERRCODE = 'restrict_violation', CONSTRAINT = 'discrepancies_two_persons';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER discrepancies_take_two_persons BEFORE UPDATE ON discrepancies
    FOR EACH ROW EXECUTE FUNCTION discrepancies_take_two_persons();
