//! `aegisctl merchant create`.

use time::OffsetDateTime;

use super::{TERMS_HELP, read_terms};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::who;
use crate::ledger::Currency;
use crate::merchant::{MerchantId, MerchantName};
use crate::onboarding::{self, Call, Made, NewMerchant, Office};
use crate::view::MerchantView;

/// Make a merchant with its wallets
///
/// In a currency it has the wallets merchant:ID:pending, available, reserve and owed. One that exists
/// with the same name and terms is left as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
Examples:
  aegisctl merchant create acme --name 'Acme Stores' --currency NGN --terms terms.json
  aegisctl -o json merchant create bolt --name Bolt --currency KES --terms - < terms.json

{TERMS_HELP}"))]
pub(in crate::cli) struct Args {
    /// 1 to 64 of a-z, 0-9, _ and -; permanent
    id: MerchantId,
    /// As people call it
    #[arg(long, value_name = "TEXT")]
    name: MerchantName,
    /// Its first currency
    #[arg(long, value_name = "C")]
    currency: Currency,
    /// What was agreed on: a file, - for standard input, or JSON
    #[arg(long, value_name = "FILE|-|JSON")]
    terms: String,
}

pub(super) async fn run(context: &Context, args: &Args) -> anyhow::Result<Exit> {
    let new = NewMerchant {
        id: args.id.clone(),
        name: args.name.clone().into(),
        currency: args.currency,
        terms: read_terms(&args.terms).await?,
    };
    let mut conn = context.connect().await?;
    let ledger = context.ledger(&mut conn).await?;
    drop(conn);
    let pool = context.database()?.posting_pool(1);
    let call = Call {
        office: &Office::from_config(context.config()),
        ledger: &ledger,
        actor: &who::operator(),
        now: OffsetDateTime::now_utc(),
    };
    let standing = match onboarding::create(&pool, call, &new).await? {
        Made::Now(standing) => standing,
        Made::Before(standing) => {
            context.out.note("the merchant exists already");
            standing
        }
        Made::Other(standing) => {
            let detail = format!(
                "merchant {} exists as {:?}, or with other terms; see `aegisctl merchant show {}`, \
                 and `aegisctl merchant policy` for other terms",
                new.id, standing.merchant.name, new.id
            );
            return Err(Failure::Rejected {
                code: "merchant_exists",
                detail,
            }
            .into());
        }
    };
    let view = MerchantView::new(&ledger, &standing.merchant, &standing.terms);
    context.out.record(&view)?;
    Ok(Exit::Done)
}
