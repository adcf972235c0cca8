//! `aegisctl bench`: figures of this machine.

mod view;

use super::context::Context;
use super::exit::{Exit, Failure};
use crate::bench::{
    self, ApiOptions, BenchError, DaemonsOptions, Machine, Measurement, PostOptions,
    TelemetryOptions,
};
use crate::bus::BusError;
use crate::config::BusKind;

/// What all benches take.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// End with exit code 4 where a ratio falls short of its goal
    #[arg(long)]
    check: bool,
}

#[derive(Debug, clap::Subcommand)]
#[command(after_help = "\
Examples:
  aegisctl bench post
  aegisctl bench api --seconds 20")]
pub(super) enum Command {
    /// The engine in batches, against bare COPY of the same rows
    #[command(after_help = "Example:\n  aegisctl -o json bench post")]
    Post {
        #[command(flatten)]
        args: Args,
        /// Batches a size
        #[arg(long, default_value_t = PostOptions::default().batches)]
        batches: usize,
        /// Single transfers
        #[arg(long, default_value_t = PostOptions::default().singles)]
        singles: usize,
    },
    /// HTTP, one transfer a request, against a lean SQL function
    #[command(after_help = "Example:\n  aegisctl bench api --seconds 20")]
    Api {
        #[command(flatten)]
        args: Args,
        /// Seconds for each figure and side
        #[arg(long, default_value_t = ApiOptions::default().time.as_secs())]
        seconds: u64,
        /// Connections to the API
        #[arg(long, default_value_t = ApiOptions::default().connections)]
        connections: usize,
    },
    /// HTTP with Redis, and two daemons with and without locks in it
    ///
    /// On a redis-server of its own, from this machine's binaries.
    #[command(after_help = "Example:\n  aegisctl bench daemons --rounds 6 --seconds 5")]
    Daemons {
        #[command(flatten)]
        args: Args,
        /// Rounds, in each of which every side has its turn
        #[arg(long, default_value_t = DaemonsOptions::default().rounds)]
        rounds: usize,
        /// Seconds of a turn
        #[arg(long, default_value_t = DaemonsOptions::default().turn.as_secs())]
        seconds: u64,
        /// Connections, shared by the daemons of a side
        #[arg(long, default_value_t = DaemonsOptions::default().connections)]
        connections: usize,
    },
    /// The relay to Kafka, against posting over HTTP
    #[command(after_help = "Example:\n  aegisctl bench relay --events 100000")]
    Relay {
        #[command(flatten)]
        args: Args,
        /// Events to relay
        #[arg(long, default_value_t = 80_000)]
        events: usize,
    },
    /// HTTP with traces recorded, against the same without
    ///
    /// The collector that they are sent to is in this process, and works on the same processors.
    #[command(after_help = "Example:\n  aegisctl bench telemetry --rounds 10 --check")]
    Telemetry {
        #[command(flatten)]
        args: Args,
        /// Rounds, in each of which every side has its turn
        #[arg(long, default_value_t = TelemetryOptions::default().rounds)]
        rounds: usize,
        /// Seconds of a turn
        #[arg(long, default_value_t = TelemetryOptions::default().turn.as_secs())]
        seconds: u64,
        /// Connections to the daemon whose turn it is
        #[arg(long, default_value_t = TelemetryOptions::default().connections)]
        connections: usize,
    },
    /// Verifying a ledger, against merely reading it
    #[command(after_help = "Example:\n  aegisctl bench verify --entries 2000000")]
    Verify {
        #[command(flatten)]
        args: Args,
        /// Entries of the ledger that is made for it
        #[arg(long, default_value_t = 1_000_000)]
        entries: usize,
    },
}

pub(super) async fn run(context: &Context, command: Command) -> anyhow::Result<Exit> {
    // Whoever can't reach it is told so as by every other command.
    drop(
        context
            .unless_interrupted(context.connect_to_any_schema())
            .await?,
    );
    if cfg!(debug_assertions) {
        context
            .out
            .warn("this is not an optimised build; its figures say nothing");
    }
    let settings = context.database()?;
    let stop = &context.interrupt;
    let mut done = |measurement: &Measurement| context.out.note(&view::line(measurement));
    let (args, measured) = match command {
        Command::Post {
            args,
            batches,
            singles,
        } => {
            let options = PostOptions {
                batches,
                singles,
                ..PostOptions::default()
            };
            (args, bench::post(&settings, options, stop, &mut done).await)
        }
        Command::Api {
            args,
            seconds,
            connections,
        } => {
            let time = std::time::Duration::from_secs(seconds);
            let options = ApiOptions {
                time,
                connections,
                ..ApiOptions::default()
            };
            (args, bench::api(&settings, options, stop, &mut done).await)
        }
        Command::Daemons {
            args,
            rounds,
            seconds,
            connections,
        } => {
            let options = DaemonsOptions {
                rounds,
                turn: std::time::Duration::from_secs(seconds),
                connections,
                ..DaemonsOptions::default()
            };
            let measured = bench::daemons(&settings, options, stop, &mut done).await;
            (args, measured)
        }
        Command::Relay { args, events } => {
            if context.config().bus != BusKind::Kafka {
                let message = "the bus is local: set BUS=kafka and KAFKA_BROKERS";
                return Err(Failure::Usage(message.to_owned()).into());
            }
            let brokers = context.config().kafka.brokers.clone();
            (
                args,
                bench::relay(&settings, &brokers, events, stop, &mut done).await,
            )
        }
        Command::Telemetry {
            args,
            rounds,
            seconds,
            connections,
        } => {
            let options = TelemetryOptions {
                rounds,
                turn: std::time::Duration::from_secs(seconds),
                connections,
                ..TelemetryOptions::default()
            };
            let measured = bench::telemetry(&settings, options, stop, &mut done).await;
            (args, measured)
        }
        Command::Verify { args, entries } => (
            args,
            bench::verify(&settings, entries, stop, &mut done).await,
        ),
    };
    let (machine, measurements) = measured.map_err(failure)?;
    show(context, &args, &machine, &measurements)
}

fn show(
    context: &Context,
    args: &Args,
    machine: &Machine,
    measurements: &[Measurement],
) -> anyhow::Result<Exit> {
    view::show(&context.out, machine, measurements)?;
    let missed = measurements.iter().any(Measurement::misses_its_goal);
    Ok(if args.check && missed {
        Exit::Found
    } else {
        Exit::Done
    })
}

fn failure(error: BenchError) -> anyhow::Error {
    match error {
        BenchError::Stopped => {
            let message = "there are no figures; what the bench had made is removed";
            Failure::Interrupted(message.to_owned()).into()
        }
        error if error.is_stopped() => Failure::Interrupted(error.to_string()).into(),
        BenchError::Bus(error @ BusError::Unreachable(_)) => {
            Failure::Unreachable(format!("{error}: check KAFKA_BROKERS, or start Kafka")).into()
        }
        error => anyhow::Error::new(error).context("the bench could not run"),
    }
}
