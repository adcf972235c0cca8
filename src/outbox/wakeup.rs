//! Tells the relay of new events: PostgreSQL's NOTIFY on a connection of its own.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::postgres::outbox::Listener;
use crate::resilience::backoff::Reconnect;

/// Listens until stopped, and connects again whenever the connection is lost. While it is lost the
/// relay polls, so trouble here is not worth more than a debug line.
pub(super) async fn listen(pool: PgPool, wake: Arc<Notify>, stop: CancellationToken) {
    let mut reconnect = Reconnect::default();
    let listening = async {
        loop {
            if let Ok(mut listener) = Listener::connect(&pool).await {
                reconnect.reset();
                // What came in while nobody listened.
                wake.notify_one();
                while listener.heard().await.is_ok() {
                    wake.notify_one();
                }
            }
            tracing::debug!("the outbox's notifications are lost; polling until they are back");
            tokio::time::sleep(reconnect.next_delay()).await;
        }
    };
    tokio::select! {
        () = listening => {}
        () = stop.cancelled() => {}
    }
}
