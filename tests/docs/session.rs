//! A page in a shell: its blocks one after the other, in a directory of their own, with the programs
//! that were built on the path and nothing else of the environment.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::pages::Page;

/// A word of a page that the test has its own instead of, such as a port.
pub(crate) struct Instead(pub(crate) &'static str, pub(crate) String);

/// What a page is run with.
pub(crate) struct Session {
    variables: BTreeMap<&'static str, String>,
    instead: Vec<Instead>,
    directory: tempfile::TempDir,
}

impl Session {
    /// On this database, with the local bus and without Redis.
    pub(crate) fn new(database_url: &str) -> Self {
        let programs = Path::new(env!("CARGO_BIN_EXE_aegisctl")).parent().unwrap();
        let system = std::env::var("PATH").unwrap();
        let session = Self {
            variables: BTreeMap::new(),
            instead: Vec::new(),
            directory: tempfile::tempdir().unwrap(),
        };
        session
            .with("PATH", &format!("{}:{system}", programs.display()))
            .with("LC_ALL", "C.UTF-8")
            .with("DATABASE_URL", database_url)
            .with("BUS", "local")
            .with("REDIS_ADDRESS", "")
    }

    /// With a variable.
    pub(crate) fn with(mut self, variable: &'static str, value: &str) -> Self {
        self.variables.insert(variable, value.to_owned());
        self
    }

    /// With programs of this folder before the system's.
    pub(crate) fn with_programs_of(mut self, folder: &Path) -> Self {
        let path = self.variables.entry("PATH").or_default();
        *path = match path.split_once(':') {
            Some((ours, system)) => format!("{ours}:{}:{system}", folder.display()),
            None => folder.display().to_string(),
        };
        self
    }

    /// With another word for one of the page's. It has to be there.
    pub(crate) fn instead(mut self, word: &'static str, ours: &str) -> Self {
        self.instead.push(Instead(word, ours.to_owned()));
        self
    }

    /// Where it runs.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs all blocks of a page that are to be run: what they printed.
    pub(crate) fn run(&self, page: &Page, patience: Duration) -> String {
        let mut script = String::from("set -euo pipefail\n");
        let mut blocks = 0;
        for block in page.shell() {
            if block.not_run.is_some() {
                continue;
            }
            blocks += 1;
            script.push_str(&format!("printf '\\n=== line %d\\n' {}\n", block.line));
            script.push_str(&with_exit_codes(&block.text));
        }
        assert!(blocks > 0, "{} has nothing to run", page.path.display());
        for Instead(word, ours) in &self.instead {
            assert!(
                script.contains(word),
                "{} says no {word}",
                page.path.display()
            );
            script = script.replace(word, ours);
        }
        self.script(&page.path.display().to_string(), &script, patience)
    }

    /// Runs a script: what it printed.
    pub(crate) fn script(&self, name: &str, script: &str, patience: Duration) -> String {
        let file = self.directory().join("script.sh");
        std::fs::write(&file, script).unwrap();
        let said = self.directory().join("said");
        let output = std::fs::File::create(&said).unwrap();
        let mut command = Command::new("bash");
        command
            .arg(&file)
            .current_dir(self.directory())
            .env_clear()
            .envs(&self.variables)
            .env("HOME", self.directory())
            .stdin(Stdio::null())
            .stderr(output.try_clone().unwrap())
            .stdout(output)
            // So that what it left in the background ends with it.
            .process_group(0);
        let group = Group(command.spawn().unwrap());
        let code = group.ended_within(patience);
        let said = String::from_utf8_lossy(&std::fs::read(said).unwrap()).into_owned();
        match code {
            Some(Some(0)) => said,
            Some(code) => panic!("{name} ended with {code:?}:\n{said}{}", self.logs()),
            None => panic!(
                "{name} takes longer than {patience:?}:\n{said}{}",
                self.logs()
            ),
        }
    }

    /// What servers in the background logged last.
    fn logs(&self) -> String {
        let mut logs = String::new();
        for entry in std::fs::read_dir(self.directory()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let from = text.len().saturating_sub(2_000);
                let last = text.get(from..).unwrap_or(&text);
                logs.push_str(&format!("\n--- {}\n{last}", path.display()));
            }
        }
        logs
    }
}

/// A line that ends in `# exit code N` has to end with that one, with `# exit code N or M` with one of
/// the two.
fn with_exit_codes(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| match line.split_once("# exit code ") {
            Some((command, code)) => {
                let is_end = |c: char| !c.is_ascii_digit();
                let codes = code
                    .split(" or ")
                    .map(|code| code.split(is_end).next().unwrap());
                let codes: Vec<&str> = codes.filter(|code| !code.is_empty()).collect();
                let codes = codes.join("|");
                format!(
                    "code=0; {command} || code=$?; case $code in {codes}) ;; *) false ;; esac\n"
                )
            }
            None => format!("{line}\n"),
        });
    lines.collect()
}

/// A shell and all that it started.
struct Group(Child);

impl Group {
    /// Its exit code, or nothing where it goes on.
    fn ended_within(mut self, patience: Duration) -> Option<Option<i32>> {
        let began = Instant::now();
        while began.elapsed() < patience {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status.code());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        let mut kill = Command::new("kill");
        kill.args(["-KILL", "--", &group]).stderr(Stdio::null());
        // Where all of it has ended there is nobody to be told.
        drop(kill.status());
        drop(self.0.wait());
    }
}
