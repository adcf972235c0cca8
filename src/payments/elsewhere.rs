//! What a PSP tells about money that goes back or out. Here the other rooms plug in.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Options, PaymentError};
use crate::postgres::webhooks::Fate;
use crate::psp::Subject;

/// Applies an event that is about no payment, within the webhook's transaction.
///
/// Transfers belong to payouts (`payouts::apply_transfer`), refunds and disputes to refunds
/// (`refunds::apply_refund`, `refunds::apply_dispute`); what they are about is found by
/// `psp_references::find`. Until then such a webhook is kept.
pub(super) async fn apply(
    _conn: &mut PgConnection,
    _options: &Options,
    subject: &Subject,
    _now: OffsetDateTime,
) -> Result<Fate, PaymentError> {
    match subject {
        Subject::Transfer(_) | Subject::Refund(_) | Subject::Dispute(_) => Ok(Fate::Later),
        // Payments are applied together, before.
        Subject::Payment(_) | Subject::Other => Ok(Fate::Ignored),
    }
}
