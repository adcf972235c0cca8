//! Payment service providers: what money comes in through and goes out by.
//!
//! [`Psp`] is what the rest of Aegis knows of one; [`paystack`] speaks to the real host. Nothing
//! here touches a ledger or a database. What a caller may assume after an error is all in the
//! error ([`PspError`]): whether a thing certainly did not happen, or may have.

mod error;
pub(crate) mod http;
mod model;
pub mod paystack;
mod status;
mod webhook;

pub use error::PspError;
pub use model::{
    Checkout, Destination, Dispute, Lookup, NewPayment, NewRecipient, NewRefund, NewTransfer,
    Payment, Recipient, Refund, Transfer,
};
pub use paystack::{Paystack, PaystackOptions};
pub use status::{Conclusion, DisputeStatus, PaymentStatus, RefundStatus, TransferStatus};
pub use webhook::{Subject, WebhookError, WebhookEvent};

/// A payment service provider.
///
/// References are the caller's and are written down before the call, so that after an error the
/// provider can be asked what became of them.
pub trait Psp: Send + Sync {
    /// As in addresses and routes: `paystack`.
    fn name(&self) -> &'static str;

    /// Opens a payment: where its customer pays.
    ///
    /// # Errors
    /// [`PspError::ReferenceTaken`] where the reference was used before.
    fn initialize(
        &self,
        payment: &NewPayment,
    ) -> impl Future<Output = Result<Checkout, PspError>> + Send;

    /// How a payment stands.
    ///
    /// # Errors
    /// Any: then nothing is known about the payment. That the provider doesn't know the reference
    /// is no error but [`Lookup::NotKnown`].
    fn verify(
        &self,
        reference: &str,
    ) -> impl Future<Output = Result<Lookup<Payment>, PspError>> + Send;

    /// Makes an account known that transfers can go to. The same account twice is one recipient.
    ///
    /// # Errors
    /// Any.
    fn create_recipient(
        &self,
        recipient: &NewRecipient,
    ) -> impl Future<Output = Result<Recipient, PspError>> + Send;

    /// Sends money to a recipient.
    ///
    /// # Errors
    /// After [`PspError::Unknown`] the money may be gone: ask with [`Psp::verify_transfer`], and
    /// send nothing again before the answer is [`Lookup::NotKnown`].
    fn transfer(
        &self,
        transfer: &NewTransfer,
    ) -> impl Future<Output = Result<Transfer, PspError>> + Send;

    /// How a transfer stands.
    ///
    /// # Errors
    /// Any: then nothing is known about the transfer.
    fn verify_transfer(
        &self,
        reference: &str,
    ) -> impl Future<Output = Result<Lookup<Transfer>, PspError>> + Send;

    /// Gives all or a part of a payment back.
    ///
    /// A refund has no reference of the caller's: after [`PspError::Unknown`] look for it in
    /// [`Psp::refunds_of`], by the note that was sent with it.
    ///
    /// # Errors
    /// Any.
    fn refund(&self, refund: &NewRefund) -> impl Future<Output = Result<Refund, PspError>> + Send;

    /// All refunds of a payment, by the provider's id of it ([`Payment::id`]).
    ///
    /// # Errors
    /// Any: then nothing is known about its refunds.
    fn refunds_of(
        &self,
        payment_id: &str,
    ) -> impl Future<Output = Result<Vec<Refund>, PspError>> + Send;

    /// All disputes about a payment, by the provider's id of it ([`Payment::id`]).
    ///
    /// # Errors
    /// Any: then nothing is known about its disputes.
    fn disputes_of(
        &self,
        payment_id: &str,
    ) -> impl Future<Output = Result<Vec<Dispute>, PspError>> + Send;

    /// The header that carries a webhook's signature.
    fn signature_header(&self) -> &'static str;

    /// Checks a webhook's signature over the bytes as they came in, then reads it.
    ///
    /// # Errors
    /// [`WebhookError`]; what the provider did not sign is not looked into.
    fn webhook(&self, body: &[u8], signature: Option<&str>) -> Result<WebhookEvent, WebhookError>;

    /// Reads a webhook whose signature was checked when it came in.
    ///
    /// # Errors
    /// [`WebhookError::Unreadable`].
    fn read_webhook(&self, body: &[u8]) -> Result<WebhookEvent, WebhookError>;
}
