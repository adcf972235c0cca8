//! The settlement export: a line for each movement of the balance, the oldest first.
//!
//! Paystack documents that its exports are CSV (<https://paystack.com/docs/api/transaction/#export>,
//! <https://paystack.com/docs/api/transfer/#export>), and not their columns. These have the names
//! and units of its API's fields. `net` is what the line did to the balance, so that they sum to it;
//! `net` is `amount` less `fees`.

use super::books::{Account, Books, EntryKind};
use super::json::timestamp;

const COLUMNS: [&str; 9] = [
    "type",
    "id",
    "reference",
    "currency",
    "amount",
    "fees",
    "net",
    "status",
    "created_at",
];

/// The file.
pub(super) fn csv(books: &Books) -> Result<Vec<u8>, csv::Error> {
    let mut file = csv::Writer::from_writer(Vec::new());
    file.write_record(COLUMNS)?;
    for entry in books.entries() {
        let net = entry.change_of(Account::Balance);
        // A payment that its fee eats up is one all the same.
        if net == 0 && entry.kind != EntryKind::Payment {
            continue;
        }
        let fees = entry.change_of(Account::Fees);
        file.write_record([
            entry.kind.as_str(),
            &entry.id.to_string(),
            &entry.reference,
            entry.currency.code(),
            &net.saturating_add(fees).to_string(),
            &fees.to_string(),
            &net.to_string(),
            &status(books, entry.kind, &entry.reference, entry.id),
            &timestamp(entry.at),
        ])?;
    }
    file.into_inner().map_err(|error| error.into_error().into())
}

/// How the object of a line stands now.
fn status(books: &Books, kind: EntryKind, reference: &str, id: u64) -> String {
    let status = match kind {
        EntryKind::TopUp => None,
        EntryKind::Payment | EntryKind::Chargeback => {
            let payment = books.payment(reference).ok();
            payment.map(|payment| payment.status.to_string())
        }
        EntryKind::Transfer | EntryKind::TransferSuccess | EntryKind::TransferReturn => {
            let transfer = books.transfer_of(reference).ok();
            transfer.map(|transfer| transfer.status.to_string())
        }
        EntryKind::Refund | EntryKind::RefundProcessed | EntryKind::RefundReturn => {
            let refund = books.refund_of(id).ok();
            refund.map(|refund| refund.status.to_string())
        }
    };
    status.unwrap_or_else(|| "success".to_owned())
}
