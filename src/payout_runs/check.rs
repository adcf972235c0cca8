//! What is wrong with a list that somebody wrote, by what is known of its merchants.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::list::{Entry, EntryProblem};
use super::news;
use crate::ledger::Ledger;
use crate::merchant::MerchantStatus;
use crate::postgres::payout_runs::due::{self, Candidate};

/// The entries that can't become payouts as things stand, in order. Whether there is enough money is
/// seen when each is requested.
///
/// # Errors
/// Where the database fails.
pub async fn refusals(
    conn: &mut PgConnection,
    ledger: &Ledger,
    entries: &[Entry],
) -> sqlx::Result<Vec<EntryProblem>> {
    let names: Vec<&str> = entries.iter().map(|e| e.merchant.as_str()).collect();
    let found = due::candidates(conn, ledger.id, None, Some(&names)).await?;
    let mut known: HashMap<&str, Vec<&Candidate>> = HashMap::new();
    for candidate in &found {
        let of_merchant = known.entry(candidate.merchant.as_str()).or_default();
        of_merchant.push(candidate);
    }
    let numbered = entries.iter().enumerate();
    Ok(numbered
        .filter_map(|(index, entry)| {
            let of_merchant = known.get(entry.merchant.as_str());
            refusal(index, entry, of_merchant.map_or(&[], Vec::as_slice))
        })
        .collect())
}

fn refusal(index: usize, entry: &Entry, known: &[&Candidate]) -> Option<EntryProblem> {
    let wrong = |field, code, problem| EntryProblem {
        index,
        field,
        code,
        problem,
    };
    let (merchant, currency) = (&entry.merchant, entry.currency);
    if known.is_empty() {
        let problem = format!("there is no merchant {merchant}");
        return Some(wrong("merchant", "merchant_not_found", problem));
    }
    let Some(candidate) = known.iter().find(|c| c.currency == currency) else {
        let others = news::listed(known.iter().map(|c| c.currency.code()));
        let problem = format!("{merchant} has no terms in {currency}, only in {others}");
        return Some(wrong("currency", "currency_not_agreed", problem));
    };
    if candidate.status == MerchantStatus::Frozen {
        let problem = format!("{merchant} is frozen: take it off the list, or unfreeze it");
        return Some(wrong("merchant", "merchant_frozen", problem));
    }
    if candidate.terms.payout().recipient().is_none() {
        let problem = format!("{merchant} has no recipient in its terms in {currency}");
        return Some(wrong("merchant", "recipient_missing", problem));
    }
    let minimum = candidate.terms.payout().minimum();
    if entry.amount < minimum {
        let problem = format!(
            "{} is below the {minimum} minor units that {merchant} is paid from on, by its terms",
            entry.amount
        );
        return Some(wrong("amount", "amount_below_minimum", problem));
    }
    None
}
