//! A payment under lock, with all that went back of it: who bears what goes back next, and what is
//! posted for it.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Options, RefundError};
use crate::discrepancy::{self, Context};
use crate::engine::{Posting, post_own};
use crate::event::EventType;
use crate::ledger::{Address, Details, Ledger, Rejection, Wallet};
use crate::merchant::{Purse, house};
use crate::postgres::discrepancies::Finding;
use crate::postgres::outbox::{self, News};
use crate::postgres::payments::{self, Payment, PaymentStatus};
use crate::postgres::refunds::{self, Borne, Origin, Refund, RefundStatus};
use crate::postgres::{merchants, settlement_gate};
use crate::terms::{Charge, ReversalTerms, Terms};
use crate::view::{PaymentView, RefundView};

/// A payment under lock.
pub(super) struct Case<'a> {
    pub(super) options: &'a Options,
    pub(super) ledger: &'a Ledger,
    pub(super) payment: Payment,
    /// Those that the payment was made under.
    pub(super) terms: Terms,
    /// All of the payment, whatever became of them.
    pub(super) refunds: Vec<Refund>,
    pub(super) now: OffsetDateTime,
}

/// Wallets of the payment's merchant, under lock.
pub(super) struct Wallets {
    /// What the purse has, less what is held.
    pub(super) spendable: i64,
    /// What the purse itself may fall to.
    floor: Option<i64>,
    /// What the merchant owes, 0 or more.
    debt: i64,
    /// What payments lack in pending of which more went back than had come, 0 or more.
    lacking: i64,
}

impl<'a> Case<'a> {
    /// Locks the payment and its refunds, and keeps settlement runs out meanwhile.
    pub(super) async fn open(
        conn: &mut PgConnection,
        options: &'a Options,
        ledger: &'a Ledger,
        payment_id: Uuid,
        now: OffsetDateTime,
    ) -> Result<Self, RefundError> {
        let missing = || RefundError::PaymentNotFound(payment_id);
        // The gate comes before the rows; whose gate it is never changes.
        let found = payments::find(conn, ledger.id, payment_id).await?;
        let found = found.ok_or_else(missing)?;
        settlement_gate::share(conn, ledger.id, &found.merchant, found.currency).await?;
        let locked = payments::lock(conn, ledger.id, &[payment_id]).await?;
        let payment = locked.into_iter().next().ok_or_else(missing)?;
        let (merchant, version) = (&payment.merchant, payment.terms_version);
        let agreed =
            merchants::terms_at(conn, ledger.id, merchant, payment.currency, version).await?;
        let refunds = refunds::of_payment(conn, ledger.id, payment_id).await?;
        Ok(Self {
            options,
            ledger,
            payment,
            terms: agreed.terms,
            refunds,
            now,
        })
    }

    /// A refund of the payment that nothing is known of yet.
    pub(super) fn blank(&self, origin: Origin, amount: i64) -> Refund {
        let payment = &self.payment;
        Refund {
            id: Uuid::now_v7(),
            payment_id: payment.id,
            merchant: payment.merchant.clone(),
            currency: payment.currency,
            origin,
            amount,
            borne: Borne::default(),
            customer_note: None,
            psp: payment.psp.clone(),
            psp_id: None,
            psp_status: None,
            correlation_id: payment.correlation_id.clone(),
            traceparent: None,
            requested_by: payment.psp.clone(),
            status: RefundStatus::Succeeded,
            sending_since: None,
            doubtful_until: None,
            not_known_at: None,
            next_attempt_at: None,
            attempts: 0,
            waits: 0,
            last_error: None,
            resolution: None,
            created_at: self.now,
            updated_at: self.now,
        }
    }

    /// What of the payment neither went back nor is on its way.
    pub(super) fn left(&self) -> i64 {
        self.payment.amount.saturating_sub(self.payment.refunded)
    }

    /// Where the payment's money lies at this time.
    pub(super) fn purse(&self) -> Purse {
        match self.payment.settlement_id {
            None => Purse::Pending,
            Some(_) => Purse::Available,
        }
    }

    /// Locks every wallet that the payment's money can move between.
    pub(super) async fn lock_wallets(
        &self,
        conn: &mut PgConnection,
    ) -> Result<Wallets, RefundError> {
        let of = |purse| self.payment.merchant.wallet(purse);
        let all = [
            of(Purse::Pending),
            of(Purse::Available),
            of(Purse::Owed),
            house::fees(),
            house::refunds_in_transit(),
            house::psp(&self.payment.psp),
        ];
        let currency = self.payment.currency;
        let locked = refunds::lock_wallets(conn, self.ledger.id, &all, currency).await?;
        let found = |address: &Address| locked.iter().find(|w| w.address == *address);
        let spendable = |wallet: &Wallet| wallet.balance.saturating_sub(wallet.held);
        let purse = found(&of(self.purse()));
        let merchant = &self.payment.merchant;
        let lacking = refunds::lacking(conn, self.ledger.id, merchant, currency).await?;
        Ok(Wallets {
            spendable: purse.map_or(0, spendable),
            floor: purse.and_then(|wallet| wallet.min_balance),
            debt: found(&of(Purse::Owed)).map_or(0, |w| w.balance.saturating_neg().max(0)),
            lacking,
        })
    }

