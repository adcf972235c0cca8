//! The loader as a whole: files, variables and flags in, values and messages out.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

mod layers;
mod messages;
mod table;

use std::fs;

use super::*;

/// A directory of its own with configuration files.
struct Directory(tempfile::TempDir);

impl Directory {
    fn with(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        Self(directory)
    }

    fn sources(&self) -> Sources {
        Sources {
            files: Files::Directory(self.0.path().to_owned()),
            ..sources()
        }
    }

    /// The only error that `default.yaml` gives, with its path shortened.
    fn message(text: &str) -> String {
        let directory = Self::with(&[("default.yaml", text)]);
        let message = load(&directory.sources()).unwrap_err().to_string();
        message.replace(&format!("{}/", directory.0.path().display()), "")
    }
}

fn sources() -> Sources {
    Sources {
        files: Files::None,
        environment: Environment::default(),
        flags: Vec::new(),
        logs_to_terminal: false,
    }
}

fn environment(variables: &[(&str, &str)]) -> Sources {
    Sources {
        environment: variables.iter().copied().collect(),
        ..sources()
    }
}

fn environment_message(variable: &str, value: &str) -> String {
    let error = load(&environment(&[(variable, value)])).unwrap_err();
    error.to_string()
}

fn flag(flag: &str, key: &str, value: &str) -> Flag {
    Flag {
        flag: flag.to_owned(),
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn setting(loaded: &Loaded, key: &str) -> Setting {
    let mut settings = loaded.settings.iter();
    settings.find(|one| one.key == key).unwrap().clone()
}
