//! Who is due a payout, by the terms in force, and who is not and why.
//!
//! A merchant is paid what lies free in its available wallet, for the last day of its schedule that
//! has begun and that no run has paid. Its first due day may be the day on which it came. A payout
//! that failed or came back paid nothing: the day is due again.

use std::collections::BTreeSet;
use std::fmt;

use sqlx::PgConnection;
use time::{Date, OffsetDateTime};

use super::list::List;
use super::{Refusal, news};
use crate::ledger::{Currency, Ledger};
use crate::merchant::{MerchantId, MerchantStatus};
use crate::postgres::payout_runs::due::{self, Candidate};
use crate::terms::Schedule;

/// Why a merchant is not on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The merchant is frozen.
    Frozen,
    /// Its wallet is frozen.
    WalletFrozen,
    /// It has an item in another run that was not requested yet.
    InRun(String),
    /// Its terms name nobody to pay to.
    NoRecipient,
    /// Its terms have it paid by hand.
    Manual,
    /// The days of its schedule up to now are paid; the next one.
    NotDue(Option<Date>),
    /// Its calendar does not hold the time.
    BeyondCalendar,
    /// There is nothing to pay.
    Nothing {
        /// Minor units, 0 or less.
        available: i64,
    },
    /// Less than its terms pay out.
    BelowMinimum {
        /// Minor units.
        available: i64,
        /// Minor units.
        minimum: i64,
    },
}

impl Why {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Frozen => "merchant_frozen",
            Self::WalletFrozen => "wallet_frozen",
            Self::InRun(_) => "in_another_run",
            Self::NoRecipient => "recipient_missing",
            Self::Manual => "paid_by_hand",
            Self::NotDue(_) => "not_due",
            Self::BeyondCalendar => "beyond_calendar",
            Self::Nothing { .. } => "nothing_available",
            Self::BelowMinimum { .. } => "below_minimum",
        }
    }
}

/// Behind the merchant's id.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frozen => f.write_str("is frozen"),
            Self::WalletFrozen => f.write_str("has a frozen wallet"),
            Self::InRun(key) => write!(f, "is in payout run {key}, which has not paid it yet"),
            Self::NoRecipient => f.write_str("has no recipient in its terms"),
            Self::Manual => f.write_str("is paid by hand, by its terms"),
            Self::NotDue(Some(next)) => write!(f, "is next due on {next}"),
            Self::NotDue(None) => f.write_str("is not due"),
            Self::BeyondCalendar => f.write_str("has a calendar that ends before today"),
            Self::Nothing { available } => write!(f, "has {available} minor units available"),
            Self::BelowMinimum { available, minimum } => {
                write!(
                    f,
                    "has {available} minor units, and is paid from {minimum} on"
                )
            }
        }
    }
}

/// A merchant that is not on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Who.
    pub merchant: MerchantId,
    /// In which currency.
    pub currency: Currency,
    /// Why.
    pub why: Why,
}

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// `None` where nothing is.
    pub list: Option<List>,
    /// Who is not on it.
    pub left_out: Vec<LeftOut>,
}

/// What is due at `now`, in a currency, or in the one that anything is due in.
///
/// # Errors
/// Where the database fails. The refusal: several currencies are due and none was named, or it is
/// more than a run may hold.
pub async fn find(
    conn: &mut PgConnection,
    ledger: &Ledger,
    currency: Option<Currency>,
    now: OffsetDateTime,
) -> sqlx::Result<Result<Due, Refusal>> {
    let candidates = due::candidates(conn, ledger.id, currency, None).await?;
    Ok(sort_out(candidates, now))
}