    /// Who bears the next `amount` that goes back. What the purse can't give is owed, and netted from
    /// the next settlement.
    ///
    /// Shares are cumulative, so that they sum to the fee and the net when all is given back; after a
    /// refund in between that came to nothing they are shares of what is left, which sums up too.
    pub(super) fn borne(
        &self,
        terms: &ReversalTerms,
        amount: i64,
        wallets: &Wallets,
    ) -> Result<Borne, RefundError> {
        let amiss = || RefundError::Shares(self.payment.id);
        let mut given = self.refunds.iter().filter(|r| r.status.is_counted());
        let given = given.try_fold(0_i64, |sum, r| sum.checked_add(r.borne.fee_share));
        let (given, before) = (given.ok_or_else(amiss)?, self.payment.refunded);
        let whole = Charge::of(self.payment.amount, self.payment.fee).ok_or_else(amiss)?;
        let so_far = whole.share(0, before).ok_or_else(amiss)?;
        let (charge, before) = match so_far.fee() == given {
            true => (whole, before),
            false => {
                let fee_left = self.payment.fee.saturating_sub(given);
                (Charge::of(self.left(), fee_left).ok_or_else(amiss)?, 0)
            }
        };
        let share = charge.share(before, amount).ok_or_else(amiss)?;
        let reversal = terms.reversal(&charge, before, amount).ok_or_else(amiss)?;
        let taken = reversal.merchant.min(wallets.room(terms));
        let (from_pending, from_available) = match self.purse() {
            Purse::Pending => (taken.min(self.own_room(terms, wallets)), 0),
            _ => (0, taken),
        };
        let taken = from_pending.max(from_available);
        Ok(Borne {
            fee_share: share.fee(),
            fee_returned: reversal.fee_returned,
            penalty: terms.penalty(),
            from_pending,
            from_available,
            from_owed: reversal.merchant.saturating_sub(taken),
        })
    }

    /// What may be taken from pending for this payment: its own part of it, and what is left of how
    /// far the terms let pending fall. The rest of pending is other payments', whose periods are
    /// settled in full whenever they mature.
    fn own_room(&self, terms: &ReversalTerms, wallets: &Wallets) -> i64 {
        let below = wallets.floor(terms).saturating_neg();
        let below = below.saturating_sub(wallets.lacking).max(0);
        self.payment.unsettled.max(0).saturating_add(below)
    }

    /// A transaction of a refund's.
    pub(super) fn posting(&self, refund: &Refund, step: &str) -> Posting {
        Posting::new(&format!("refund:{}:{step}", refund.id)).with_details(Details {
            reference: Some(self.payment.reference.clone()),
            correlation_id: refund.correlation_id.clone(),
            traceparent: refund.traceparent.clone(),
            ..Details::default()
        })
    }

    /// Takes the money from who bears it; `to` gets the amount.
    pub(super) fn take(&mut self, refund: &Refund, step: &str, to: Address) -> Posting {
        let (borne, currency) = (&refund.borne, refund.currency);
        let posting = self.posting(refund, step);
        let payment = &mut self.payment;
        payment.refunded = payment.refunded.saturating_add(refund.amount);
        payment.unsettled = payment.unsettled.saturating_sub(borne.from_pending);
        let of = |purse| payment.merchant.wallet(purse);
        let neg = i64::saturating_neg;
        posting
            .leg(of(Purse::Pending), currency, neg(borne.from_pending))
            .leg(of(Purse::Available), currency, neg(borne.from_available))
            .leg(of(Purse::Owed), currency, neg(borne.from_owed))
            .leg(house::fees(), currency, neg(borne.platform()))
            .leg(to, currency, refund.amount)
    }

    /// Gives the money back to whom it came from; `from` pays the amount. The merchant's part goes to
    /// where the payment's money lies by now, after what it still owes of it.
    pub(super) fn give_back(
        &mut self,
        refund: &Refund,
        wallets: &Wallets,
        from: Address,
    ) -> Posting {
        let (borne, currency) = (&refund.borne, refund.currency);
        let to_owed = borne.from_owed.min(wallets.debt);
        let rest = borne.merchant().saturating_sub(to_owed);
        let (posting, purse) = (self.posting(refund, "failed"), self.purse());
        let payment = &mut self.payment;
        payment.refunded = payment.refunded.saturating_sub(refund.amount);
        if purse == Purse::Pending {
            payment.unsettled = payment.unsettled.saturating_add(rest);
        }
        let of = |purse| payment.merchant.wallet(purse);
        posting
            .leg(from, currency, refund.amount.saturating_neg())
            .leg(of(Purse::Owed), currency, to_owed)
            .leg(of(purse), currency, rest)
            .leg(house::fees(), currency, borne.platform())
    }

