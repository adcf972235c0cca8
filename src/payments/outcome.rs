//! What a PSP says about payments takes effect here, whether it told by itself or was asked, in any
//! order and however often: a payment is credited once.
//!
//! | the PSP says | the payment stands as | what follows |
//! |---|---|---|
//! | another amount or currency | any | a discrepancy |
//! | paid | created, pending, failed, abandoned | credited |
//! | paid | paid already | nothing; a fee of the PSP's that was not known is booked; under another id of the PSP's a discrepancy |
//! | paid, and given back | refunded | nothing |
//! | paid, and given back | any other | a discrepancy |
//! | an attempt failed | not paid | noted: the customer may try again |
//! | not paid yet | any | nothing |

use std::collections::{BTreeSet, HashMap};

use sqlx::PgConnection;
use time::{Date, OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::{Options, PaymentError, news};
use crate::engine::{Posting, post_own};
use crate::event::EventType;
use crate::ledger::{Currency, Details, Ledger, whole_microseconds};
use crate::merchant::{MerchantId, Purse, house};
use crate::postgres::discrepancies::{Class, Finding, Sum};
use crate::postgres::payments::{self, Payment, PaymentStatus, Success};
use crate::postgres::webhooks::Fate;
use crate::postgres::{merchants, outbox, settlement_gate};
use crate::psp::{self, Conclusion};
use crate::telemetry::span::{Kind, Span};
use crate::terms::{BeyondCalendar, Terms};

/// Who heard it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The PSP told it by itself.
    Webhook,
    /// It was asked.
    Query,
}

impl Source {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Query => "query",
        }
    }
}

/// What a PSP said about a payment.
#[derive(Clone, Debug)]
pub struct Told {
    /// Which payment it is here.
    pub id: Uuid,
    /// How it is known.
    pub source: Source,
    /// How it stands there.
    pub said: psp::Payment,
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Credit,
    /// Only the PSP's fee is new.
    Fee(i64),
    Note(String),
    Nothing,
    Amiss(Class, String),
}

fn verdict(payment: &Payment, said: &psp::Payment) -> Verdict {
    if said.currency != payment.currency {
        let detail = format!(
            "the PSP has the payment in {}, it was asked for in {}",
            said.currency, payment.currency
        );
        return Verdict::Amiss(Class::Currency, detail);
    }
    if said.amount != payment.amount {
        let detail = format!(
            "the PSP has {} minor units, {} were asked for",
            said.amount, payment.amount
        );
        return Verdict::Amiss(Class::Amount, detail);
    }
    match said.status.conclusion() {
        Conclusion::Done if !payment.status.is_paid() => Verdict::Credit,
        Conclusion::Done => match (&payment.psp_id, payment.psp_fee, said.fee) {
            (Some(id), _, _) if *id != said.id => {
                let detail = format!("the PSP has it as {}, it was paid as {id} before", said.id);
                Verdict::Amiss(Class::Duplicate, detail)
            }
            (_, None, Some(fee)) => Verdict::Fee(fee),
            _ => Verdict::Nothing,
        },
        Conclusion::Undone if payment.status == PaymentStatus::Refunded => Verdict::Nothing,
        Conclusion::Undone => {
            let status = payment.status.as_str();
            let detail = format!("the PSP says that it was given back, here it is {status}");
            Verdict::Amiss(Class::Status, detail)
        }
        Conclusion::Open if said.status == psp::PaymentStatus::Failed => {
            if payment.status.is_paid() {
                return Verdict::Nothing;
            }
            let why = said.detail.as_deref().unwrap_or("the PSP does not say why");
            Verdict::Note(format!("the customer's attempt failed: {why}"))
        }
        Conclusion::Open => Verdict::Nothing,
    }
}

/// Applies what was said about payments of one ledger, in order, within the transaction that `conn`
/// is in: all of it, or an error.
///
/// # Errors
/// [`PaymentError::Refused`] and [`PaymentError::Calendar`] where one of the credits is not
/// possible; where the database fails. The caller rolls back.
pub async fn apply(
    conn: &mut PgConnection,
    options: &Options,
    ledger: &Ledger,
    told: &[Told],
    now: OffsetDateTime,
) -> Result<Vec<Fate>, PaymentError> {
    let mut batch = Batch::lock(conn, ledger, told).await?;
    let (span, _others) = batch.spans(told);
    let work = async {
        let mut fates = Vec::with_capacity(told.len());
        for told in told {
            fates.push(batch.take_in(conn, options, told, now).await?);
        }
        batch.write(conn, options, now).await?;
        Ok(fates)
    };
    span.within(work).await
}

/// Payments under lock, and what is to be written of them.
struct Batch<'a> {
    ledger: &'a Ledger,
    standing: HashMap<Uuid, Payment>,
    credited: Vec<Uuid>,
    /// Whose fee of the PSP's is booked.
    charged: Vec<Uuid>,
    terms: HashMap<(MerchantId, Currency, i32), Terms>,
    settled: HashMap<(MerchantId, Currency, Date), bool>,
}

