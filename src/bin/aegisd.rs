//! The daemon: posts transfers, relays their events, and serves the HTTP API.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use aegis::config::{self, Environment, Files, Flag, Sources};
use aegis::{daemon, telemetry};
use clap::Parser;

/// Posts transfers to a double-entry ledger on PostgreSQL and relays their events to Kafka.
///
/// Settings come from built-in defaults, ./config/*.yaml (else /etc/aegis), the environment and
/// these flags, each over the one before; `aegisctl config show` prints them with their origins.
/// SIGHUP has it read the files again and log by what they say then; the rest changes with a restart.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  \
    DATABASE_URL=postgres://aegis@localhost/aegis BUS=local aegisd --port 8080\n\n\
    Exit codes: 0 stopped and drained, 1 unexpected or not drained in time, 2 configuration,\n\
    7 a dependency could not be reached."
)]
struct Args {
    /// A file that stands in for the configuration files.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on; 0 takes any free one, which the log names.
    #[arg(long)]
    port: Option<String>,
    /// Where events go: local or kafka.
    #[arg(long)]
    bus: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let flags = [
        ("--host", "server.host", args.host),
        ("--port", "server.port", args.port),
        ("--bus", "bus", args.bus),
    ];
    let flags = flags.into_iter().filter_map(|(flag, key, value)| {
        Some(Flag {
            flag: flag.to_owned(),
            key: key.to_owned(),
            value: value?,
        })
    });
    let sources = Sources {
        files: Files::choose(args.config),
        environment: Environment::of_process(),
        flags: flags.collect(),
        logs_to_terminal: std::io::stderr().is_terminal(),
    };
    let loaded = match config::load(&sources) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&error.to_string(), 2),
    };
    let log_filter = match telemetry::init(&loaded.config) {
        Ok(log_filter) => log_filter,
        Err(error) => return fail(&error, 2),
    };
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "configuration");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime can't start: {error}"), 1),
    };
    // On SIGHUP the files are read again for what may change while the daemon runs.
    let reread = || config::load(&sources);
    let ended = runtime.block_on(daemon::run(&loaded.config, reread, &log_filter));
    // A blocking call that hangs doesn't hold the exit up.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "aegisd ends");
            fail(&error.to_string(), error.exit_code())
        }
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    // Nobody is left to tell when standard error is gone.
    let _ = writeln!(std::io::stderr(), "aegisd: {message}");
    ExitCode::from(code)
}
