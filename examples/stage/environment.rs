//! What the environment offers, and where logs go.

use std::path::PathBuf;

use anyhow::{Result, bail};

/// Where events go.
#[derive(Clone, Debug)]
pub(crate) enum Bus {
    /// To Kafka, on the topic of the setting that was asked for.
    Kafka {
        brokers: String,
        topic: String,
    },
    Local,
}

impl Bus {
    /// Which bus the environment offers; `setting` names the topic, `topic` is its default.
    pub(crate) fn offered(setting: &str, topic: &str) -> Result<Self> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(environment) = set("PRIMARY_ENV").filter(|name| name != "development") {
            bail!(
                "PRIMARY_ENV is {environment}: this demo posts made-up money, in development only"
            );
        }
        if set("DATABASE_URL").is_none() && set("DATABASE_HOST").is_none() {
            bail!("no database is named; run: dev/stack up && eval \"$(dev/stack env)\"");
        }
        let brokers = set("KAFKA_BROKERS");
        match (set("BUS").as_deref(), brokers) {
            (Some("local"), _) | (None, None) => Ok(Self::Local),
            (Some("kafka") | None, brokers) => Ok(Self::Kafka {
                brokers: brokers.unwrap_or_else(|| "localhost:9092".to_owned()),
                topic: set(setting).unwrap_or_else(|| topic.to_owned()),
            }),
            (Some(other), _) => bail!("BUS is {other}: write kafka or local"),
        }
    }

    /// As the setting names it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Kafka { .. } => "kafka",
            Self::Local => "local",
        }
    }
}

/// Where a log of that name goes.
pub(crate) fn log(name: &str) -> PathBuf {
    let logs = PathBuf::from(".dev/log");
    match logs.is_dir() {
        true => logs.join(name),
        false => std::env::temp_dir().join(name),
    }
}
