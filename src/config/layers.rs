//! The layers that may set a key, read into assignments without judging the values.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::choice::{Choice as _, PrimaryEnv};
use super::environment::Environment;
use super::error::ConfigError;
use super::given::Given;
use super::keys::{KEYS, Key, PRIMARY_ENV};
use super::load::Flag;
use super::yaml::{self, Entry, Node};
use super::{Origin, nearest};

/// A value on its way to a key.
pub(super) struct Assignment {
    pub(super) key: &'static Key,
    pub(super) given: Given,
    pub(super) origin: Origin,
}

/// Which files are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// None: built-in defaults, environment and flags only.
    None,
    /// `default.yaml` and `<primary_env>.yaml` of this directory, as far as they exist.
    Directory(PathBuf),
    /// This file, which must exist, stands in for both.
    Only(PathBuf),
}

impl Files {
    /// What a program reads: the file of `--config`, or else the files in `./config`, or
    /// else, where there are none, those in `/etc/aegis`.
    #[must_use]
    pub fn choose(config_flag: Option<PathBuf>) -> Self {
        match config_flag {
            Some(file) => Self::Only(file),
            None => Self::search(&["config", "/etc/aegis"]),
        }
    }

    /// The first directory with a configuration file in it. Another program's `./config`
    /// is passed over, unless it has a file of the same name.
    #[must_use]
    pub fn search(directories: &[impl AsRef<Path>]) -> Self {
        let environments = PrimaryEnv::ALL.iter().map(|env| env.name());
        let names: Vec<_> = ["default"].into_iter().chain(environments).collect();
        let has_file = |directory: &&Path| {
            names
                .iter()
                .any(|name| is_there(&directory.join(format!("{name}.yaml"))))
        };
        directories
            .iter()
            .map(AsRef::as_ref)
            .find(has_file)
            .map_or(Self::None, |directory| Self::Directory(directory.into()))
    }

    /// The files to read in this environment, the stronger one last.
    fn paths(&self, primary_env: PrimaryEnv) -> Vec<PathBuf> {
        match self {
            Self::None => Vec::new(),
            Self::Only(path) => vec![path.clone()],
            Self::Directory(directory) => ["default", primary_env.name()]
                .iter()
                .map(|name| directory.join(format!("{name}.yaml")))
                .filter(|path| is_there(path))
                .collect(),
        }
    }
}

/// A file that this user may not look at counts as there: reading it will say why it
/// cannot be read, while passing over it would start with other values than were meant.
fn is_there(path: &Path) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    match fs::metadata(path) {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), NotFound | NotADirectory),
    }
}

/// What the files set, and the files themselves.
pub(super) fn of_files(
    files: &Files,
    primary_env: PrimaryEnv,
    errors: &mut Vec<ConfigError>,
) -> (Vec<Assignment>, Vec<PathBuf>) {
    let mut assignments = Vec::new();
    let paths = files.paths(primary_env);
    for path in &paths {
        match read(path) {
            Ok(Node::Section(entries)) => {
                let mut file = FileLayer {
                    path,
                    assignments: Vec::new(),
                    errors,
                };
                file.take(None, entries);
                assignments.append(&mut file.assignments);
            }
            // Comments only.
            Ok(Node::Value(Given::Empty)) => {}
            Ok(Node::Value(given)) => errors.push(ConfigError::Syntax {
                origin: Origin::File {
                    path: path.clone(),
                    line: None,
                },
                detail: format!(
                    "it is {}, not a mapping of keys to values",
                    given.in_words()
                ),
            }),
            Err(error) => errors.push(error),
        }
    }
    (assignments, paths)
}

fn read(path: &Path) -> Result<Node, ConfigError> {
    let text = fs::read_to_string(path).map_err(|reason| ConfigError::Unreadable {
        path: path.to_owned(),
        reason,
    })?;
    yaml::parse(&text).map_err(|syntax| ConfigError::Syntax {
        origin: Origin::File {
            path: path.to_owned(),
            line: syntax.line,
        },
        detail: syntax.detail,
    })
}

