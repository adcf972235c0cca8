//! The configuration: one typed value, made once at the start, and where each part of it
//! came from.
//!
//! Built-in defaults ← `default.yaml` ← `<primary_env>.yaml` ← environment ← flags. An
//! unknown key or a value that does not fit stops the start and names the key, the place
//! and the nearest known name. One table (`keys.rs`) tells for each key its name, its
//! environment variable, what it takes and where it goes; everything else derives from it.
//!
//! [`load()`] is a function of [`Sources`]: it never looks at the process.

mod choice;
mod database;
mod environment;
mod error;
mod given;
mod keys;
mod kind;
mod layers;
mod listen;
mod load;
mod nearest;
mod origin;
mod rule;
mod secret;
mod settings;
mod warning;
mod yaml;

pub use choice::{BusKind, Choice, Locking, LogFormat, PrimaryEnv, SslMode};
pub use environment::Environment;
pub use error::ConfigError;
pub use keys::{KeyDoc, reference};
pub use layers::Files;
pub use load::{Flag, Loaded, Setting, Sources, load};
pub use origin::Origin;
pub use secret::{MASK, Secret, SecretUrl};
pub use settings::{
    Config, DatabaseConfig, KafkaConfig, LogConfig, PaymentsConfig, PayoutRunConfig, PayoutsConfig,
    PaystackConfig, PostingConfig, RedisConfig, RefundsConfig, RelayConfig, ServerConfig,
    SettlementConfig, TelemetryConfig,
};
pub use warning::Warning;

#[cfg(test)]
mod tests;
