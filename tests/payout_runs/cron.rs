//! The crontab and the units that are shipped run as they stand, twice, and pay once.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::ran::Ran;
use crate::scene::Scene;

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

#[tokio::test(flavor = "multi_thread")]
async fn the_unit_started_twice_pays_once() {
    let scene = Scene::new().await;
    due(&scene).await;
    let unit = read("systemd/aegis-payout-run@.service");
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    // As systemd reads it for aegis-payout-run@NGN.
    let line = line
        .replace("%%", "\0")
        .replace("%i", "NGN")
        .replace('\0', "%")
        .replace("$$", "$");
    shell(&scene, &line, false).exits(0);
    shell(&scene, &line, false).exits(0).says("nothing to do");
    assert_paid_once(&scene).await;
}

#[test]
fn the_units_are_valid() {
    let has_tool = Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_ok();
    if !has_tool {
        eprintln!("systemd-analyze is not here: the units are not verified");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // The account of an installed system is not on every machine.
    for name in ["aegis-payout-run@.service", "aegis-payout-run@.timer"] {
        let unit = read(&format!("systemd/{name}"));
        let unit = unit.replace("User=aegis\nGroup=aegis\n", "");
        std::fs::write(directory.path().join(name.replace("@.", "@NGN.")), unit).unwrap();
    }
    for name in ["aegis-payout-run@NGN.service", "aegis-payout-run@NGN.timer"] {
        let output = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(directory.path().join(name))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let ours: Vec<&str> = said
            .lines()
            .filter(|l| l.contains("aegis-payout-run"))
            .collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
    let calendar = Command::new("systemd-analyze")
        .args(["calendar", "*-*-* 18:00:00 UTC"])
        .output()
        .unwrap();
    assert!(calendar.status.success());
    assert!(read("systemd/aegis-payout-run@.timer").contains("OnCalendar=*-*-* 18:00:00 UTC"));
}
