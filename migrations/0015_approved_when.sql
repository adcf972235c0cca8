-- Who approved a payout run is looked at when it is approved, not whenever the run comes further: one
-- that was approved under a former rule goes on.

ALTER TABLE payout_runs DROP CONSTRAINT payout_runs_approved_by_another;

CREATE FUNCTION payout_runs_take_two_persons() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (person(NEW.approved_by) <> person(NEW.started_by)) IS NOT TRUE THEN
        RAISE EXCEPTION 'payout run % is not approved by somebody else than who started it', NEW.key
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payout_runs_approved_by_another';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER payout_runs_inserted_by_two BEFORE INSERT ON payout_runs
    FOR EACH ROW WHEN (NEW.approved_by IS NOT NULL)
    EXECUTE FUNCTION payout_runs_take_two_persons();
CREATE TRIGGER payout_runs_approved_by_two BEFORE UPDATE ON payout_runs
    FOR EACH ROW WHEN (NEW.approved_by IS NOT NULL
        AND NEW.approved_by IS DISTINCT FROM OLD.approved_by)
    EXECUTE FUNCTION payout_runs_take_two_persons();
