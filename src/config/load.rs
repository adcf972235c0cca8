//! Layers the sources over each other and judges the outcome.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::choice::PrimaryEnv;
use super::environment::Environment;
use super::error::ConfigError;
use super::keys::{KEYS, PRIMARY_ENV};
use super::layers::{self, Assignment, Files};
use super::settings::{Config, KafkaConfig};
use super::{Origin, Warning};

/// All that a configuration is made of, the weaker first: built-in defaults ← files ←
/// environment ← flags.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Which files are read.
    pub files: Files,
    /// The environment variables.
    pub environment: Environment,
    /// What the command line sets; a later one wins.
    pub flags: Vec<Flag>,
    /// Whether logs go to a terminal, where text is the default format.
    pub logs_to_terminal: bool,
}

/// A value from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The option as a person types it, with its dashes: `--ledger`.
    pub flag: String,
    /// The key that it sets: `ledger`.
    pub key: String,
    /// The value.
    pub value: String,
}

/// A configuration that may be started with.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The same values with their origins, secrets masked, in the reference's order.
    pub settings: Vec<Setting>,
    /// What looks wrong but does not stop the start.
    pub warnings: Vec<Warning>,
    /// The files that were read, the stronger one last.
    pub files: Vec<PathBuf>,
}

/// An effective value for `config show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// The environment variable that would set it.
    pub variable: &'static str,
    /// The value, a secret masked; none where there is none.
    pub value: Option<String>,
    /// Where it came from.
    #[serde(serialize_with = "as_text")]
    pub origin: Origin,
    /// The key that stands in for this one, so that the value has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<&'static str>,
}

fn as_text<S: serde::Serializer>(origin: &Origin, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(origin)
}

const DATABASE_URL: &str = "database.url";

/// The keys that `database.url` stands in for.
const DATABASE_PARTS: [&str; 6] = [
    "database.host",
    "database.name",
    "database.password",
    "database.port",
    "database.sslmode",
    "database.user",
];

/// Reads all sources, checks every value, and says where each came from. Reads nothing but
/// `sources` and the files that it names.
///
/// # Errors
///
/// [`ConfigError`] for an unknown key, a value of the wrong type or out of range, in any
/// layer (one that a stronger layer overrides, too), and for a file that cannot be read;
/// all of them at once as [`ConfigError::Several`].
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut errors = Vec::new();
    let environment = layers::of_environment(&sources.environment);
    let flags = layers::of_flags(&sources.flags, &mut errors);
    let primary_env = primary_env(environment.iter().chain(&flags))?;
    let (from_files, files) = layers::of_files(&sources.files, primary_env, &mut errors);

    let mut config = Config::built_in(primary_env, sources.logs_to_terminal);
    let mut origins = Origins(BTreeMap::new());
    for assignment in from_files.into_iter().chain(environment).chain(flags) {
        match apply(&assignment, &mut config) {
            Ok(()) => origins.set(assignment.key.name, assignment.origin),
            Err(error) => errors.push(error),
        }
    }
    errors.extend(topic_used_twice(&config.kafka, &origins));
    ConfigError::gather(errors)?;

    let mut warnings = sources.environment.near_misses();
    warnings.extend(overshadowed(&config, &origins));
    Ok(Loaded {
        settings: settings(&mut config, &origins),
        config,
        warnings,
        files,
    })
}

/// Who set a key last.
struct Origins(BTreeMap<&'static str, Origin>);

impl Origins {
    fn set(&mut self, key: &'static str, origin: Origin) {
        self.0.insert(key, origin);
    }

    fn of(&self, key: &str) -> Origin {
        self.0.get(key).cloned().unwrap_or(Origin::BuiltIn)
    }
}

fn apply(assignment: &Assignment, config: &mut Config) -> Result<(), ConfigError> {
    let Assignment { key, given, origin } = assignment;
    key.kind
        .set(config, given)
        .map_err(|refused| ConfigError::Invalid {
            key: key.name.to_owned(),
            origin: origin.clone(),
            got: refused.got,
            wanted: refused.wanted,
        })
}

/// Comes before all other keys, because files and defaults depend on it.
fn primary_env<'a>(
    assignments: impl Iterator<Item = &'a Assignment>,
) -> Result<PrimaryEnv, ConfigError> {
    let mut config = Config::default();
    for assignment in assignments.filter(|one| one.key.name == PRIMARY_ENV) {
        apply(assignment, &mut config)?;
    }
    Ok(config.primary_env)
}

fn topic_used_twice(kafka: &KafkaConfig, origins: &Origins) -> Option<ConfigError> {
    let transactions = &kafka.topic_transactions;
    let settlements = &kafka.topic_settlements;
    let (key, topic, other) = if transactions == settlements {
        (
            "kafka.topic_settlements",
            settlements,
            "the transactions' topic",
        )
    } else if *settlements == KafkaConfig::dead_letter_topic(transactions) {
        (
            "kafka.topic_settlements",
            settlements,
            "the transactions' dead letters' topic",
        )
    } else if *transactions == KafkaConfig::dead_letter_topic(settlements) {
        (
            "kafka.topic_transactions",
            transactions,
            "the settlements' dead letters' topic",
        )
    } else {
        return None;
    };
    Some(ConfigError::TopicTwice {
        key,
        origin: origins.of(key),
        topic: topic.clone(),
        other,
    })
}

/// Parts of the database's address that a stronger layer than that of `database.url` set:
/// whoever set them expects them to count.
fn overshadowed(config: &Config, origins: &Origins) -> Vec<Warning> {
    if config.database.url.is_none() {
        return Vec::new();
    }
    let url = origins.of(DATABASE_URL);
    let warning = |key: &&'static str| {
        let origin = origins.of(key);
        (origin.rank() > url.rank()).then(|| Warning::Overshadowed {
            key,
            origin,
            url: url.clone(),
        })
    };
    DATABASE_PARTS.iter().filter_map(warning).collect()
}

fn settings(config: &mut Config, origins: &Origins) -> Vec<Setting> {
    let has_url = config.database.url.is_some();
    KEYS.iter()
        .map(|key| Setting {
            key: key.name,
            variable: key.variable,
            value: key.kind.show(config),
            origin: origins.of(key.name),
            superseded_by: (has_url && DATABASE_PARTS.contains(&key.name)).then_some(DATABASE_URL),
        })
        .collect()
}
