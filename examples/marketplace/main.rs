//! A day of a marketplace, run through Aegis and proven afterwards.
//!
//! A real `aegisd` serves the HTTP API and relays events to Kafka. Customers pay 200 merchants,
//! money matures, is refunded and paid out; clients lose their connection and ask again, use keys
//! twice, and ask for more than there is; in the afternoon aegisd is killed. The demo keeps books
//! of its own, predicts every answer, reads the events back from Kafka, and ends with tables that
//! set it all side by side. Anything that does not agree ends it with exit code 4.
//!
//! The way to read it: `day` is the story, `planner` draws it from the seed, `book` predicts,
//! `client` and `traffic` send, `tally` compares, `consumer` and `witness` read back, `published`
//! counts what is there, `evidence` compares once more, `report` shows.

mod book;
mod client;
mod consumer;
mod day;
mod ending;
mod errands;
mod evidence;
mod lanes;
mod money;
mod planner;
mod published;
mod report;
mod run;
#[path = "../stage/mod.rs"]
mod stage;
mod tally;
mod traffic;
mod wire;
mod witness;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;

use day::Size;
use run::Run;
use stage::environment::Bus;
use stage::interrupts::Interrupts;
use stage::names::MERCHANTS_MAX;
use stage::screen::Screen;

/// Something did not agree, as with `aegisctl ledger verify`.
const FOUND_WRONG: u8 = 4;
const INTERRUPTED: u8 = 130;

/// Post a day of a marketplace through aegisd, read its events back from Kafka, and prove that
/// everything agrees
///
/// Uses the database, Redis and Kafka that the environment names: `eval "$(dev/stack env)"`.
#[derive(Debug, Parser)]
#[command(
    name = "marketplace",
    after_help = "\
Exit codes: 0 all agrees, 1 unexpected, 2 usage, 4 something does not agree, 130 interrupted."
)]
struct Args {
    /// What the day is drawn from; the same seed makes the same day
    #[arg(long, default_value_t = 20_261)]
    seed: u64,
    /// How many orders customers place
    #[arg(long, default_value_t = 22_000, value_parser = clap::value_parser!(u32).range(100..=999_999))]
    orders: u32,
    /// How many merchants they place them with, 10 to 400
    #[arg(long, default_value_t = 200, value_parser = merchants)]
    merchants: usize,
    /// How many connections send at the same time, 1 to 256
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// Let aegisd live: don't kill it in the afternoon
    #[arg(long)]
    no_power_cut: bool,
}

fn merchants(text: &str) -> Result<usize> {
    let number = text.parse()?;
    if !(10..=MERCHANTS_MAX).contains(&number) {
        bail!("write 10 to {}", MERCHANTS_MAX);
    }
    Ok(number)
}

fn main() -> ExitCode {
    let args = Args::parse();
    let screen = Screen::new("marketplace");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime.context("the runtime can't start") {
        Ok(runtime) => runtime,
        Err(error) => {
            screen.fail(&format!("{error:#}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(&args, &screen));
    // A thread may still wait for Kafka.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match ended {
        Ok(code) => code,
        Err(error) => {
            screen.fail(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The day with its child, which is stopped however the day ends.
async fn run(args: &Args, screen: &Screen) -> Result<ExitCode> {
    let mut interrupts = Interrupts::listen()?;
    let bus = Bus::offered("KAFKA_TOPIC_TRANSACTIONS", "aegis.transactions")?;
    let size = Size {
        seed: args.seed,
        orders: args.orders,
        merchants: args.merchants,
        connections: usize::from(args.connections),
        power_cut: !args.no_power_cut,
    };
    let run = Run::new(screen, size, bus)?;
    let mut aegisd = run.aegisd()?;
    let day = tokio::select! {
        day = run.day(&mut aegisd) => day.map(Some),
        () = interrupts.next() => Ok(None),
    };
    screen.end_bars();
    let stopped = aegisd.stop().await;
    let evidence = match day {
        Ok(Some(evidence)) => evidence,
        Ok(None) => {
            screen.fail("interrupted; aegisd was stopped");
            stopped?;
            return Ok(ExitCode::from(INTERRUPTED));
        }
        Err(error) => {
            if let Err(other) = stopped {
                screen.fail(&format!("{other:#}"));
            }
            return Err(error).context(format!("aegisd's log: {}", aegisd.log.display()));
        }
    };
    let stopped = stopped.err().map(|error| format!("{error:#}"));
    Ok(
        match ending::show(screen, &run.ledger, &evidence, stopped) {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(FOUND_WRONG),
        },
    )
}
