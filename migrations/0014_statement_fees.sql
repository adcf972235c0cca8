-- A line says which run took its fee into the ledger, which is known when the line is written; the
-- transaction comes last, since it locks the wallets that everybody posts to. Its key names the run.

ALTER TABLE statement_lines ADD COLUMN fee_taken_by uuid;
UPDATE statement_lines l SET fee_taken_by = split_part(t.idempotency_key, ':', 3)::uuid
FROM transactions t
WHERE t.ledger_id = l.ledger_id AND t.id = l.fee_transaction_id;
ALTER TABLE statement_lines DROP COLUMN fee_transaction_id;
