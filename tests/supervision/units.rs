//! The units as systemd itself judges them: read as they are installed, and held to how far they shut
//! their programs in.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use serde_json::Value;

use crate::installed::{Installed, root, values};

/// What a service may stay open to, by the names of `systemd-analyze security`.
const OPEN: [&str; 6] = [
    // It calls PSPs, PostgreSQL, Redis and Kafka, wherever those are; PostgreSQL over a socket, too.
    "PrivateNetwork",
    "IPAddressDeny",
    "RestrictAddressFamilies_AF_INET_INET6",
    "RestrictAddressFamilies_AF_UNIX",
    // The programs are linked with the system's libraries.
    "RootDirectoryOrRootImage",
    // Comes with ProtectClock=, which lets the clock be read.
    "DeviceAllow",
];

/// In tenths; what systemd 252 finds is 11.
const EXPOSURE_MAX: u32 = 20;

fn analyze(arguments: &[&str]) -> Output {
    let mut tool = Command::new("systemd-analyze");
    tool.args(arguments).output().unwrap()
}

/// Whether systemd's judge is here. Where it is not, the run says so; CI has to have it.
fn is_here(test: &str) -> bool {
    let here = Command::new("systemd-analyze").arg("--version").output();
    let here = here.is_ok_and(|output| output.status.success());
    if !here {
        let told =
            format!("{test}: NOT TESTED, there is no systemd-analyze: dev/stack tools gets it");
        assert!(std::env::var_os("CI").is_none(), "{told}");
        // Past what the test harness holds back.
        let _ = writeln!(std::io::stderr(), "{told}");
    }
    here
}

/// An installation that systemd can read as the whole of a machine.
fn machine() -> Installed {
    let installed = Installed::below("/usr");
    let units = installed.at("/usr/lib/systemd/system");
    for target in std::fs::read_dir("/usr/lib/systemd/system").unwrap() {
        let path = target.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "target") {
            std::fs::copy(&path, units.join(path.file_name().unwrap())).unwrap();
        }
    }
    std::fs::create_dir(installed.at("/bin")).unwrap();
    for program in ["sh", "kill"] {
        let place = installed.at("/bin").join(program);
        std::fs::write(&place, "#!\n").unwrap();
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    installed
}

/// What systemd finds amiss with the units of an installation.
fn amiss(machine: &Installed) -> String {
    let root = format!("--root={}", machine.place.display());
    let names = machine.units().into_iter().map(|(name, _)| name);
    let names: Vec<String> = names.collect();
    let mut arguments = vec!["verify", "--man=no", &root];
    arguments.extend(names.iter().map(String::as_str));
    let said = analyze(&arguments);
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    let ours = words.lines().filter(|line| line.contains("aegis"));
    let ours = ours.collect::<Vec<_>>().join("\n");
    assert!(said.status.success() || !ours.is_empty(), "{words}");
    ours
}

#[test]
fn the_units_have_the_names_that_they_are_known_by() {
    let mut names: Vec<String> = Installed::below("/usr")
        .units()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "aegis-payouts.service",
            "aegis-payouts.timer",
            "aegis-verify.service",
            "aegis-verify.timer",
            "aegisd.service",
            "aegisd.socket"
        ]
    );
}

#[test]
fn systemd_finds_nothing_amiss_with_the_installed_units() {
    if !is_here("verify") {
        return;
    }
    let machine = machine();
    assert_eq!(amiss(&machine), "");
    // It would say so.
    std::fs::remove_file(machine.at("/usr/bin/aegisd")).unwrap();
    assert!(amiss(&machine).contains("aegisd is not executable"));
    let timer = machine.at("/usr/lib/systemd/system/aegis-payouts.timer");
    std::fs::write(timer, "[Timer]\nOnCalender=daily\n").unwrap();
    assert!(amiss(&machine).contains("OnCalender"));
}

