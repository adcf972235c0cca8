//! `aegisctl simulator run`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Cell, Column, Record};
use crate::config::Secret;
use crate::ledger::Currency;
use crate::simulator::{
    Fees, PAYSTACK_RETRIES, Rate, Simulator, SimulatorError, SimulatorOptions, Summary,
};

/// The key where none is given: everybody may know it.
const DEFAULT_KEY: &str = "sk_test_simulator";

/// Serve a PSP to test with, until Ctrl-C
///
/// Speaks Paystack's HTTP API, keeps books of its own in memory, and sends signed webhooks. What
/// goes wrong at real PSPs goes wrong here when asked for: at a rate (--fault), for one request (the
/// header x-simulator-fault), or for the next call of a kind (POST /simulator/faults). The page
/// GET /simulator lists the routes that Paystack does not have: to pay a checkout, to end or reverse
/// a transfer, to open a dispute, to see the books and the settlement export.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Kinds of faults:
  timeout       the call takes effect and is never answered
  lost          the call does not arrive, and nothing happens
  server-error  the call takes effect and is answered with 500
  cut           the call takes effect, and the connection is cut within the answer
  garbage       the call takes effect and is answered with a page of HTML
  rate-limit    the call does nothing and is answered with 429 and Retry-After
  slow          the call takes effect and is answered late
  low-balance   a transfer or refund is refused
  wrong-amount  the customer pays another amount
  failed        the customer's attempt, the transfer or the refund fails
  reversed      the transfer succeeds, and comes back afterwards
  early         the webhook is delivered before the call is answered
  duplicate, reorder, late, forged, missing: what becomes of webhooks

Examples:
  aegisctl simulator run --port 7070 --balance NGN=100000000
  aegisctl simulator run --webhook-url http://127.0.0.1:8080/v1/webhooks/paystack \\
      --fault timeout=2% --fault duplicate=10% --fault reversed=0.01 --seed 7
  PAYSTACK_BASE_URL=http://127.0.0.1:7070 PAYSTACK_SECRET_KEY=sk_test_simulator aegisd
  curl -X POST http://127.0.0.1:7070/simulator/checkout/order-17/pay
  curl -X POST http://127.0.0.1:7070/simulator/faults \\
      -d '{\"fault\": \"timeout\", \"call\": \"transfer\"}'
  curl http://127.0.0.1:7070/simulator/settlement.csv > settlement.csv")]
pub(in crate::cli) struct Args {
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    host: IpAddr,
    /// TCP port to listen on; 0 takes any free one
    #[arg(long, default_value_t = 7070)]
    port: u16,
    /// The key that calls carry and webhooks are signed with
    /// [default: PAYSTACK_SECRET_KEY, or sk_test_simulator]
    #[arg(long, value_name = "KEY")]
    secret_key: Option<String>,
    /// Where webhooks go; without it none are sent
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    /// Waits between the attempts of a webhook in seconds, or `paystack` for its own: 3 minutes four
    /// times, then an hour for 72 hours
    #[arg(long, value_name = "SECONDS,…", default_value = "1,2,4,8,16", value_parser = waits)]
    webhook_retries: Waits,
    /// How often something goes wrong: from 0 to 1, or in percent
    #[arg(long, value_name = "KIND=RATE")]
    fault: Vec<Rate>,
    /// The chance by which it does: the same seed and the same calls give the same faults
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// What is in the balance at the start, in minor units
    #[arg(long, value_name = "CURRENCY=N", value_parser = balance)]
    balance: Vec<(Currency, i64)>,
    /// What is charged: Paystack's fees, or none
    #[arg(long, value_name = "paystack|none", default_value = "paystack", value_parser = fees)]
    fees: Fees,
    /// Customers pay by themselves, so many milliseconds after the payment was opened
    #[arg(long, value_name = "MS")]
    pay_after_ms: Option<u64>,
    /// Transfers and refunds end by themselves, so many milliseconds after they were begun
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 200,
        conflicts_with = "hold"
    )]
    settle_after_ms: u64,
    /// Transfers and refunds stay pending until they are told to end
    #[arg(long)]
    hold: bool,
    /// How late slow answers and late webhooks are
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    late_ms: u64,
}

#[derive(Debug, Clone)]
struct Waits(Vec<Duration>);

fn waits(text: &str) -> Result<Waits, String> {
    if text == "paystack" {
        return Ok(Waits(PAYSTACK_RETRIES.to_vec()));
    }
    let seconds = text.split(',').filter(|part| !part.is_empty());
    let waits: Result<_, _> = seconds
        .map(|part| part.trim().parse().map(Duration::from_secs))
        .collect();
    waits
        .map(Waits)
        .map_err(|_| format!("{text:?} is neither `paystack` nor seconds such as 1,2,4"))
}

fn fees(text: &str) -> Result<Fees, String> {
    match text {
        "paystack" => Ok(Fees::Paystack),
        "none" => Ok(Fees::None),
        _ => Err(format!("{text:?} is neither `paystack` nor `none`")),
    }
}

fn balance(text: &str) -> Result<(Currency, i64), String> {
    let (code, minor) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not CURRENCY=N, such as NGN=100000000"))?;
    let minor = minor
        .parse()
        .ok()
        .filter(|minor| *minor > 0)
        .ok_or_else(|| format!("{minor:?} is no amount in minor units"))?;
    Ok((code.parse()?, minor))
}

