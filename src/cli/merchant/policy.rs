//! `aegisctl merchant policy`.

use serde_json::Value;
use time::OffsetDateTime;

use super::{TERMS_HELP, missing, read_terms};
use crate::cli::confirm::confirm;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::who;
use crate::ledger::Currency;
use crate::merchant::MerchantId;
use crate::onboarding::{self, Agreed, Call, Office, Standing};
use crate::postgres::merchants;
use crate::terms::Terms;
use crate::view::AgreedTermsView;

/// Show a merchant's terms, or agree on others
///
/// Other terms hold for payments to come; those that were made keep theirs. Shows what changes and
/// asks.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  aegisctl merchant policy acme
  aegisctl merchant policy acme --currency NGN --history
  aegisctl merchant policy acme --currency NGN --terms new-terms.json --dry-run

{TERMS_HELP}"))]
pub(in crate::cli) struct Args {
    /// The merchant's id
    id: MerchantId,
    /// The currency; may be left out where the merchant has one
    #[arg(long, value_name = "C")]
    currency: Option<Currency>,
    /// Agree on these from now on: a file, - for standard input, or JSON
    #[arg(long, value_name = "FILE|-|JSON", conflicts_with = "history")]
    terms: Option<String>,
    /// All versions, the newest first
    #[arg(long)]
    history: bool,
    /// Show what would change, and do nothing
    #[arg(long, requires = "terms")]
    dry_run: bool,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let terms = match &args.terms {
        Some(place) => Some(read_terms(place).await?),
        None => None,
    };
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    let found = onboarding::read(&mut conn, &ledger, &args.id).await?;
    let standing = found.ok_or_else(|| missing(&ledger, &args.id))?;
    let Some(terms) = terms else {
        let views: Vec<AgreedTermsView> = match args.history {
            true => {
                let (id, currency) = (&args.id, currency(args, &standing)?);
                let all = merchants::terms_history(&mut conn, ledger.id, id, currency).await?;
                all.iter().map(AgreedTermsView::from).collect()
            }
            false => {
                let wanted = |currency| args.currency.is_none_or(|wanted| wanted == currency);
                let all = standing.terms.iter().filter(|t| wanted(t.currency));
                all.map(AgreedTermsView::from).collect()
            }
        };
        context.out.all(&views)?;
        return Ok(Exit::Done);
    };
    drop(conn);
    let currency = currency(args, &standing)?;
    let before = standing.terms.iter().find(|t| t.currency == currency);
    let changes = changes(before.map(|agreed| &agreed.terms), &terms);
    for line in &changes {
        context.out.subject(&format!("{line}\n"));
    }
    if args.dry_run {
        context.out.note("nothing was done");
        return Ok(Exit::Done);
    }
    if !changes.is_empty() {
        confirm(
            context,
            &format!("Agree on these with {} in {currency}?", args.id),
        )
        .await?;
    }
    let pool = context.database()?.posting_pool(1);
    let call = Call {
        office: &Office::from_config(context.config()),
        ledger: &ledger,
        actor: &who::operator(),
        now: OffsetDateTime::now_utc(),
    };
    let agreed = match onboarding::agree(&pool, call, &args.id, currency, &terms).await? {
        Agreed::Now(agreed) => agreed,
        Agreed::Before(agreed) => {
            context.out.note("these terms are in force already");
            agreed
        }
        Agreed::BelowFloor {
            address,
            balance,
            floor,
        } => {
            let detail = format!(
                "{address} stands at {balance} {currency} (minor units), and the terms would let \
                 it fall to {floor} only: wait until it has recovered, or allow more"
            );
            return Err(Failure::Rejected {
                code: "below_floor",
                detail,
            }
            .into());
        }
        Agreed::NoMerchant => return Err(missing(&ledger, &args.id)),
    };
    context.out.record(&AgreedTermsView::from(&agreed))?;
    Ok(Exit::Done)
}

fn currency(args: &Args, standing: &Standing) -> anyhow::Result<Currency> {
    match (args.currency, standing.terms.as_slice()) {
        (Some(currency), _) => Ok(currency),
        (None, [only]) => Ok(only.currency),
        (None, several) => {
            let codes: Vec<&str> = several.iter().map(|t| t.currency.code()).collect();
            let problem = format!(
                "merchant {} has terms in {}: say which with --currency",
                args.id,
                codes.join(", ")
            );
            Err(Failure::Usage(problem).into())
        }
    }
}

/// A line for each member that changes, in order of its place.
fn changes(before: Option<&Terms>, after: &Terms) -> Vec<String> {
    let members = |terms: Option<&Terms>| {
        let json = terms.map(Terms::to_string).unwrap_or_default();
        let mut all = std::collections::BTreeMap::new();
        let value = serde_json::from_str(&json).unwrap_or(Value::Null);
        flatten("", &value, &mut all);
        all
    };
    let (before, after) = (members(before), members(Some(after)));
    let mut places: Vec<&String> = before.keys().chain(after.keys()).collect();
    places.sort();
    places.dedup();
    let shown = |value: Option<&String>| value.map_or("-", String::as_str).to_owned();
    let changed = places.into_iter().filter_map(|place| {
        let (old, new) = (before.get(place), after.get(place));
        (old != new).then(|| format!("{place}: {} -> {}", shown(old), shown(new)))
    });
    changed.collect()
}

fn flatten(place: &str, value: &Value, all: &mut std::collections::BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let inner = match place {
                    "" => name.clone(),
                    outer => format!("{outer}.{name}"),
                };
                flatten(&inner, member, all);
            }
        }
        Value::Null => {}
        other => {
            all.insert(place.to_owned(), other.to_string());
        }
    }
}