/// Whether all of a list that was made before is due still, and in no other run.
///
/// # Errors
/// Where the database fails.
pub(super) async fn still(
    conn: &mut PgConnection,
    ledger: &Ledger,
    list: &List,
    now: OffsetDateTime,
) -> sqlx::Result<bool> {
    let merchants: Vec<&str> = list.items().iter().map(|i| i.merchant.as_str()).collect();
    let currency = Some(list.currency());
    let found = due::candidates(conn, ledger.id, currency, Some(&merchants)).await?;
    let days: BTreeSet<(MerchantId, Option<Date>)> = found
        .into_iter()
        .filter_map(|candidate| {
            let (day, _) = judge(&candidate, now).ok()?;
            Some((candidate.merchant, Some(day)))
        })
        .collect();
    let item = |item: &crate::postgres::payout_runs::items::NewItem| {
        days.contains(&(item.merchant.clone(), item.due_on))
    };
    Ok(list.items().iter().all(item))
}

fn sort_out(candidates: Vec<Candidate>, now: OffsetDateTime) -> Result<Due, Refusal> {
    let (mut due, mut left_out) = (Vec::new(), Vec::new());
    for candidate in candidates {
        let (merchant, currency) = (candidate.merchant.clone(), candidate.currency);
        match judge(&candidate, now) {
            Ok((day, amount)) => due.push((currency, merchant, amount, day)),
            Err(why) => left_out.push(LeftOut {
                merchant,
                currency,
                why,
            }),
        }
    }
    let currencies: BTreeSet<&str> = due.iter().map(|(c, ..)| c.code()).collect();
    if currencies.len() > 1 {
        let detail = format!(
            "payouts are due in {}: a run has one currency; start one with --currency for each, \
             under a key of its own",
            news::listed(currencies.into_iter())
        );
        return Err(Refusal::new("currency_mismatch", detail));
    }
    let list = match due.first().map(|(currency, ..)| *currency) {
        None => None,
        Some(currency) => Some(List::due(
            currency,
            due.into_iter()
                .map(|(_, who, amount, day)| (who, amount, day)),
        )?),
    };
    Ok(Due { list, left_out })
}

