-- Who is another person: case, spaces, sudo and HTTP make none.

-- As the program has it (second_person in src/postgres/audit.rs); NULL: the name tells nobody.
CREATE FUNCTION person(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT nullif(nullif(btrim(rtrim(
        regexp_replace(
            regexp_replace(lower(btrim(name, E' \t\r\n')), '^http(: *|$)', ''),
            '^root \(sudo by ', ''),
        ')'), E' \t\r\n'), ''), 'unknown')
$$;

-- What was decided before stays as it was: the rows that stand are not looked at again, and a run that
-- was approved under the former rule may end.
ALTER TABLE payout_runs
    DROP CONSTRAINT payout_runs_approved_by_another,
    ADD CONSTRAINT payout_runs_approved_by_another CHECK (
        approved_by IS NULL OR status IN ('finished', 'cancelled')
        OR (person(approved_by) <> person(started_by)) IS TRUE) NOT VALID;

-- The program itself closes what a later statement brought, whoever proposed something meanwhile.
ALTER TABLE discrepancies
    DROP CONSTRAINT discrepancies_two_persons,
    ADD CONSTRAINT discrepancies_two_persons CHECK (
        status <> 'resolved' OR proposed_by IS NULL OR resolved_by LIKE 'aegis:%'
        OR (person(resolved_by) <> person(proposed_by)) IS TRUE) NOT VALID;
