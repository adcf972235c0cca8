//! The provider without a network: a [`Psp`] whose steps a test decides.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;

use super::books::{
    Books, DisputeRecord, Fees, No, PaymentRecord, RecipientRecord, RefundRecord, TransferRecord,
};
use super::fault::{Armed, Call, Fault, Faults};
use super::json;
use super::provider::{Provider, Served};
use super::settlement;
use crate::config::Secret;
use crate::psp::paystack::{self, Paystack, PaystackError, PaystackOptions};
use crate::psp::{
    Checkout, Dispute, Lookup, NewPayment, NewRecipient, NewRefund, NewTransfer, Payment, Psp,
    PspError, Recipient, Refund, Transfer, WebhookError, WebhookEvent,
};

/// A webhook as it would be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedWebhook {
    /// The bytes.
    pub body: Vec<u8>,
    /// The signature over them.
    pub signature: String,
}

/// The simulator's books behind the trait, with the same faults as over HTTP. Nothing happens by
/// itself: customers pay and transfers end when the test says so.
pub struct LocalPsp {
    provider: Mutex<Provider>,
    clock: Box<dyn Fn() -> OffsetDateTime + Send + Sync>,
    secret_key: Secret,
    /// Reads webhooks; it calls nobody.
    reader: Paystack,
}

impl fmt::Debug for LocalPsp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalPsp").finish_non_exhaustive()
    }
}

impl LocalPsp {
    /// With empty books, and this clock.
    ///
    /// # Errors
    /// As [`Paystack::new`].
    pub fn new(
        secret_key: Secret,
        fees: Fees,
        faults: Faults,
        clock: impl Fn() -> OffsetDateTime + Send + Sync + 'static,
    ) -> Result<Self, PaystackError> {
        Ok(Self {
            provider: Mutex::new(Provider {
                books: Books::new(fees),
                faults,
            }),
            clock: Box::new(clock),
            reader: Paystack::new(PaystackOptions::new(secret_key.clone()))?,
            secret_key,
        })
    }

    /// Looks at the books, or changes them by hand.
    pub fn with_books<T>(&self, act: impl FnOnce(&mut Books) -> T) -> T {
        act(&mut self.provider().books)
    }

    /// The settlement export, as `GET /simulator/settlement.csv` answers with it.
    ///
    /// # Errors
    /// Where it can't be written as CSV.
    pub fn settlement_csv(&self) -> Result<Vec<u8>, csv::Error> {
        settlement::csv(&self.provider().books)
    }

    /// Lets a fault wait for its call.
    pub fn arm(&self, armed: Armed) {
        self.provider().faults.arm(armed);
    }

    /// Lets no fault wait any more.
    pub fn disarm(&self) {
        self.provider().faults.disarm();
    }

    /// The customer pays, unless a fault says otherwise.
    ///
    /// # Errors
    /// As [`Books::pay`].
    pub fn pay(&self, reference: &str) -> Result<(), No> {
        self.provider().pay(reference, (self.clock)())
    }

    /// A pending transfer ends, well unless a fault says otherwise.
    ///
    /// # Errors
    /// Where it is not pending.
    pub fn settle_transfer(&self, reference: &str) -> Result<(), No> {
        self.provider().settle_transfer(reference, (self.clock)())
    }

    /// What would have been sent since this was last asked.
    pub fn take_webhooks(&self) -> Vec<SignedWebhook> {
        let happened = self.provider().books.take_happened();
        let bodies = happened.iter().map(json::event);
        bodies
            .map(|body| SignedWebhook {
                signature: paystack::sign(&self.secret_key, &body),
                body,
            })
            .collect()
    }

    fn provider(&self) -> MutexGuard<'_, Provider> {
        // A test that failed meanwhile left nothing half done.
        self.provider.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve<T>(
        &self,
        call: Call,
        reference: &str,
        act: impl FnOnce(&mut Books, OffsetDateTime) -> Result<T, No>,
    ) -> Result<T, PspError> {
        let now = (self.clock)();
        let mut provider = self.provider();
        let served = provider.serve(call, reference, &[], |books| act(books, now));
        if served.early && matches!(served.answer, Some(Ok(_))) {
            // Whether it can be told early is not the caller's concern.
            drop(match call {
                Call::Initialize => provider.pay(reference, now),
                _ => provider.settle_transfer(reference, now),
            });
        }
        drop(provider);
        heard(served, reference)
    }
}

/// What the caller hears.
fn heard<T>(served: Served<T>, reference: &str) -> Result<T, PspError> {
    match (served.trouble, served.answer) {
        (Some(Fault::RateLimit), _) => Err(PspError::RateLimited { retry_after: None }),
        (Some(trouble), _) if trouble != Fault::Slow => Err(PspError::unknown(trouble.help())),
        (_, Some(Ok(answer))) => Ok(answer),
        (_, Some(Err(no))) if no == No::duplicate_payment() || no == No::duplicate_transfer() => {
            Err(PspError::ReferenceTaken {
                reference: reference.to_owned(),
            })
        }
        (_, Some(Err(no))) => Err(PspError::Refused {
            code: no.code.to_owned(),
            message: no.message,
        }),
        (_, None) => Err(PspError::unknown("no answer")),
    }
}