/// For which day, and how much; or why not.
fn judge(candidate: &Candidate, now: OffsetDateTime) -> Result<(Date, i64), Why> {
    if candidate.status == MerchantStatus::Frozen {
        return Err(Why::Frozen);
    }
    if !candidate.wallet_is_active {
        return Err(Why::WalletFrozen);
    }
    if let Some(key) = &candidate.in_run {
        return Err(Why::InRun(key.clone()));
    }
    let (terms, available) = (&candidate.terms, candidate.available);
    if terms.payout().schedule() == Schedule::Manual {
        return Err(Why::Manual);
    }
    if terms.payout().recipient().is_none() {
        return Err(Why::NoRecipient);
    }
    let calendar = terms.settlement().calendar();
    let beyond = |_| Why::BeyondCalendar;
    let since = match candidate.paid_to {
        Some(day) => day,
        // The day on which it came may be its first.
        None => {
            let came = calendar.today(candidate.created_at).map_err(beyond)?;
            came.previous_day().unwrap_or(came)
        }
    };
    let Some(day) = terms.payout_due(since, now).map_err(beyond)? else {
        let today = calendar.today(now).map_err(beyond)?;
        return Err(Why::NotDue(terms.next_payout(today).ok().flatten()));
    };
    if available <= 0 {
        return Err(Why::Nothing { available });
    }
    if !terms.payout().is_enough(available) {
        let minimum = terms.payout().minimum();
        return Err(Why::BelowMinimum { available, minimum });
    }
    Ok((day, available))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    fn candidate(payout: &str) -> Candidate {
        let terms = format!(
            r#"{{"fee": {{"basis_points": 0, "fixed": 0}},
                "settlement": {{"days": 1, "calendar": "calendar", "time_zone": "Africa/Lagos"}},
                "payout": {payout}}}"#
        );
        Candidate {
            merchant: "acme".parse().unwrap(),
            currency: Currency::from_code("NGN").unwrap(),
            status: MerchantStatus::Active,
            created_at: datetime!(2026-11-18 12:00 UTC),
            terms: terms.parse().unwrap(),
            available: 5_000,
            wallet_is_active: true,
            paid_to: None,
            in_run: None,
        }
    }

    const DAILY: &str = r#"{"minimum": 1000, "schedule": "daily", "recipient": "RCP_1"}"#;
    const FRIDAYS: &str =
        r#"{"minimum": 0, "schedule": "weekly", "weekday": "friday", "recipient": "RCP_1"}"#;
    const NOW: OffsetDateTime = datetime!(2026-11-22 18:00 UTC);

    #[test]
    fn what_is_free_is_paid_for_the_last_day_of_the_schedule() {
        assert_eq!(
            judge(&candidate(DAILY), NOW),
            Ok((date!(2026 - 11 - 22), 5_000))
        );
        assert_eq!(
            judge(&candidate(FRIDAYS), NOW),
            Ok((date!(2026 - 11 - 20), 5_000))
        );
    }

    #[test]
    fn a_day_is_paid_once() {
        let mut fridays = candidate(FRIDAYS);
        fridays.paid_to = Some(date!(2026 - 11 - 20));
        let next = Some(date!(2026 - 11 - 27));
        assert_eq!(judge(&fridays, NOW), Err(Why::NotDue(next)));
        fridays.paid_to = Some(date!(2026 - 11 - 13));
        assert!(judge(&fridays, NOW).is_ok());
    }

    #[test]
    fn the_first_due_day_may_be_the_one_on_which_the_merchant_came() {
        let mut daily = candidate(DAILY);
        daily.created_at = NOW;
        assert_eq!(judge(&daily, NOW), Ok((date!(2026 - 11 - 22), 5_000)));
        let mut fridays = candidate(FRIDAYS);
        fridays.created_at = datetime!(2026-11-21 00:00 UTC);
        assert!(matches!(judge(&fridays, NOW), Err(Why::NotDue(_))));
    }

    #[test]
    fn whoever_is_left_out_is_left_out_for_a_reason() {
        let with = |change: &dyn Fn(&mut Candidate)| {
            let mut changed = candidate(DAILY);
            change(&mut changed);
            judge(&changed, NOW).unwrap_err().code()
        };
        let frozen = MerchantStatus::Frozen;
        assert_eq!(with(&|c| c.status = frozen), "merchant_frozen");
        assert_eq!(with(&|c| c.wallet_is_active = false), "wallet_frozen");
        assert_eq!(with(&|c| c.in_run = Some("k".into())), "in_another_run");
        assert_eq!(with(&|c| c.available = 999), "below_minimum");
        assert_eq!(with(&|c| c.available = 0), "nothing_available");
        assert_eq!(with(&|c| c.available = -5), "nothing_available");
        assert_eq!(
            with(&|c| c.paid_to = Some(date!(2026 - 11 - 22))),
            "not_due"
        );
        for (payout, code) in [
            (
                r#"{"minimum": 0, "schedule": "manual", "recipient": "R"}"#,
                "paid_by_hand",
            ),
            (
                r#"{"minimum": 0, "schedule": "daily"}"#,
                "recipient_missing",
            ),
        ] {
            assert_eq!(judge(&candidate(payout), NOW).unwrap_err().code(), code);
        }
    }

    #[test]
    fn a_run_has_one_currency() {
        let mut shillings = candidate(DAILY);
        shillings.currency = Currency::from_code("KES").unwrap();
        let refusal = sort_out(vec![candidate(DAILY), shillings.clone()], NOW).unwrap_err();
        assert_eq!(refusal.code, "currency_mismatch");
        assert!(refusal.detail.contains("KES and NGN"), "{}", refusal.detail);
        // What is not due decides nothing.
        shillings.available = 0;
        let due = sort_out(vec![candidate(DAILY), shillings], NOW).unwrap();
        assert_eq!(due.list.unwrap().currency().code(), "NGN");
        assert_eq!(due.left_out.len(), 1);
        assert_eq!(sort_out(Vec::new(), NOW).unwrap().list, None);
    }
}
