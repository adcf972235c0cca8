//! Commands of all pages, read as the programs read them.

use std::collections::BTreeMap;

use clap::error::ErrorKind;

use crate::pages::{Block, all, root};

/// The commands of a block: continued lines joined, cut at what the shell cuts at.
fn commands(block: &Block) -> Vec<Vec<String>> {
    let joined = block.text.replace("\\\n", " ");
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut chars = joined.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                while let Some(inner) = chars.next_if(|next| *next != c) {
                    word.push(inner);
                }
                chars.next();
            }
            '\n' | '|' | ';' | '&' | '<' | '>' | '(' | ')' => {
                // The number of a stream is no word of the command.
                word.take_if(|word| c == '>' && word.chars().all(|c| c.is_ascii_digit()));
                commands.last_mut().unwrap().extend(word.take());
                commands.push(Vec::new());
            }
            '#' if word.is_none() => while chars.next_if(|next| *next != '\n').is_some() {},
            c if c.is_whitespace() => commands.last_mut().unwrap().extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    commands.last_mut().unwrap().extend(word);
    commands.retain(|command| !command.is_empty());
    commands
}

/// A command without what stands before it: variables, and the shell's own words.
fn bare(command: &[String]) -> &[String] {
    let before = [
        "until", "while", "if", "do", "then", "else", "exec", "sudo", "$", "!",
    ];
    let from = command.iter().position(|word| {
        let assigns = word.split_once('=').is_some_and(|(name, _)| {
            name.chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        });
        !assigns && !before.contains(&word.as_str())
    });
    &command[from.unwrap_or(command.len())..]
}

/// Every command of every page, with where it stands.
fn everywhere() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for page in all() {
        for block in page.shell() {
            let place = format!("{}:{}", page.path.display(), block.line);
            for command in commands(&block) {
                found.push((place.clone(), bare(&command).to_vec()));
            }
        }
    }
    found
}

#[test]
fn every_aegisctl_of_every_page_is_one_that_there_is() {
    let mut seen = 0;
    for (place, command) in everywhere() {
        if command.first().is_none_or(|program| program != "aegisctl") {
            continue;
        }
        seen += 1;
        let parsed = aegis::cli::command_line().try_get_matches_from(&command);
        // What a value has to be is seen where the command is run: pages have ID and $ID, too.
        if let Err(error) = parsed
            && !matches!(
                error.kind(),
                ErrorKind::ValueValidation | ErrorKind::DisplayHelp
            )
        {
            panic!("{place}: {command:?}: {error}");
        }
    }
    assert!(seen > 60, "{seen} commands: they were not read");
}

#[test]
fn every_make_target_and_every_verb_of_the_stack_is_one_that_there_is() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let stack = std::fs::read_to_string(root().join("dev/stack")).unwrap();
    let mut seen = BTreeMap::<&str, usize>::new();
    for (place, command) in everywhere() {
        let Some(word) = command.get(1) else { continue };
        match command[0].as_str() {
            "make" => {
                let target = format!("\n{word}:");
                assert!(makefile.contains(&target), "{place}: no target {word}");
                *seen.entry("make").or_default() += 1;
            }
            program if program.ends_with("dev/stack") => {
                let verb = format!("    dev/stack {}", word.trim_end_matches('"'));
                assert!(stack.contains(&verb), "{place}: no verb {word}");
                *seen.entry("stack").or_default() += 1;
            }
            _ => {}
        }
    }
    assert!(seen["make"] >= 4, "{seen:?}");
}

#[test]
fn no_block_is_left_out_without_a_reason_and_no_more_than_there_are() {
    let counts: Vec<(String, usize)> = ["README.md", "docs/tutorial.md", "docs/runbook.md"]
        .iter()
        .map(|path| {
            let blocks = crate::pages::page(path).shell();
            let left_out = blocks.iter().filter(|block| {
                let reason = block.not_run.as_ref();
                assert!(
                    reason.is_none_or(|reason| reason.len() > 10),
                    "{path}: {block:?}"
                );
                // What other tests run is run.
                reason.is_some_and(|reason| !root().join(reason).join("main.rs").exists())
            });
            ((*path).to_owned(), left_out.count())
        })
        .collect();
    let expected = [
        ("README.md", 3),
        ("docs/tutorial.md", 1),
        ("docs/runbook.md", 0),
    ];
    let expected: Vec<_> = expected
        .map(|(path, count)| (path.to_owned(), count))
        .into();
    assert_eq!(counts, expected);
}