/// What standard output says at the start.
#[derive(Serialize)]
struct Serving {
    address: String,
    base_url: String,
    webhook_url: Option<String>,
    seed: u64,
}

impl Record for Serving {
    const COLUMNS: &'static [Column] = &[
        Column::text("address"),
        Column::text("base_url"),
        Column::text("webhook_url"),
        Column::number("seed"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.address.as_str().into(),
            self.base_url.as_str().into(),
            Cell::optional(self.webhook_url.as_deref()),
            self.seed.to_string().into(),
        ]
    }
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<Exit> {
    let (key, is_default) = secret_key(context, &args)?;
    if key.expose().starts_with("sk_live_") {
        context
            .out
            .warn("that is a live key: a test key does, and whoever sees it can move no money");
    }
    let seed = args.seed;
    let simulator = Simulator::start(options(args, key))
        .await
        .map_err(failure)?;
    context.out.record(&Serving {
        address: simulator.address().to_string(),
        base_url: simulator.base_url(),
        webhook_url: simulator.webhook_url().map(str::to_owned),
        seed,
    })?;
    let base_url = simulator.base_url();
    let shown = if is_default {
        DEFAULT_KEY
    } else {
        "<the same>"
    };
    context.out.note(&format!(
        "\nGive Aegis PAYSTACK_BASE_URL={base_url} PAYSTACK_SECRET_KEY={shown}\n\
         Its own routes: {base_url}/simulator · Ctrl-C ends it"
    ));
    context.interrupt.cancelled().await;
    for line in told(&simulator.stop().await) {
        context.out.note(&line);
    }
    Ok(Exit::Done)
}

/// The key, and whether it is the one that everybody may know.
fn secret_key(context: &Context, args: &Args) -> anyhow::Result<(Secret, bool)> {
    let configured = context.config().paystack.secret_key.clone();
    let key = match &args.secret_key {
        Some(key) => Some(Secret::new(key.as_str())),
        None => configured,
    };
    let is_default = key.is_none();
    let key = key.unwrap_or_else(|| Secret::new(DEFAULT_KEY));
    let sendable = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic());
    match sendable(key.expose()) {
        true => Ok((key, is_default)),
        false => {
            let message = "the secret key is empty or has characters that no key has";
            Err(Failure::Usage(message.to_owned()).into())
        }
    }
}

fn options(args: Args, secret_key: Secret) -> SimulatorOptions {
    let options = SimulatorOptions::new(secret_key);
    SimulatorOptions {
        listen: SocketAddr::new(args.host, args.port),
        webhook_url: args.webhook_url,
        webhook_retries: args.webhook_retries.0,
        fees: args.fees,
        balances: args.balance,
        rates: args.fault,
        seed: args.seed,
        settle_after: (!args.hold).then(|| Duration::from_millis(args.settle_after_ms)),
        pay_after: args.pay_after_ms.map(Duration::from_millis),
        late: Duration::from_millis(args.late_ms),
        ..options
    }
}

fn failure(error: SimulatorError) -> anyhow::Error {
    let message = match &error {
        SimulatorError::Listen { .. } => {
            format!("{error}: choose another --port, or 0 for any free one")
        }
        _ => error.to_string(),
    };
    Failure::Usage(message).into()
}

/// What the run came to, for people.
fn told(summary: &Summary) -> Vec<String> {
    let Summary {
        payments,
        paid,
        transfers,
        refunds,
        disputes,
        webhooks,
        ..
    } = summary;
    let balances = summary
        .balances
        .iter()
        .map(|(currency, balance)| format!("{currency} {}", currency.format_minor(*balance)));
    let faults = summary
        .faults
        .iter()
        .map(|(fault, times)| format!("{fault} {times}"));
    let listed = |items: Vec<String>| match items.is_empty() {
        true => "none".to_owned(),
        false => items.join(", "),
    };
    vec![
        format!(
            "{payments} payments ({paid} paid), {transfers} transfers, {refunds} refunds, \
             {disputes} disputes"
        ),
        format!("balance: {}", listed(balances.collect())),
        format!(
            "webhooks: {} delivered in {} attempts, {} given up, {} not delivered yet",
            webhooks.delivered, webhooks.attempts, webhooks.given_up, webhooks.waiting
        ),
        format!("faults: {}", listed(faults.collect())),
    ]
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::simulator::Fault;

    #[derive(Debug, clap::Parser)]
    struct Alone {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_help_tells_of_every_fault() {
        let help = Alone::command().render_long_help().to_string();
        for fault in Fault::ALL {
            assert!(help.contains(fault.as_str()), "{fault}");
        }
    }

    #[test]
    fn retries_balances_and_fees_are_read_or_refused_with_an_example() {
        assert_eq!(waits("1,2").map(|waits| waits.0.len()), Ok(2));
        assert_eq!(waits("paystack").map(|waits| waits.0.len()), Ok(76));
        assert_eq!(waits("").map(|waits| waits.0.len()), Ok(0));
        assert!(waits("soon").is_err());
        assert!(balance("NGN=5").is_ok());
        for bad in ["NGN", "NGN=0", "NGN=-1", "NGN=1.5", "XXX=5"] {
            assert!(balance(bad).is_err(), "{bad}");
        }
        assert!(fees("some").is_err());
    }
}
