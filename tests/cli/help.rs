//! Help, completions and manual pages.

use crate::support::run_alone;

/// Every command at every level, as the words that name it.
fn commands(command: &clap::Command, words: &[&str], found: &mut Vec<Vec<String>>) {
    found.push(words.iter().map(ToString::to_string).collect());
    for below in command.get_subcommands() {
        let words: Vec<&str> = words.iter().copied().chain([below.get_name()]).collect();
        commands(below, &words, found);
    }
}

#[test]
fn every_command_at_every_level_has_help_with_an_example() {
    let mut found = Vec::new();
    commands(&aegis::cli::command_line(), &[], &mut found);
    assert!(found.len() > 30, "{found:?}");
    for words in found {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let asked: Vec<&str> = words.iter().copied().chain(["--help"]).collect();
        let topic: Vec<&str> = ["help"].into_iter().chain(words.clone()).collect();
        // Options may stand before the command.
        let of_its_own = format!(" {}", words.join(" "));
        for args in [asked, topic] {
            let help = run_alone(&args, &[]).exits(0);
            let (_, examples) = help
                .stdout
                .split_once("Example")
                .unwrap_or_else(|| panic!("{args:?}: {}", help.stdout));
            let named = examples.contains(&of_its_own);
            assert!(named, "{args:?}: {}", help.stdout);
            assert!(
                help.stdout.contains("--output"),
                "{args:?}: {}",
                help.stdout
            );
            assert_eq!(help.stderr, "");
        }
    }
}

#[test]
fn exit_codes_are_told_and_stay() {
    let codes = run_alone(&["-o", "json", "help", "exit-codes"], &[])
        .exits(0)
        .json();
    let codes: Vec<i64> = codes
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code["code"].as_i64().unwrap())
        .collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]);
}

#[test]
fn a_wrong_command_line_ends_with_2_and_says_so_on_standard_error() {
    for args in [
        &[][..],
        &["wallet"],
        &["wallet", "shwo"],
        &["wallet", "show"],
        &["wallet", "show", "NO SUCH"],
        &["-o", "xml", "status"],
        &["help", "no", "such"],
        &["transfer", "import", "x", "--resume"],
        &["transfer", "import", "x", "--batch", "0"],
    ] {
        let ran = run_alone(args, &[]).exits(2);
        assert_eq!(ran.stdout, "", "{args:?}");
        assert!(!ran.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn completions_and_manual_pages_are_made_for_every_shell_and_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run_alone(&["completions", shell], &[]).exits(0).stdout;
        assert!(
            script.contains("aegisctl") && script.contains("outcomes"),
            "{shell}"
        );
    }
    assert!(
        run_alone(&["man"], &[])
            .exits(0)
            .stdout
            .contains(".TH aegisctl 1")
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    run_alone(&["man", "--dir", path], &[]).exits(0);
    assert!(
        directory
            .path()
            .join("aegisctl-transfer-import.1")
            .is_file()
    );
}
