//! Where a value came from.

use std::fmt;
use std::path::PathBuf;

/// The place that gave a key its value. The later ones win over the earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    BuiltIn,
    /// A configuration file.
    File {
        /// The file as it was opened.
        path: PathBuf,
        /// The line of the key, counted from 1, where it could be found.
        line: Option<usize>,
    },
    /// An environment variable.
    Environment {
        /// The variable's name.
        variable: String,
    },
    /// An option on the command line.
    Flag {
        /// The option as a person types it, with its dashes.
        flag: String,
    },
}

impl Origin {
    /// A higher rank wins; the two files have the same one.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::BuiltIn => 0,
            Self::File { .. } => 1,
            Self::Environment { .. } => 2,
            Self::Flag { .. } => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built-in default"),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::File {
                path,
                line: Some(line),
            } => write!(f, "{}:{line}", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Flag { flag } => write!(f, "flag {flag}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_in_the_form_that_editors_open() {
        let mut origin = Origin::File {
            path: PathBuf::from("config/default.yaml"),
            line: Some(7),
        };
        assert_eq!(origin.to_string(), "config/default.yaml:7");
        if let Origin::File { line, .. } = &mut origin {
            *line = None;
        }
        assert_eq!(origin.to_string(), "config/default.yaml");
    }
}