impl<'a> Batch<'a> {
    async fn lock(
        conn: &mut PgConnection,
        ledger: &'a Ledger,
        told: &[Told],
    ) -> sqlx::Result<Self> {
        let ids: BTreeSet<Uuid> = told.iter().map(|told| told.id).collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        // The gate comes before the rows; whose gate it is never changes.
        let read = payments::read(conn, ledger.id, &ids).await?;
        let paid: BTreeSet<Uuid> = told
            .iter()
            .filter(|told| told.said.status.conclusion() == Conclusion::Done)
            .map(|told| told.id)
            .collect();
        let gates: Vec<(&MerchantId, Currency)> = read
            .iter()
            .filter(|payment| paid.contains(&payment.id))
            .map(|payment| (&payment.merchant, payment.currency))
            .collect();
        if !gates.is_empty() {
            settlement_gate::share_all(conn, ledger.id, &gates).await?;
        }
        let locked = payments::lock(conn, ledger.id, &ids).await?;
        Ok(Self {
            ledger,
            standing: locked.into_iter().map(|p| (p.id, p)).collect(),
            credited: Vec::new(),
            charged: Vec::new(),
            terms: HashMap::new(),
            settled: HashMap::new(),
        })
    }

    /// A step in the trace of each payment: the first has all that is done, the others point to it.
    fn spans(&self, told: &[Told]) -> (Span, Vec<Span>) {
        let step = |payment: &Payment| {
            let traceparent = payment.traceparent.as_deref();
            let span = Span::going_on(traceparent, Kind::Internal, "apply outcome");
            if span.is_recorded() {
                span.set("aegis.payment", payment.id.to_string());
            }
            span.is_recorded().then_some(span)
        };
        let standing = told.iter().filter_map(|told| self.standing.get(&told.id));
        let mut spans = standing.filter_map(step);
        let first = spans.next().unwrap_or_default();
        let others: Vec<Span> = spans.collect();
        others.iter().for_each(|other| other.link(&first));
        (first, others)
    }

    async fn take_in(
        &mut self,
        conn: &mut PgConnection,
        options: &Options,
        told: &Told,
        now: OffsetDateTime,
    ) -> Result<Fate, PaymentError> {
        let (ledger, said) = (self.ledger, &told.said);
        let Some(payment) = self.standing.get(&told.id) else {
            return Ok(Fate::Ignored);
        };
        match verdict(payment, said) {
            Verdict::Credit => {
                self.credit(conn, told.id, said, now).await?;
                Ok(Fate::Applied)
            }
            Verdict::Fee(fee) => {
                if let Some(payment) = self.standing.get_mut(&told.id) {
                    payment.psp_fee = Some(fee);
                    self.charged.push(told.id);
                }
                Ok(Fate::Applied)
            }
            Verdict::Note(words) => {
                payments::note(conn, ledger.id, told.id, &words, now).await?;
                Ok(Fate::Applied)
            }
            Verdict::Nothing => Ok(Fate::Ignored),
            Verdict::Amiss(class, detail) => {
                let sum = |amount, currency: Currency| Sum {
                    amount,
                    currency: currency.to_string(),
                };
                let finding = Finding {
                    class,
                    source: told.source.as_str(),
                    identity: &format!("{}:{}:{}", options.psp, said.reference, said.id),
                    psp: Some(&options.psp),
                    reference: Some(&said.reference),
                    subject: Some(("payment", told.id)),
                    expected: Some(sum(payment.amount, payment.currency)),
                    found: Some(sum(said.amount, said.currency)),
                    detail: &detail,
                    occurred_at: said.paid_at,
                };
                let correlation_id = payment.correlation_id.as_deref();
                news::amiss(conn, options, ledger, &finding, correlation_id, now).await?;
                Ok(Fate::Discrepancy)
            }
        }
    }

    async fn credit(
        &mut self,
        conn: &mut PgConnection,
        id: Uuid,
        said: &psp::Payment,
        now: OffsetDateTime,
    ) -> Result<(), PaymentError> {
        let Some(payment) = self.standing.get(&id).cloned() else {
            return Ok(());
        };
        let paid_at = paid_at(&payment, said.paid_at, now);
        let beyond = |source| PaymentError::Calendar { id, source };
        let terms = self.terms_of(conn, &payment).await?;
        let mut period = terms.settlement().period_of(paid_at).map_err(beyond)?;
        while self.is_settled(conn, &payment, period).await? {
            period = next_period(&terms, period).map_err(beyond)?;
        }
        let matures_at = terms.settlement().period_matures_at(period);
        let matures_at = matures_at.map_err(beyond)?;
        let paid = Payment {
            status: PaymentStatus::Succeeded,
            psp_id: Some(said.id.clone()),
            psp_fee: said.fee,
            paid_at: Some(paid_at),
            period: Some(period),
            matures_at: Some(matures_at),
            unsettled: payment.net,
            next_attempt_at: None,
            last_error: None,
            updated_at: now,
            ..payment
        };
        self.credited.push(id);
        if said.fee.is_some() {
            self.charged.push(id);
        }
        self.standing.insert(id, paid);
        Ok(())
    }

