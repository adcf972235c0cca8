//! Keys that take one of a few words.

use std::fmt;

/// A value that is one of a few words.
pub trait Choice: Copy + PartialEq + 'static {
    /// All of them, in the order in which help lists them.
    const ALL: &'static [Self];

    /// The word.
    fn name(self) -> &'static str;
}

/// `primary_env`: which environment this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrimaryEnv {
    /// A developer's machine.
    Development,
    /// Like production, with nobody's money.
    Staging,
    /// Other people's money.
    Production,
}

impl Choice for PrimaryEnv {
    const ALL: &'static [Self] = &[Self::Development, Self::Staging, Self::Production];

    fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

/// `bus`: where events are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusKind {
    /// Within this process.
    Local,
    /// Kafka.
    Kafka,
}

impl Choice for BusKind {
    const ALL: &'static [Self] = &[Self::Local, Self::Kafka];

    fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Kafka => "kafka",
        }
    }
}

/// `locking`: what locks a batch's wallets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locking {
    /// PostgreSQL's row locks alone.
    Postgres,
    /// Redis before them.
    Redis,
}

impl Choice for Locking {
    const ALL: &'static [Self] = &[Self::Postgres, Self::Redis];

    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }
}

/// `database.sslmode`: how far TLS is asked for, in libpq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only where the server insists.
    Allow,
    /// Where the server offers it.
    Prefer,
    /// Always, whoever the server is.
    Require,
    /// Always, with a certificate of a known authority.
    VerifyCa,
    /// Always, with a certificate of a known authority for this very host.
    VerifyFull,
}

impl Choice for SslMode {
    const ALL: &'static [Self] = &[
        Self::Disable,
        Self::Allow,
        Self::Prefer,
        Self::Require,
        Self::VerifyCa,
        Self::VerifyFull,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// `log.format`: how a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// Text, for people.
    Text,
}

impl Choice for LogFormat {
    const ALL: &'static [Self] = &[Self::Json, Self::Text];

    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for PrimaryEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for BusKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Locking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
