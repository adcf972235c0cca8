//! Money in, and money out: a payday run through Aegis and a PSP that fails in every way it can.
//!
//! `aegisctl simulator run` is the PSP and keeps its own books; a real `aegisd` opens payments there
//! and takes its webhooks: some never come, some twice, some out of order, some forged. Customers
//! pay, sometimes another amount; some want their money back; aegisd is killed. What has matured is
//! settled, merchants are paid out in a run that is killed half-way and started again, and the PSP's
//! export is reconciled. Then three sets of books are laid side by side: the demo's own arithmetic,
//! the ledger, the PSP's. Anything that does not agree ends it with exit code 4.
//!
//! The way to read it: `story` draws what happens from the seed, `world` the merchants and their
//! terms, `run` is the day, `books` the demo's own arithmetic, `evidence` compares, `report` shows.

mod api;
mod books;
mod close;
mod compare;
mod customers;
mod ending;
mod evidence;
mod money;
mod money_back;
mod money_in;
mod money_out;
mod psp;
mod replay;
mod report;
mod run;
mod simulator;
#[path = "../stage/mod.rs"]
mod stage;
mod story;
mod tool;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;

use run::{Day, Size};
use stage::environment::Bus;
use stage::interrupts::Interrupts;
use stage::names::MERCHANTS_MAX;
use stage::screen::Screen;

/// Something did not agree, as with `aegisctl ledger verify`.
const FOUND_WRONG: u8 = 4;
const INTERRUPTED: u8 = 130;

/// Take payments through a PSP that fails, settle them, pay merchants out, and reconcile it all
///
/// Uses the database, Redis and Kafka that the environment names: `eval "$(dev/stack env)"`.
#[derive(Debug, Parser)]
#[command(
    name = "payday",
    after_help = "\
Exit codes: 0 all agrees, 1 unexpected, 2 usage, 4 something does not agree, 130 interrupted."
)]
struct Args {
    /// What the day is drawn from; the same seed draws the same merchants and orders
    #[arg(long, default_value_t = 20_262)]
    seed: u64,
    /// How many payments merchants ask for
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=99_999))]
    payments: u32,
    /// How many merchants there are
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(10..=MERCHANTS_MAX as i64))]
    merchants: u16,
    /// How many connections send at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=128))]
    connections: u16,
    /// Let everything live: kill neither aegisd nor the payout run
    #[arg(long)]
    no_power_cut: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let screen = Screen::new("payday");
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
    runtime.shutdown_timeout(Duration::from_millis(100));
    match ended {
        Ok(code) => code,
        Err(error) => {
            screen.fail(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The day with its children, which are stopped however it ends.
async fn run(args: &Args, screen: &Screen) -> Result<ExitCode> {
    let mut interrupts = Interrupts::listen()?;
    let bus = Bus::offered("KAFKA_TOPIC_SETTLEMENTS", "aegis.settlements")?;
    let size = Size {
        seed: args.seed,
        payments: args.payments as usize,
        merchants: usize::from(args.merchants),
        connections: usize::from(args.connections),
        power_cut: !args.no_power_cut,
    };
    let mut day = tokio::select! {
        day = Day::begin(screen, size, bus) => day?,
        () = interrupts.next() => return Ok(ExitCode::from(INTERRUPTED)),
    };
    let evidence = tokio::select! {
        evidence = day.run() => evidence.map(Some),
        () = interrupts.next() => Ok(None),
    };
    screen.end_bars();
    let stopped = day.stop().await;
    let evidence = match evidence {
        Ok(Some(evidence)) => evidence,
        Ok(None) => {
            screen.fail("interrupted; aegisd and the simulator were stopped");
            stopped?;
            return Ok(ExitCode::from(INTERRUPTED));
        }
        Err(error) => {
            if let Err(other) = stopped {
                screen.fail(&format!("{other:#}"));
            }
            return Err(error).context(day.logs());
        }
    };
    let stopped = stopped.err().map(|error| format!("{error:#}"));
    Ok(match ending::show(screen, &day, &evidence, stopped) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FOUND_WRONG),
    })
}
