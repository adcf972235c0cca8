-- Settlement: what matured moves from pending to available and reserve, once for each merchant,
-- currency and period.

CREATE TABLE settlements (
    ledger_id      integer NOT NULL,
    id             uuid NOT NULL,
    merchant       merchant_id NOT NULL,
    currency       currency_code NOT NULL,
    -- The merchant's day.
    period         date NOT NULL,
    -- When the last of its payments matured.
    matured_at     timestamptz NOT NULL,
    payments       bigint NOT NULL,
    -- Sums over its payments, as they were made, and what went back of them until then.
    gross          bigint NOT NULL,
    fee            bigint NOT NULL,
    net            bigint NOT NULL,
    refunded       bigint NOT NULL,
    -- What left pending; below 0 where more went back than had come.
    amount         bigint NOT NULL,
    -- Where it went. Below 0: where what was lacking came from.
    owed_repaid    bigint NOT NULL,
    reserved       bigint NOT NULL,
    released       bigint NOT NULL,
    -- NULL: nothing moved.
    transaction_id uuid,
    settled_at     timestamptz NOT NULL,
    settled_by     text NOT NULL,
    CONSTRAINT settlements_pkey PRIMARY KEY (ledger_id, id),
    CONSTRAINT settlements_period_key UNIQUE (ledger_id, merchant, currency, period),
    CONSTRAINT settlements_merchant_exists
        FOREIGN KEY (ledger_id, merchant) REFERENCES merchants (ledger_id, id),
    CONSTRAINT settlements_parts_sum_up CHECK (owed_repaid + reserved + released = amount),
    CONSTRAINT settlements_reserve_not_negative CHECK (reserved >= 0),
    CONSTRAINT settlements_of_payments CHECK (payments > 0)
);
CREATE TRIGGER settlements_permanent BEFORE UPDATE OR DELETE OR TRUNCATE ON settlements
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a settlement held back under one version of the terms, and when it is released.
CREATE TABLE settlement_reserves (
    ledger_id      integer NOT NULL,
    settlement_id  uuid NOT NULL,
    terms_version  integer NOT NULL,
    merchant       merchant_id NOT NULL,
    currency       currency_code NOT NULL,
    amount         bigint NOT NULL,
    due_at         timestamptz NOT NULL,
    released_at    timestamptz,
    owed_repaid    bigint NOT NULL DEFAULT 0,
    transaction_id uuid,
    CONSTRAINT settlement_reserves_pkey PRIMARY KEY (ledger_id, settlement_id, terms_version),
    CONSTRAINT settlement_reserves_settlement_exists
        FOREIGN KEY (ledger_id, settlement_id) REFERENCES settlements (ledger_id, id),
    CONSTRAINT settlement_reserves_amount_positive CHECK (amount > 0),
    CONSTRAINT settlement_reserves_released_as_a_whole
        CHECK ((released_at IS NULL) = (transaction_id IS NULL)),
    CONSTRAINT settlement_reserves_owed_within_amount CHECK (owed_repaid BETWEEN 0 AND amount)
);
CREATE INDEX settlement_reserves_due_idx ON settlement_reserves (ledger_id, due_at)
    WHERE released_at IS NULL;
CREATE TRIGGER settlement_reserves_permanent BEFORE DELETE OR TRUNCATE ON settlement_reserves
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