/// One file on its way from a tree to assignments.
struct FileLayer<'a> {
    path: &'a Path,
    assignments: Vec<Assignment>,
    errors: &'a mut Vec<ConfigError>,
}

impl FileLayer<'_> {
    fn take(&mut self, section: Option<&str>, entries: Vec<Entry>) {
        for Entry { key, line, node } in entries {
            let name = match section {
                Some(section) => format!("{section}.{key}"),
                None => key,
            };
            let origin = Origin::File {
                path: self.path.to_owned(),
                line,
            };
            match (find(&name), is_section(&name), node) {
                (Some(key), _, _) if key.name == PRIMARY_ENV => {
                    self.errors.push(ConfigError::PrimaryEnvInFile { origin });
                }
                (Some(key), _, Node::Value(given)) => self.assign(key, given, origin),
                (Some(key), _, Node::Section(_)) => self.assign(key, Given::Section, origin),
                (None, true, Node::Section(entries)) => self.take(Some(&name), entries),
                // A section whose keys are all commented out.
                (None, true, Node::Value(Given::Empty)) => {}
                (None, true, Node::Value(given)) => self.errors.push(ConfigError::Invalid {
                    wanted: format!("keys below it, such as `{}`", first_key_of(&name)),
                    key: name,
                    origin,
                    got: given.in_words(),
                }),
                (None, false, node) => {
                    let nearest = nearest_name(&name, matches!(node, Node::Section(_)));
                    self.errors.push(ConfigError::UnknownKey {
                        key: name,
                        origin,
                        nearest,
                    });
                }
            }
        }
    }

    fn assign(&mut self, key: &'static Key, given: Given, origin: Origin) {
        let same = |other: &&Assignment| other.key.name == key.name;
        if let Some(first) = self.assignments.iter().find(same) {
            self.errors.push(ConfigError::SetTwice {
                key: key.name.to_owned(),
                first: first.origin.clone(),
                origin,
            });
            return;
        }
        self.assignments.push(Assignment { key, given, origin });
    }
}

/// What the environment sets.
pub(super) fn of_environment(environment: &Environment) -> Vec<Assignment> {
    let assignment = |key: &'static Key| {
        let value = environment.get(key.variable)?;
        Some(Assignment {
            key,
            given: match value.to_str() {
                Some(text) => Given::untyped(text, key.kind.takes_integer()),
                None => Given::NotUtf8,
            },
            origin: Origin::Environment {
                variable: key.variable.to_owned(),
            },
        })
    };
    KEYS.iter().filter_map(assignment).collect()
}

/// What the command line sets.
pub(super) fn of_flags(flags: &[Flag], errors: &mut Vec<ConfigError>) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for Flag { flag, key, value } in flags {
        let origin = Origin::Flag { flag: flag.clone() };
        match find(key) {
            Some(key) => assignments.push(Assignment {
                key,
                given: Given::untyped(value, key.kind.takes_integer()),
                origin,
            }),
            None => errors.push(ConfigError::UnknownKey {
                key: key.clone(),
                origin,
                nearest: nearest_name(key, false),
            }),
        }
    }
    assignments
}

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn sections() -> impl Iterator<Item = &'static str> {
    KEYS.iter()
        .filter_map(|key| key.name.split_once('.'))
        .map(|(section, _)| section)
}

fn is_section(name: &str) -> bool {
    sections().any(|section| section == name)
}

fn first_key_of(section: &str) -> &'static str {
    KEYS.iter()
        .map(|key| key.name)
        .find(|name| name.split_once('.').is_some_and(|(own, _)| own == section))
        .unwrap_or_default()
}

/// The known name to suggest: the key of a variable, a section's for a section.
fn nearest_name(name: &str, of_section: bool) -> String {
    if let Some(key) = KEYS.iter().find(|key| key.variable == name) {
        return key.name.to_owned();
    }
    let known: Vec<_> = match of_section && !name.contains('.') {
        true => sections().collect(),
        false => KEYS.iter().map(|key| key.name).collect(),
    };
    nearest::of(name, &known).to_owned()
}