    /// Posts what a refund asks for: the ledger's no comes back, and nothing is written then.
    pub(super) async fn post(
        &self,
        conn: &mut PgConnection,
        posting: Posting,
    ) -> Result<Result<(), Rejection>, RefundError> {
        if posting.is_empty() {
            return Ok(Ok(()));
        }
        let topic = &self.options.topic_transactions;
        let posted = post_own(conn, self.ledger, vec![posting], topic).await?;
        Ok(posted.map(|_| ()))
    }

    /// Writes what became of the payment, and tells it where that is something to be told.
    pub(super) async fn write_payment(
        &mut self,
        conn: &mut PgConnection,
        event: Option<EventType>,
    ) -> Result<(), RefundError> {
        let (id, before) = (self.payment.id, self.payment.status);
        let standing = refunds::standing(conn, self.ledger.id, id).await?;
        self.payment.status = match standing.returned {
            _ if standing.disputed => PaymentStatus::Disputed,
            0 => PaymentStatus::Succeeded,
            returned if returned >= self.payment.amount => PaymentStatus::Refunded,
            _ => PaymentStatus::PartlyRefunded,
        };
        self.payment.updated_at = self.now;
        let payment = &self.payment;
        if !refunds::update_payment(conn, self.ledger.id, before, payment, self.now).await? {
            return Err(changed("payment", id).into());
        }
        let Some(event_type) = event else {
            return Ok(());
        };
        let view = PaymentView::new(self.ledger, payment).without_customer();
        let news = News {
            event_type,
            subject: id.to_string(),
            correlation_id: payment.correlation_id.clone(),
            traceparent: payment.traceparent.clone(),
            payload: serde_json::to_string(&view)?,
        };
        self.tell(conn, news).await
    }

    /// Tells how a refund stands.
    pub(super) async fn tell_refund(
        &self,
        conn: &mut PgConnection,
        refund: &Refund,
        event_type: EventType,
    ) -> Result<(), RefundError> {
        self.tell(conn, news(self.ledger, refund, event_type)?)
            .await
    }

    async fn tell(&self, conn: &mut PgConnection, news: News) -> Result<(), RefundError> {
        let topic = &self.options.topic_settlements;
        outbox::tell(conn, self.ledger.id, topic, &[news], self.now).await?;
        Ok(())
    }

    /// Writes a finding down and, where it is new, tells it.
    pub(super) async fn amiss(
        &self,
        conn: &mut PgConnection,
        finding: &Finding<'_>,
    ) -> Result<(), RefundError> {
        let topic = &self.options.topic_settlements;
        let context = Context {
            correlation_id: self.payment.correlation_id.as_deref(),
            ..Context::default()
        };
        discrepancy::report(conn, self.ledger, topic, finding, context, self.now).await?;
        Ok(())
    }

    /// A refund as it stands now, in place of how it stood.
    pub(super) fn put(&mut self, refund: Refund) {
        match self.refunds.iter_mut().find(|known| known.id == refund.id) {
            Some(known) => *known = refund,
            None => self.refunds.push(refund),
        }
    }

    /// Whether refunds of ours are on their way.
    pub(super) fn has_open(&self) -> bool {
        self.refunds.iter().any(|refund| refund.status.is_open())
    }
}

/// An event of a refund's.
pub(super) fn news(
    ledger: &Ledger,
    refund: &Refund,
    event_type: EventType,
) -> Result<News, RefundError> {
    Ok(News {
        event_type,
        subject: refund.id.to_string(),
        correlation_id: refund.correlation_id.clone(),
        traceparent: refund.traceparent.clone(),
        payload: serde_json::to_string(&RefundView::new(ledger, refund))?,
    })
}

/// A row changed though it was locked.
pub(super) fn changed(what: &str, id: Uuid) -> sqlx::Error {
    sqlx::Error::Protocol(format!("{what} {id} changed though its row was locked"))
}

impl Wallets {
    /// What may be taken from the purse: as far as these terms let it fall, and the wallet itself.
    pub(super) fn room(&self, terms: &ReversalTerms) -> i64 {
        self.spendable.saturating_sub(self.floor(terms)).max(0)
    }

    /// Whether what the merchant bears is there. What it is to owe is lent on what else the purse has,
    /// which covers all its debts at once.
    pub(super) fn cover(&self, terms: &ReversalTerms, borne: &Borne) -> bool {
        let lent_on = match borne.from_owed > 0 {
            true => borne.merchant().saturating_add(self.debt),
            false => borne.merchant(),
        };
        lent_on <= self.room(terms)
    }

    fn floor(&self, terms: &ReversalTerms) -> i64 {
        let by_terms = terms.below_zero_max().saturating_neg();
        self.floor.map_or(by_terms, |floor| floor.max(by_terms))
    }
}
