//! `aegisctl`: the operations tool over the core library. It works on the database itself, so it
//! works while the daemon is down.
//!
//! `<noun>/<verb>.rs` holds one verb: its arguments, and `run`, which ends with an exit code or an
//! error. Data goes to standard output, all else to standard error, both by way of `output`.

mod aegisd;
mod amount;
mod bench;
mod completions;
mod config;
mod confirm;
mod context;
mod dlq;
mod exit;
mod help;
mod ledger;
mod man;
mod merchant;
mod migrate;
mod outbox;
mod output;
mod page;
mod payment;
mod payout;
mod progress;
mod reconcile;
mod refund;
mod settlement;
mod shell;
mod simulator;
mod status;
mod trace;
mod transfer;
mod wallet;
mod when;
mod who;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Environment, Files, Flag, Sources};
use context::Context;
pub use exit::{Exit, Failure};
use output::{Format, Options, Output, StdoutError};

/// Operate an Aegis ledger: post transfers, look at wallets, migrate the database
///
/// Works on the database itself, so it works while aegisd is down. Data goes to standard output,
/// everything else to standard error.
#[derive(Debug, Parser)]
#[command(
    name = "aegisctl",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  aegisctl migrate up
  aegisctl wallet create merchant:acme:available --currency NGN
  aegisctl transfer post --from psp:paystack --to merchant:acme:available \\
      --currency NGN --amount 1250.00
  aegisctl -o json wallet show merchant:acme:available --currency NGN

`aegisctl help exit-codes` tells what the exit codes mean."
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options everywhere")]
struct Globals {
    /// Format of the data on standard output
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    output: Format,
    /// The ledger to work on [env: AEGIS_LEDGER] [default: main]
    #[arg(long, global = true, value_name = "NAME")]
    ledger: Option<String>,
    /// Configuration file, in place of config/*.yaml or /etc/aegis/*.yaml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    yes: bool,
    /// Nothing on standard error but errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// More columns in tables, and a log on standard error; twice for more of it
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// No colours [env: NO_COLOR]
    #[arg(long, global = true)]
    no_color: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Bring the database's schema to this program's version
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// Ledgers: books whose wallets balance among themselves
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// Merchants: whose money it is, and what was agreed with them
    #[command(subcommand)]
    Merchant(merchant::Command),
    /// Wallets: who holds money
    #[command(subcommand)]
    Wallet(wallet::Command),
    /// Transfers: money from one wallet to another
    #[command(subcommand)]
    Transfer(transfer::Command),
    /// Payments: money in through a PSP
    #[command(subcommand)]
    Payment(payment::Command),
    /// Settlement: what has matured becomes the merchants' to have
    #[command(subcommand)]
    Settlement(settlement::Command),
    /// Payouts: money on its way to merchants
    #[command(subcommand)]
    Payout(payout::Command),
    /// Refunds: money back to customers
    #[command(subcommand)]
    Refund(refund::Command),
    /// Events that wait for the bus
    #[command(subcommand)]
    Outbox(outbox::Command),
    /// Dead letters: messages that could not be handled
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Hold the ledger against what PSPs and banks say
    #[command(subcommand)]
    Reconcile(reconcile::Command),
    /// A PSP to test with
    #[command(subcommand)]
    Simulator(simulator::Command),
    /// Follow money: all that is known of a reference, in order of time
    Trace(trace::Args),
    /// Every dependency on one screen
    Status(status::Args),
    /// The configuration in effect
    #[command(subcommand)]
    Config(config::Command),
    /// Figures of this machine, each beside what it is compared with
    #[command(subcommand)]
    Bench(bench::Command),
    /// Completions for a shell
    Completions(completions::Args),
    /// Manual pages
    Man(man::Args),
    /// Help on a command, or on exit-codes
    Help(help::Args),
}

impl Command {
    /// Whether the command looks at [`Context::interrupt`] itself and stops at a safe point.
    /// Others are simply dropped: what they had begun in the database is undone.
    fn stops_itself(&self) -> bool {
        match self {
            Self::Ledger(command) => command.stops_itself(),
            Self::Transfer(command) => command.stops_itself(),
            Self::Dlq(command) => command.stops_itself(),
            Self::Reconcile(command) => command.stops_itself(),
            Self::Payout(command) => command.stops_itself(),
            Self::Refund(command) => command.stops_itself(),
            Self::Status(args) => args.stops_itself(),
            Self::Bench(_) | Self::Simulator(_) => true,
            _ => false,
        }
    }
}

