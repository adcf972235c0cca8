//! `aegisctl`, the operations tool: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    aegis::cli::run(std::env::args_os()).into()
}
