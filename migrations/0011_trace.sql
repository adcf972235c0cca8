-- What people have in hand when they ask for the way of a payment: the PSP's own ids, and their own
-- names for payouts.
CREATE INDEX payments_psp_id_idx ON payments (ledger_id, psp_id) WHERE psp_id IS NOT NULL;
CREATE INDEX payouts_psp_code_idx ON payouts (ledger_id, psp_code) WHERE psp_code IS NOT NULL;
CREATE INDEX payouts_label_idx ON payouts (ledger_id, label) WHERE label IS NOT NULL;
CREATE INDEX discrepancies_subject_idx ON discrepancies (ledger_id, subject_id)
    WHERE subject_id IS NOT NULL;
