//! What `make install` lays out, and what the Debian package takes of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use uuid::Uuid;

/// An installation below a folder of its own; gone when dropped.
pub(crate) struct Installed {
    pub(crate) place: PathBuf,
}

impl Installed {
    /// With the programs that the tests are built with.
    pub(crate) fn below(prefix: &str) -> Self {
        let name = format!("aegis-install-{}", Uuid::now_v7().simple());
        let place = std::env::temp_dir().join(name);
        let built = Path::new(env!("CARGO_BIN_EXE_aegisd")).parent().unwrap();
        let installed = Command::new(root().join("packaging/install"))
            .args([place.as_path(), Path::new(prefix), Path::new("/usr/lib")])
            .env("AEGIS_BUILT", built)
            .output()
            .unwrap();
        assert!(installed.status.success(), "{installed:?}");
        Self { place }
    }

    /// The place of what will be found at this path.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.place.join(path.trim_start_matches('/'))
    }

    /// Every unit, with its name.
    pub(crate) fn units(&self) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(self.at("/usr/lib/systemd/system")).unwrap();
        let units = entries.map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            // As systemd reads a line that goes on.
            (name, text.replace("\\\n", " "))
        });
        let units: Vec<_> = units
            .filter(|(name, _)| name.starts_with("aegis"))
            .collect();
        assert!(!units.is_empty(), "there are units");
        units
    }

    /// Every file, by the path that it will be found at.
    fn files(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.place.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => {
                        let below = path.strip_prefix(&self.place).unwrap();
                        found.insert(below.to_str().unwrap().to_owned());
                    }
                }
            }
        }
        found
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.place));
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The values of a setting of a unit.
pub(crate) fn values<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .collect()
}

#[test]
fn every_program_that_a_unit_starts_and_every_page_that_it_names_is_there() {
    let installed = Installed::below("/opt/aegis");
    let (mut programs, mut pages) = (0, 0);
    for (name, unit) in installed.units() {
        for line in values(&unit, "ExecStart") {
            // Behind a shell, where a unit has one work out its arguments.
            let mut words = line.split_whitespace();
            let program = words.find(|word| word.starts_with("/opt/aegis/"));
            let program = program.unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(installed.at(program).is_file(), "{name}: {line}");
            programs += 1;
        }
        for page in values(&unit, "Documentation") {
            let page = page.strip_prefix("man:").unwrap();
            let page = page.replace("(1)", ".1");
            let page = format!("/opt/aegis/share/man/man1/{page}");
            assert!(installed.at(&page).is_file(), "{name}: {page}");
            pages += 1;
        }
    }
    assert!(programs >= 2 && pages >= 3, "{programs}, {pages}");
}

#[test]
fn the_installed_settings_hold() {
    let installed = Installed::below("/opt/aegis");
    let checked = Command::new(installed.at("/opt/aegis/bin/aegisctl"))
        .env_clear()
        .arg("--config")
        .arg(installed.at("/etc/aegis/default.yaml"))
        .args(["config", "check"])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn a_file_of_settings_that_is_there_stays_as_it_is() {
    let installed = Installed::below("/usr");
    let settings = installed.at("/etc/aegis/default.yaml");
    std::fs::write(&settings, "bus: local\n").unwrap();
    let built = Path::new(env!("CARGO_BIN_EXE_aegisd")).parent().unwrap();
    let again = Command::new(root().join("packaging/install"))
        .arg(&installed.place)
        .env("AEGIS_BUILT", built)
        .output()
        .unwrap();
    assert!(again.status.success(), "{again:?}");
    assert_eq!(std::fs::read_to_string(settings).unwrap(), "bus: local\n");
}

/// The package is made of an installation by patterns: none of its files may fall through them, nor
/// any pattern be about nothing.
#[test]
fn the_package_takes_all_that_is_installed() {
    let read = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(read.status.success(), "{read:?}");
    let read: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
    let deb = &read["packages"][0]["metadata"]["deb"];
    let mut folders = Vec::new();
    for asset in deb["assets"].as_array().unwrap() {
        let [from, to, mode] = [0, 1, 2].map(|part| asset[part].as_str().unwrap());
        let Some(below) = from.strip_prefix("target/deb-root/") else {
            let (folder, _) = from.split_once('*').unwrap();
            assert!(root().join(folder).is_dir(), "{from}");
            continue;
        };
        let folder = below.trim_end_matches('*').trim_end_matches("**/");
        assert_eq!(folder, to, "it goes where it was");
        let wanted = if folder.ends_with("bin/") {
            "755"
        } else {
            "644"
        };
        assert_eq!(mode, wanted, "{from}");
        folders.push((folder.to_owned(), from.contains("**"), 0));
    }
    let files = Installed::below("/usr").files();
    for file in &files {
        let takes = |(folder, deep, _): &&mut (String, bool, usize)| {
            let rest = file.strip_prefix(folder.as_str());
            rest.is_some_and(|rest| *deep || !rest.contains('/'))
        };
        let taken = folders.iter_mut().find(takes);
        taken
            .unwrap_or_else(|| panic!("the package leaves {file} out"))
            .2 += 1;
    }
    assert!(folders.iter().all(|(.., taken)| *taken > 0), "{folders:?}");
    for kept in deb["conf-files"].as_array().unwrap() {
        let kept = kept.as_str().unwrap().trim_start_matches('/');
        assert!(files.contains(kept), "{kept}");
    }
}

/// What the package's scripts name is what is installed.
#[test]
fn the_packages_scripts_are_shell_and_name_units_that_there_are() {
    let installed = Installed::below("/usr");
    let mut named = 0;
    for script in ["postinst", "prerm", "postrm"] {
        let path = root().join("packaging/debian").join(script);
        let read = Command::new("sh").arg("-n").arg(&path).output().unwrap();
        assert!(read.status.success(), "{script}: {read:?}");
        let text = std::fs::read_to_string(path).unwrap();
        for word in text.split(|c: char| c.is_whitespace() || "\";|".contains(c)) {
            if [".service", ".socket", ".timer"]
                .iter()
                .any(|end| word.ends_with(end))
            {
                let unit = format!("/usr/lib/systemd/system/{word}");
                assert!(installed.at(&unit).is_file(), "{script}: {word}");
                named += 1;
            }
        }
    }
    assert!(named >= 3, "the daemon, its socket and the timer");
}
