//! Everything about the cluster that is not publishing.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer as _;
use tokio::task::spawn_blocking;

use super::KafkaBus;
use super::producer::{Watch, misconfigured};
use crate::bus::{BrokerInfo, BusError, TopicSpec};

impl KafkaBus {
    /// See [`crate::bus::Bus::flush`].
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when something was still under way by then.
    pub async fn flush(&self, deadline: Duration) -> Result<(), BusError> {
        let Some(client) = self.producer().ok().and_then(|producer| producer.client()) else {
            return Ok(());
        };
        blocking(move || client.flush(deadline).map_err(unreachable)).await
    }

    /// See [`crate::bus::Bus::ping`].
    ///
    /// # Errors
    /// [`BusError::Unreachable`] without an answer within `timeout`.
    pub async fn ping(&self, timeout: Duration) -> Result<BrokerInfo, BusError> {
        let producer = self.producer().map_err(BusError::Configuration)?;
        let Some(client) = producer.client() else {
            return Err(BusError::Unreachable("the producer was retired".into()));
        };
        let info = blocking(move || {
            let metadata = client.client().fetch_metadata(None, timeout);
            let metadata = metadata.map_err(unreachable)?;
            let brokers = metadata.brokers().iter();
            let topics = metadata.topics().iter();
            let mut info = BrokerInfo {
                brokers: brokers
                    .map(|broker| format!("{}:{}", broker.host(), broker.port()))
                    .collect(),
                topics: topics.map(|topic| topic.name().to_owned()).collect(),
            };
            info.topics.sort();
            Ok(info)
        })
        .await
        .map_err(|error| match error {
            BusError::Unreachable(reason) => {
                BusError::Unreachable(self.contact.interrupted(reason))
            }
            other => other,
        })?;
        self.contact.works();
        Ok(info)
    }

    /// See [`crate::bus::Bus::ensure_topics`].
    ///
    /// # Errors
    /// [`BusError::Topic`] for the first that the broker does not make,
    /// [`BusError::Unreachable`] without an answer within `timeout`.
    pub async fn ensure_topics(
        &self,
        topics: &[TopicSpec],
        timeout: Duration,
    ) -> Result<(), BusError> {
        let topics = topics.to_vec();
        self.administer(timeout, async move |admin, options| {
            let wanted: Vec<NewTopic<'_>> = topics.iter().map(new_topic).collect();
            admin.create_topics(&wanted, options).await
        })
        .await
    }

    /// Deletes topics with all that is in them; one that is not there is no
    /// error. For tests.
    ///
    /// # Errors
    /// [`BusError::Topic`] for the first that the broker does not delete,
    /// [`BusError::Unreachable`] without an answer within `timeout`.
    pub async fn delete_topics(&self, topics: &[&str], timeout: Duration) -> Result<(), BusError> {
        let topics: Vec<String> = topics.iter().map(ToString::to_string).collect();
        self.administer(timeout, async move |admin, options| {
            let names: Vec<&str> = topics.iter().map(String::as_str).collect();
            admin.delete_topics(&names, options).await
        })
        .await
    }

    /// One administrative request by a client of its own. Already done is done.
    async fn administer<F>(&self, timeout: Duration, request: F) -> Result<(), BusError>
    where
        F: AsyncFnOnce(&AdminClient<Watch>, &AdminOptions) -> Result<Vec<TopicResult>, KafkaError>,
    {
        let watch = Watch::bystander(&self.contact);
        let admin = AdminClient::from_config_and_context(&self.options.client(), watch);
        let admin = admin.map_err(misconfigured)?;
        let options = AdminOptions::new()
            .request_timeout(Some(timeout))
            .operation_timeout(Some(timeout));
        let answer = request(&admin, &options).await;
        // Dropping it joins its thread.
        let dropped = blocking(move || {
            drop(admin);
            Ok(())
        });
        dropped.await?;
        for result in answer.map_err(unreachable)? {
            match result {
                Ok(_) => {}
                Err((_, Code::TopicAlreadyExists | Code::UnknownTopicOrPartition)) => {}
                Err((topic, code)) => {
                    let reason = code.to_string();
                    return Err(BusError::Topic { topic, reason });
                }
            }
        }
        Ok(())
    }
}

fn new_topic(spec: &TopicSpec) -> NewTopic<'_> {
    let replication = TopicReplication::Fixed(spec.replication);
    let topic = NewTopic::new(&spec.name, spec.partitions, replication);
    spec.settings
        .iter()
        .fold(topic, |topic, (name, value)| topic.set(name, value))
}

fn unreachable(error: KafkaError) -> BusError {
    BusError::Unreachable(error.to_string())
}

/// Runs what blocks on a thread where that is allowed.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, BusError> + Send + 'static,
) -> Result<T, BusError> {
    match spawn_blocking(call).await {
        Ok(answer) => answer,
        Err(error) => Err(BusError::Unreachable(error.to_string())),
    }
}
