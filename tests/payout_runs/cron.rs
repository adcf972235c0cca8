//! The crontab and the units that are shipped run as they stand, twice, and pay once.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::ran::Ran;
use crate::scene::{Scene, not_at_midnight};

const ENVIRONMENT_FILE: &str = "/etc/aegis/aegisd.env";

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("packaging")
        .join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(shipped(path)).unwrap()
}

/// Runs a shell's command line with the scene's settings in place of the installed ones.
fn shell(scene: &Scene, line: &str, from_file: bool) -> Ran {
    let tools = Path::new(env!("CARGO_BIN_EXE_aegisctl")).parent().unwrap();
    let file = scene.directory().join("aegisd.env");
    let settings: Vec<String> = scene
        .environment()
        .iter()
        .map(|(name, value)| format!("{name}='{value}'"))
        .collect();
    std::fs::write(&file, settings.join("\n")).unwrap();
    let line = line
        .replace(ENVIRONMENT_FILE, file.to_str().unwrap())
        .replace(
            "/usr/bin/aegisctl",
            tools.join("aegisctl").to_str().unwrap(),
        );
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &line])
        .env_clear()
        .current_dir(scene.directory())
        .env("PATH", format!("{}:/usr/bin:/bin", tools.display()));
    if !from_file {
        command.envs(scene.environment());
    }
    Ran::of(command.output().unwrap())
}

async fn due(scene: &Scene) {
    scene.merchant("acme", 50_000).await;
    scene.merchant("bolt", 7_000).await;
}

async fn assert_paid_once(scene: &Scene) {
    assert_eq!(scene.transfers(), (2, 57_000));
    assert_eq!(scene.number("SELECT count(*) FROM payout_runs").await, 1);
    scene.assert_paid_once().await;
}

/// The commands of a crontab of /etc/cron.d, as cron hands them to the shell.
fn commands(crontab: &str) -> Vec<String> {
    let lines = crontab.lines().map(str::trim);
    let entries = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_digit() || c == '*'));
    entries
        .map(|line| {
            let mut rest = line;
            // Five fields of time, and the user.
            for _ in 0..6 {
                rest = rest.split_once(char::is_whitespace).unwrap().1.trim_start();
            }
            assert!(
                !rest.replace(r"\%", "").contains('%'),
                "a % alone ends the command: {rest}"
            );
            rest.replace(r"\%", "%")
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crontab_started_twice_pays_once_and_mails_a_summary() {
    let scene = Scene::new().await;
    due(&scene).await;
    let commands = commands(&read("cron/aegis-payouts"));
    let [first, second] = &commands[..] else {
        panic!("it starts the run twice: {commands:?}");
    };
    not_at_midnight().await;
    let mail = shell(&scene, first, true).exits(0);
    let summary = &mail.stdout;
    assert!(
        summary.contains("finished") && summary.contains("570.00"),
        "{summary}"
    );
    assert!(mail.stderr.contains("2 of 2 payouts succeeded"), "{mail:?}");
    shell(&scene, second, true).exits(0).says("nothing to do");
    assert_paid_once(&scene).await;
}

/// The command of the unit as systemd runs it, with these currencies in its environment.
fn unit(currencies: &str) -> String {
    let unit = read("systemd/aegis-payouts.service").replace("\\\n", " ");
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let line = line.replace("%%", "%").replace("$$", "$");
    format!("export PAYOUT_CURRENCIES='{currencies}'; {line}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unit_started_twice_pays_once() {
    let scene = Scene::new().await;
    due(&scene).await;
    let line = unit("NGN");
    not_at_midnight().await;
    shell(&scene, &line, false).exits(0);
    shell(&scene, &line, false).exits(0).says("nothing to do");
    assert_paid_once(&scene).await;
}

#[test]
fn a_run_that_is_made_up_for_in_the_morning_is_the_evenings_before() {
    let line = unit("NGN");
    let (_, date) = line.split_once("day=$(").unwrap();
    let (date, _) = date.split_once(')').unwrap();
    for (at, evening) in [
        ("2026-11-26 18:00", "2026-11-26"),
        ("2026-11-26 18:30", "2026-11-26"),
        ("2026-11-27 08:15", "2026-11-26"),
        ("2026-11-27 17:59", "2026-11-26"),
        ("2026-11-27 18:00", "2026-11-27"),
        ("2028-03-01 00:30", "2028-02-29"),
    ] {
        let then = date.replace("-d \"", &format!("-d \"{at} UTC "));
        assert_ne!(then, date);
        let told = Command::new("sh").args(["-c", &then]).output().unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        assert_eq!(told.trim(), evening, "{then}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_currency_that_fails_holds_no_other_one_up_and_fails_the_unit() {
    let scene = Scene::new().await;
    due(&scene).await;
    shell(&scene, &unit("USD naira NGN"), false).exits(2);
    assert_paid_once(&scene).await;
    shell(&scene, &unit("USD NGN"), false).exits(0);
    shell(&scene, &unit(""), false)
        .exits(2)
        .says("names no currency");
}