/// Runs a command line, the program's name first, to its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args: Vec<OsString> = args.into_iter().collect();
    let no_color = args.iter().any(|arg| arg == "--no-color");
    let mut command = Cli::command();
    if no_color {
        command = command.color(clap::ColorChoice::Never);
    }
    let parsed = command
        .try_get_matches_from_mut(&args)
        .and_then(|matches| Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut command)));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error; a closed pipe is fine.
            drop(error.print());
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
        }
    };
    let out = Output::new(Options {
        format: cli.globals.output,
        quiet: cli.globals.quiet,
        verbose: cli.globals.verbose > 0,
        no_color: cli.globals.no_color,
    });
    let done = match cli.command {
        Command::Completions(args) => completions::run(&args, &out),
        Command::Man(args) => man::run(&args, &out),
        Command::Help(args) => help::run(&args, &out),
        command => {
            let words = args
                .iter()
                .map(|arg| arg.to_string_lossy().into_owned())
                .collect();
            with_runtime(cli.globals, command, words, &out)
        }
    };
    done.or_else(|error| ended_with(&error, &out))
        .unwrap_or(Exit::Unexpected)
}

/// The whole tool's command line, for completions, manual pages and whoever looks at it.
#[must_use]
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// Tells why a command failed, unless nobody listens any more.
fn ended_with(error: &anyhow::Error, out: &Output) -> Result<Exit, StdoutError> {
    if error
        .downcast_ref()
        .is_some_and(StdoutError::is_broken_pipe)
    {
        return Ok(Exit::Done);
    }
    match out.failure(error) {
        Err(error) if !error.is_broken_pipe() => Err(error),
        _ => Ok(exit::of(error)),
    }
}

fn with_runtime(
    globals: Globals,
    command: Command,
    command_line: Vec<String>,
    out: &Output,
) -> anyhow::Result<Exit> {
    let flag = globals.ledger.as_ref().map(|ledger| Flag {
        flag: "--ledger".to_owned(),
        key: "ledger".to_owned(),
        value: ledger.clone(),
    });
    let loaded = crate::config::load(&Sources {
        files: Files::choose(globals.config),
        environment: Environment::of_process(),
        flags: flag.into_iter().collect(),
        logs_to_terminal: std::io::stderr().is_terminal(),
    })?;
    for warning in &loaded.warnings {
        out.warn(&warning.to_string());
    }
    log(globals.verbose, &loaded.config.log.filter, out);
    let context = Context {
        loaded,
        out: out.clone(),
        yes: globals.yes,
        interrupt: CancellationToken::new(),
        command_line,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        listen_for_signals(context.interrupt.clone())?;
        if command.stops_itself() {
            return dispatch(&context, command).await;
        }
        tokio::select! {
            done = dispatch(&context, command) => done,
            () = context.interrupt.cancelled() => {
                Err(Failure::Interrupted("nothing was left half done".to_owned()).into())
            }
        }
    });
    // A thread may be waiting for standard input, which may never come.
    runtime.shutdown_timeout(Duration::from_millis(10));
    done
}

async fn dispatch(context: &Context, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Migrate(command) => migrate::run(context, command).await,
        Command::Ledger(command) => ledger::run(context, command).await,
        Command::Merchant(command) => merchant::run(context, command).await,
        Command::Wallet(command) => wallet::run(context, command).await,
        Command::Transfer(command) => transfer::run(context, command).await,
        Command::Payment(command) => payment::run(context, command).await,
        Command::Settlement(command) => settlement::run(context, command).await,
        Command::Outbox(command) => outbox::run(context, command).await,
        Command::Dlq(command) => dlq::run(context, command).await,
        Command::Payout(command) => payout::run(context, command).await,
        Command::Reconcile(command) => reconcile::run(context, command).await,
        Command::Refund(command) => refund::run(context, command).await,
        Command::Simulator(command) => simulator::run(context, command).await,
        Command::Trace(args) => trace::run(context, &args).await,
        Command::Status(args) => status::run(context, &args).await,
        Command::Config(command) => config::run(context, &command),
        Command::Bench(command) => bench::run(context, command).await,
        Command::Completions(args) => completions::run(&args, &context.out),
        Command::Man(args) => man::run(&args, &context.out),
        Command::Help(args) => help::run(&args, &context.out),
    }
}

/// Ctrl-C or SIGTERM cancels the token; the second one ends the program at once.
fn listen_for_signals(interrupt: CancellationToken) -> std::io::Result<()> {
    let mut ctrl_c = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = ctrl_c.recv() => {}
                _ = terminate.recv() => {}
            }
            if interrupt.is_cancelled() {
                std::process::exit(i32::from(Exit::Interrupted.code()));
            }
            interrupt.cancel();
        }
    });
    Ok(())
}

/// A log on standard error, only where somebody asked for it: with `-v`, or with RUST_LOG.
fn log(verbose: u8, filter: &str, out: &Output) {
    let asked = std::env::var_os("RUST_LOG").is_some_and(|value| !value.is_empty());
    let filter = match verbose {
        0 if !asked => return,
        0 => filter,
        1 => "info",
        _ => "debug",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        // It would be told on standard error, which panics where that is what failed.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(out.error_color());
    // Fails only where a log was set up already, as in a test.
    drop(subscriber.try_init());
}