/// What a service is open to by systemd's own reading.
fn open_to(unit: &std::path::Path) -> Vec<String> {
    let unit = unit.to_str().unwrap();
    let said = analyze(&["security", "--offline=true", "--json=short", unit]);
    assert!(said.status.success(), "{said:?}");
    let items: Vec<Value> = serde_json::from_slice(&said.stdout).unwrap();
    assert!(items.len() > 50, "{items:?}");
    let open = items.iter().filter(|item| item["set"] == false);
    open.map(|item| item["json_field"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn services_are_shut_in_as_far_as_their_work_allows() {
    if !is_here("security") {
        return;
    }
    for service in [
        "aegisd.service",
        "aegis-payouts.service",
        "aegis-verify.service",
    ] {
        let unit = root().join("packaging/systemd").join(service);
        let mut open = open_to(&unit);
        open.retain(|item| !OPEN.contains(&item.as_str()));
        assert!(open.is_empty(), "{service} is open to {open:?}");
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        let unit = unit.to_str().unwrap();
        let said = analyze(&["security", "--offline=true", &threshold, unit]);
        assert!(said.status.success(), "{service}: {said:?}");
    }
}

#[test]
fn each_line_that_shuts_the_daemon_in_is_missed() {
    if !is_here("security") {
        return;
    }
    let shipped = root().join("packaging/systemd/aegisd.service");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    let (head, hardening) = shipped.split_once("NoNewPrivileges=").unwrap();
    let hardening = format!("NoNewPrivileges={hardening}");
    let (hardening, tail) = hardening.split_once("\n\n").unwrap();
    let lines: Vec<&str> = hardening.lines().collect();
    assert!(lines.len() > 20, "{lines:?}");
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("aegisd.service");
    for left_out in &lines {
        // These have no say in what systemd counts: none of ours has other capabilities, and a mount
        // is private already where one of the others makes a place read-only.
        let counts = ![
            "AmbientCapabilities",
            "SystemCallErrorNumber",
            "PrivateMounts",
        ]
        .iter()
        .any(|name| left_out.starts_with(name));
        let kept: Vec<&str> = lines
            .iter()
            .filter(|line| *line != left_out)
            .copied()
            .collect();
        let text = format!("{head}{}\n\n{tail}", kept.join("\n"));
        std::fs::write(&unit, text).unwrap();
        let mut open = open_to(&unit);
        open.retain(|item| !OPEN.contains(&item.as_str()));
        assert!(!open.is_empty() || !counts, "nobody misses {left_out}");
    }
}

#[test]
fn the_timer_starts_each_evening_and_what_aegisd_may_use_is_bounded() {
    let installed = Installed::below("/usr");
    let units = installed.units();
    let unit = |wanted: &str| &units.iter().find(|(name, _)| name == wanted).unwrap().1;
    let timer = unit("aegis-payouts.timer");
    assert_eq!(values(timer, "Persistent"), ["true"]);
    let calendar = values(timer, "OnCalendar");
    if is_here("calendar") {
        let said = analyze(&["calendar", "--iterations=2", calendar[0]]);
        let words = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success(), "{said:?}");
        assert!(
            words.contains("18:00:00 UTC") && words.contains("18:30:00 UTC"),
            "{words}"
        );
    }
    let daemon = unit("aegisd.service");
    assert_eq!(values(daemon, "Type"), ["notify"]);
    assert_eq!(values(daemon, "Restart"), ["always"]);
    for limit in [
        "WatchdogSec",
        "LimitNOFILE",
        "MemoryMax",
        "TasksMax",
        "TimeoutStopSec",
    ] {
        assert_eq!(values(daemon, limit).len(), 1, "{limit}");
    }
    let settings = aegis::config::reference();
    let milliseconds = |key: &str| -> u64 {
        let setting = settings.iter().find(|setting| setting.key == key).unwrap();
        setting.default.parse().unwrap()
    };
    let seconds = |name: &str| -> u64 {
        values(daemon, name)[0]
            .trim_end_matches('s')
            .parse()
            .unwrap()
    };
    assert!(
        seconds("TimeoutStopSec") * 1_000 > milliseconds("server.shutdown_deadline_ms"),
        "it is killed while it drains"
    );
}
