//! The command line as a page.

use std::fmt::Write as _;
use std::process::Command;

use clap::Arg;
use serde_json::Value;

use super::{cell, hold};

const HEAD: &str = "\
# The command line

Generated from the programs' own definitions; `make docs` writes it anew. The same is in
`aegisctl help`, in the manual pages (`aegisctl man`), and completed by the shell
(`aegisctl completions bash`).

Data goes to standard output, everything else to standard error. What destroys, resends or decides
computes a plan, shows it, asks, and does that same plan; `--dry-run` prints it and never asks; without
a terminal it refuses unless `--yes`.
";

#[test]
fn the_command_lines_reference_is_what_the_code_says() {
    let mut command = aegis::cli::command_line().disable_help_flag(true);
    command.build();
    let mut page = HEAD.to_owned();
    page.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for code in exit_codes().as_array().unwrap() {
        let meaning = cell(code["meaning"].as_str().unwrap());
        writeln!(page, "| {} | {meaning} |", code["code"]).unwrap();
    }
    page.push_str("\n## Options everywhere\n\n");
    arguments(
        &mut page,
        command.get_arguments().filter(|arg| arg.is_global_set()),
    );
    for noun in command.get_subcommands() {
        tell(&mut page, noun, "aegisctl", 2);
    }
    page.push_str("\n## aegisd\n\n```text\n");
    let help = Command::new(env!("CARGO_BIN_EXE_aegisd"));
    page.push_str(&said(help, &["--help"]));
    page.push_str("```\n");
    hold("docs/cli.md", &page.replace("\n\n\n", "\n\n"));
}

fn exit_codes() -> Value {
    let help = Command::new(env!("CARGO_BIN_EXE_aegisctl"));
    let codes = said(help, &["-o", "json", "help", "exit-codes"]);
    serde_json::from_str(&codes).unwrap()
}

fn said(mut command: Command, args: &[&str]) -> String {
    let output = command.env_clear().args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A command and those below it.
fn tell(page: &mut String, command: &clap::Command, before: &str, depth: usize) {
    if command.get_name() == "help" {
        return;
    }
    let name = format!("{before} {}", command.get_name());
    writeln!(page, "\n{} {name}\n", "#".repeat(depth.min(4))).unwrap();
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    for paragraph in about.split("\n\n") {
        writeln!(page, "{}\n", cell(paragraph)).unwrap();
    }
    let own = command.get_arguments();
    arguments(
        page,
        own.filter(|arg| !arg.is_global_set() && arg.get_id() != "help"),
    );
    let after = command.get_after_long_help().or(command.get_after_help());
    if let Some(after) = after {
        writeln!(page, "```text\n{}\n```", after.to_string().trim_end()).unwrap();
    }
    for below in command.get_subcommands() {
        tell(page, below, &name, depth + 1);
    }
}

fn arguments<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let mut arguments = arguments.filter(|arg| !arg.is_hide_set()).peekable();
    if arguments.peek().is_none() {
        return;
    }
    page.push_str("| | |\n|---|---|\n");
    for arg in arguments {
        let help = arg.get_long_help().or(arg.get_help());
        let mut help = cell(&help.map(ToString::to_string).unwrap_or_default());
        let values: Vec<String> = arg
            .get_possible_values()
            .iter()
            .filter(|_| arg.get_action().takes_values())
            .map(|value| match value.get_help() {
                Some(about) => format!("`{}` ({})", value.get_name(), cell(&about.to_string())),
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        if !values.is_empty() {
            write!(help, ". One of {}", values.join(", ")).unwrap();
        }
        let default: Vec<_> = arg
            .get_default_values()
            .iter()
            .filter(|_| arg.get_action().takes_values())
            .map(|value| format!("`{}`", value.to_string_lossy()))
            .collect();
        if !default.is_empty() {
            write!(help, ". Default: {}", default.join(" ")).unwrap();
        }
        let needed = if arg.is_required_set() {
            " (required)"
        } else {
            ""
        };
        writeln!(page, "| `{}`{needed} | {help} |", spelled(arg)).unwrap();
    }
    page.push('\n');
}

/// As it is typed.
fn spelled(arg: &Arg) -> String {
    let values: Vec<String> = arg
        .get_value_names()
        .filter(|_| arg.get_action().takes_values())
        .unwrap_or_default()
        .iter()
        .map(|name| format!("<{name}>"))
        .collect();
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let spelled = match names.is_empty() {
        true => values.join(" "),
        false => [names.join(", "), values.join(" ")].join(" "),
    };
    spelled.trim_end().replace('|', "\\|")
}