/// A question whose answer may be that there is none.
fn lookup<T>(found: Result<T, No>, not_found: &No) -> Result<Lookup<T>, No> {
    match found {
        Ok(found) => Ok(Lookup::Known(found)),
        Err(no) if no == *not_found => Ok(Lookup::NotKnown),
        Err(no) => Err(no),
    }
}

impl Psp for LocalPsp {
    fn name(&self) -> &'static str {
        paystack::NAME
    }

    async fn initialize(&self, payment: &NewPayment) -> Result<Checkout, PspError> {
        self.serve(Call::Initialize, &payment.reference, |books, now| {
            let record = books.initialize(payment, now)?;
            Ok(Checkout {
                reference: record.reference.clone(),
                url: format!("https://checkout.example.com/{}", record.id),
                access_code: record.id.to_string(),
            })
        })
    }

    async fn verify(&self, reference: &str) -> Result<Lookup<Payment>, PspError> {
        self.serve(Call::Verify, reference, |books, _| {
            let found = books.payment(reference).map(payment_of);
            lookup(found, &No::payment_not_found())
        })
    }

    async fn create_recipient(&self, recipient: &NewRecipient) -> Result<Recipient, PspError> {
        self.serve(Call::Recipient, "", |books, now| {
            books.add_recipient(recipient, now).map(recipient_of)
        })
    }

    async fn transfer(&self, transfer: &NewTransfer) -> Result<Transfer, PspError> {
        self.serve(Call::Transfer, &transfer.reference, |books, now| {
            books.transfer(transfer, now).map(transfer_of)
        })
    }

    async fn verify_transfer(&self, reference: &str) -> Result<Lookup<Transfer>, PspError> {
        self.serve(Call::VerifyTransfer, reference, |books, _| {
            let found = books.transfer_of(reference).map(transfer_of);
            lookup(found, &No::transfer_not_found())
        })
    }

    async fn refund(&self, refund: &NewRefund) -> Result<Refund, PspError> {
        self.serve(Call::Refund, &refund.payment_reference, |books, now| {
            books.refund(refund, now).map(refund_of)
        })
    }

    async fn refunds_of(&self, payment_id: &str) -> Result<Vec<Refund>, PspError> {
        self.serve(Call::Refunds, payment_id, |books, _| {
            let id = payment_id.parse().map_err(|_| No::payment_not_found())?;
            Ok(books.refunds_of(id).into_iter().map(refund_of).collect())
        })
    }

    async fn disputes_of(&self, payment_id: &str) -> Result<Vec<Dispute>, PspError> {
        self.serve(Call::Disputes, payment_id, |books, _| {
            let payment = books.payment_by_any(payment_id)?;
            let disputes = books.disputes_of(&payment.reference);
            Ok(disputes.map(|it| dispute_of(it, payment)).collect())
        })
    }

    fn signature_header(&self) -> &'static str {
        self.reader.signature_header()
    }

    fn webhook(&self, body: &[u8], signature: Option<&str>) -> Result<WebhookEvent, WebhookError> {
        self.reader.webhook(body, signature)
    }

    fn read_webhook(&self, body: &[u8]) -> Result<WebhookEvent, WebhookError> {
        self.reader.read_webhook(body)
    }
}

fn dispute_of(record: &DisputeRecord, payment: &PaymentRecord) -> Dispute {
    Dispute {
        id: record.id.to_string(),
        payment_reference: record.payment_reference.clone(),
        status: record.status.clone(),
        resolution: record.resolution.map(str::to_owned),
        refund_amount: Some(record.amount),
        payment_amount: payment.amount,
        currency: record.currency,
        category: Some("chargeback".to_owned()),
    }
}

fn payment_of(record: &PaymentRecord) -> Payment {
    Payment {
        reference: record.reference.clone(),
        id: record.id.to_string(),
        status: record.status.clone(),
        amount: record.amount,
        currency: record.currency,
        fee: record.fee,
        paid_at: record.paid_at,
        detail: None,
    }
}

fn recipient_of(record: &RecipientRecord) -> Recipient {
    Recipient {
        code: record.code.clone(),
        name: Some(record.name.clone()),
        active: true,
    }
}

fn transfer_of(record: &TransferRecord) -> Transfer {
    Transfer {
        reference: record.reference.clone(),
        code: record.code.clone(),
        status: record.status.clone(),
        amount: record.amount,
        currency: record.currency,
        fee: Some(record.fee),
        detail: None,
    }
}

fn refund_of(record: &RefundRecord) -> Refund {
    Refund {
        id: Some(record.id.to_string()),
        payment_reference: Some(record.payment_reference.clone()),
        refund_reference: None,
        amount: record.amount,
        currency: record.currency,
        status: record.status.clone(),
        merchant_note: record.merchant_note.clone(),
    }
}
