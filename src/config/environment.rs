//! The environment variables as a value, and those that look like a slip of the pen.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::keys::KEYS;
use super::warning::Warning;

/// The environment variables that the loader may look at.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The variables of this process. Names that are not UTF-8 are left out: no key has one.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect()
    }

    pub(super) fn get(&self, variable: &str) -> Option<&OsString> {
        self.0.get(variable)
    }

    /// Variables with one of our prefixes that nobody reads and that differ from a known
    /// name by one or two letters. Others may use our prefixes, so it is no error.
    pub(super) fn near_misses(&self) -> Vec<Warning> {
        let ours = |name: &&String| {
            PREFIXES.iter().any(|prefix| name.starts_with(prefix))
                && !FOREIGN.iter().any(|prefix| name.starts_with(prefix))
                && KEYS.iter().all(|key| key.variable != **name)
        };
        let near_miss = |name: &String| {
            let (distance, nearest) = KEYS
                .iter()
                .map(|key| (strsim::osa_distance(name, key.variable), key.variable))
                .min()?;
            (distance <= 2).then(|| Warning::NearMiss {
                variable: name.clone(),
                nearest,
            })
        };
        self.0.keys().filter(ours).filter_map(near_miss).collect()
    }
}

const PREFIXES: [&str; 8] = [
    "AEGIS_",
    "BREAKER_",
    "DATABASE_",
    "KAFKA_",
    "POSTING_",
    "REDIS_",
    "RELAY_",
    "SERVER_",
];

/// The development stack's and the tests' own variables.
const FOREIGN: [&str; 2] = ["AEGIS_DEV_", "AEGIS_TEST_"];

impl<K: Into<String>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let owned = |(name, value): (K, V)| (name.into(), value.into());
        Self(variables.into_iter().map(owned).collect())
    }
}

// Not derived: a variable's value may be a password.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near_misses(variable: &str) -> Vec<Warning> {
        Environment::from_iter([(variable, "x")]).near_misses()
    }

    #[test]
    fn a_variable_two_letters_off_is_warned_about_with_the_right_name() {
        let cases = [
            ("DATABASE_SSL_MODE", "DATABASE_SSLMODE"),
            ("DATABASE_PASWORD", "DATABASE_PASSWORD"),
            ("SERVER_PROT", "SERVER_PORT"),
            ("REDIS_ADRESS", "REDIS_ADDRESS"),
            ("AEGIS_LEGDER", "AEGIS_LEDGER"),
            ("KAFKA_BROKER", "KAFKA_BROKERS"),
            ("BREAKER_OPENMS", "BREAKER_OPEN_MS"),
        ];
        for (variable, nearest) in cases {
            let warnings = near_misses(variable);
            assert!(
                matches!(&warnings[..], [Warning::NearMiss { nearest: n, .. }] if *n == nearest),
                "{variable}: {warnings:?}"
            );
        }
    }

    #[test]
    fn known_foreign_and_unlike_variables_are_left_alone() {
        for variable in [
            "DATABASE_HOST",
            "KAFKA_HOME",
            "DATABASE_DIALECT",
            "AEGIS_DEV_PORT",
            "AEGIS_TEST_LEDGER",
            "XSERVER_PORT",
            "BUSS",
        ] {
            assert_eq!(near_misses(variable), [], "{variable}");
        }
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let environment = Environment::from_iter([("DATABASE_PASSWORD", "hunter2")]);
        assert_eq!(format!("{environment:?}"), r#"{"DATABASE_PASSWORD"}"#);
    }
}
