//! A machine with a systemd of its own, on which Aegis is installed.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::installed::{Installed, root};
use crate::support::PATIENCE;

/// What `boot.sh` ends with where no such machine can be had.
const NOT_TO_BE_HAD: i32 = 77;

/// Running; switched off when dropped.
pub(crate) struct Machine {
    boot: Child,
    /// The process 1 of the machine, as it is known outside.
    first: String,
    scratch: PathBuf,
    /// Where its aegisd takes requests.
    pub(crate) address: SocketAddr,
    _installed: Installed,
}

impl Machine {
    /// With these settings of aegisd and these lines added to its service. None where there is no root,
    /// or no systemd; the run says so.
    pub(crate) async fn boot(test: &str, settings: &[(&str, &str)], service: &str) -> Option<Self> {
        let installed = Installed::below("/usr");
        let address = free();
        let listen = format!("[Socket]\nListenStream=\nListenStream={address}\n");
        let settings = settings
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"));
        for (path, text) in [
            ("/etc/aegis/aegisd.env", settings.collect::<String>()),
            ("/etc/systemd/system/aegisd.socket.d/test.conf", listen),
            (
                "/etc/systemd/system/aegisd.service.d/test.conf",
                format!("[Service]\n{service}\n"),
            ),
        ] {
            let place = installed.at(path);
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(place, text).unwrap();
        }
        let scratch = std::env::temp_dir().join(format!("aegis-machine-{}", Uuid::new_v4()));
        std::fs::create_dir(&scratch).unwrap();
        let boot = Command::new(root().join("tests/supervision/boot.sh"))
            .args([&installed.place, &scratch])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut machine = Self {
            boot,
            first: String::new(),
            scratch,
            address,
            _installed: installed,
        };
        if machine.is_up().await {
            return Some(machine);
        }
        // Past what the test harness holds back.
        let told = format!("{test}: NOT TESTED, no systemd can be process 1 of anything here");
        drop(writeln!(std::io::stderr(), "{told}"));
        None
    }

    async fn is_up(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.boot.try_wait().unwrap() {
                let mut said = String::new();
                let mut errors = self.boot.stderr.take().unwrap();
                std::io::Read::read_to_string(&mut errors, &mut said).unwrap();
                assert_eq!(status.code(), Some(NOT_TO_BE_HAD), "{said}");
                return false;
            }
            let id = self.boot.id();
            let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
            if let Ok(children) = children
                && let Some(first) = children.split_whitespace().next()
            {
                first.clone_into(&mut self.first);
                let state = self.run(&["systemctl", "is-system-running"]);
                if String::from_utf8_lossy(&state.stdout).trim() == "running" {
                    return true;
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("the machine does not come up");
    }

    /// What came of a command on the machine.
    pub(crate) fn run(&self, command: &[&str]) -> Output {
        Command::new("nsenter")
            .args([
                "--target",
                &self.first,
                "--mount",
                "--pid",
                "--uts",
                "--ipc",
            ])
            .args(["--cgroup", "--root", "--wd", "--"])
            .args(command)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Has systemd do something that has to work.
    pub(crate) fn systemctl(&self, arguments: &[&str]) -> String {
        let done = self.run(&[&["systemctl"], arguments].concat());
        assert!(done.status.success(), "{done:?}\n{}", self.journal());
        String::from_utf8(done.stdout).unwrap()
    }

    /// A property of a unit.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        let value = self.systemctl(&["show", "--value", "--property", name, unit]);
        value.trim().to_owned()
    }

    /// All that was logged.
    pub(crate) fn journal(&self) -> String {
        let journal = self.run(&["journalctl", "--no-pager", "--output=cat"]);
        String::from_utf8_lossy(&journal.stdout).into_owned()
    }

    /// Waits for words in the journal.
    pub(crate) async fn logged(&self, words: &str) {
        let began = Instant::now();
        while !self.journal().contains(words) {
            assert!(began.elapsed() < PATIENCE, "{words}: {}", self.journal());
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Its process 1 goes with it, and so does every other.
        drop(self.boot.kill());
        drop(self.boot.wait());
        let name = self.scratch.file_name().unwrap().to_owned();
        let folders = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten();
        let folders = folders.filter_map(|entry| Some(entry.ok()?.path()));
        for groups in folders.chain([PathBuf::from("/sys/fs/cgroup")]) {
            remove_groups(&groups.join(&name));
        }
        drop(std::fs::remove_dir_all(&self.scratch));
    }
}

/// A control group can be removed once its last process is gone, which takes a moment.
fn remove_groups(group: &Path) {
    let within = std::fs::read_dir(group).into_iter().flatten();
    for entry in within.filter_map(Result::ok) {
        if entry.path().is_dir() {
            remove_groups(&entry.path());
        }
    }
    let began = std::time::Instant::now();
    while group.exists() && std::fs::remove_dir(group).is_err() && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An address that is free, and that nobody is given who asks for any.
fn free() -> SocketAddr {
    let mut candidates = std::iter::repeat_with(|| fastrand::u16(20_000..30_000));
    candidates
        .find_map(|port| {
            TcpListener::bind(("127.0.0.1", port))
                .and_then(|socket| socket.local_addr())
                .ok()
        })
        .unwrap()
}