    async fn terms_of(
        &mut self,
        conn: &mut PgConnection,
        payment: &Payment,
    ) -> sqlx::Result<Terms> {
        let (merchant, currency) = (&payment.merchant, payment.currency);
        let key = (merchant.clone(), currency, payment.terms_version);
        if let Some(terms) = self.terms.get(&key) {
            return Ok(terms.clone());
        }
        let version = payment.terms_version;
        let agreed = merchants::terms_at(conn, self.ledger.id, merchant, currency, version).await?;
        self.terms.insert(key, agreed.terms.clone());
        Ok(agreed.terms)
    }

    async fn is_settled(
        &mut self,
        conn: &mut PgConnection,
        payment: &Payment,
        period: Date,
    ) -> sqlx::Result<bool> {
        let (merchant, currency) = (&payment.merchant, payment.currency);
        let key = (merchant.clone(), currency, period);
        if let Some(settled) = self.settled.get(&key) {
            return Ok(*settled);
        }
        let id = self.ledger.id;
        let settled = payments::is_settled(conn, id, merchant, currency, period).await?;
        self.settled.insert(key, settled);
        Ok(settled)
    }

    /// Entries, rows and events.
    async fn write(
        self,
        conn: &mut PgConnection,
        options: &Options,
        now: OffsetDateTime,
    ) -> Result<(), PaymentError> {
        let standing = |ids: &[Uuid]| -> Vec<&Payment> {
            ids.iter().filter_map(|id| self.standing.get(id)).collect()
        };
        let (credited, charged) = (standing(&self.credited), standing(&self.charged));
        let credits = credited.iter().map(|payment| credit_of(payment));
        let fees = charged.iter().filter_map(|payment| psp_fee_of(payment));
        let postings: Vec<Posting> = credits.chain(fees).collect();
        let topic = &options.topic_transactions;
        post_own(conn, self.ledger, postings, topic)
            .await?
            .map_err(PaymentError::Refused)?;
        let rows: Vec<Success> = credited.iter().filter_map(|p| success_of(p)).collect();
        if !rows.is_empty() {
            payments::succeed(conn, self.ledger.id, &rows, now).await?;
        }
        let before = charged.iter().filter(|p| !self.credited.contains(&p.id));
        for payment in before {
            let fee = payment.psp_fee.unwrap_or_default();
            payments::fee_known(conn, self.ledger.id, payment.id, fee, now).await?;
        }
        let news: Vec<_> = credited
            .iter()
            .map(|payment| news::news(EventType::PaymentSucceeded, self.ledger, payment))
            .collect();
        if !news.is_empty() {
            let topic = &options.topic_settlements;
            outbox::tell(conn, self.ledger.id, topic, &news, now).await?;
        }
        Ok(())
    }
}

/// When a payment was paid, as far as that can be: between its making and now.
fn paid_at(payment: &Payment, said: Option<OffsetDateTime>, now: OffsetDateTime) -> OffsetDateTime {
    let latest = now.max(payment.created_at);
    let paid_at = said.unwrap_or(latest).clamp(payment.created_at, latest);
    whole_microseconds(paid_at.to_offset(UtcOffset::UTC))
}

/// The period that takes in what comes as one closes.
fn next_period(terms: &Terms, period: Date) -> Result<Date, BeyondCalendar> {
    let settlement = terms.settlement();
    settlement.period_of(settlement.closes_at(period)?)
}

fn posting(payment: &Payment, step: &str) -> Posting {
    Posting::new(&format!("payment:{}:{step}", payment.id)).with_details(Details {
        reference: Some(payment.reference.clone()),
        correlation_id: payment.correlation_id.clone(),
        traceparent: payment.traceparent.clone(),
        ..Details::default()
    })
}

fn credit_of(payment: &Payment) -> Posting {
    let currency = payment.currency;
    posting(payment, "succeeded")
        .leg(
            house::psp(&payment.psp),
            currency,
            payment.amount.saturating_neg(),
        )
        .leg(
            payment.merchant.wallet(Purse::Pending),
            currency,
            payment.net,
        )
        .leg(house::fees(), currency, payment.fee)
}

/// `None`: the PSP takes nothing.
fn psp_fee_of(payment: &Payment) -> Option<Posting> {
    let fee = payment.psp_fee.filter(|fee| *fee != 0)?;
    let posting = posting(payment, "psp_fee")
        .leg(house::psp_fees(), payment.currency, fee.saturating_neg())
        .leg(house::psp(&payment.psp), payment.currency, fee);
    Some(posting)
}

fn success_of(payment: &Payment) -> Option<Success> {
    Some(Success {
        id: payment.id,
        psp_id: payment.psp_id.clone()?,
        psp_fee: payment.psp_fee,
        paid_at: payment.paid_at?,
        period: payment.period?,
        matures_at: payment.matures_at?,
    })
}
