-- What verifications of whole ledgers came to, so that somebody is told where one failed, or was not
-- made for long.
CREATE TABLE verify_runs (
    ledger_id     integer NOT NULL,
    id            bigint GENERATED ALWAYS AS IDENTITY,
    ok            boolean NOT NULL,
    -- The names of the checks that found something.
    failed_checks text[] NOT NULL,
    transactions  bigint NOT NULL,
    entries       bigint NOT NULL,
    wallets       bigint NOT NULL,
    run_by        text NOT NULL,
    run_from      text NOT NULL,
    started_at    timestamptz NOT NULL,
    finished_at   timestamptz NOT NULL,
    CONSTRAINT verify_runs_pkey PRIMARY KEY (ledger_id, id),
    CONSTRAINT verify_runs_ledger_exists FOREIGN KEY (ledger_id) REFERENCES ledgers (id),
    CONSTRAINT verify_runs_ok_without_failed_checks
        CHECK (ok = (cardinality(failed_checks) = 0)),
    CONSTRAINT verify_runs_counts_from_zero
        CHECK (transactions >= 0 AND entries >= 0 AND wallets >= 0),
    CONSTRAINT verify_runs_ended_after_they_began CHECK (finished_at >= started_at)
);
CREATE TRIGGER verify_runs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON verify_runs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE INDEX disputes_open_idx ON disputes (created_at) WHERE status = 'open';
