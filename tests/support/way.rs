//! A way to a server that can fall silent, as when the server's host dies: nothing comes back, and no
//! connection breaks.
#![allow(clippy::unwrap_used, reason = "tests state what must hold")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};

/// The way, whose connections up to now can be made to say nothing more.
pub(crate) struct Way {
    pub(crate) port: u16,
    mute: Arc<AtomicBool>,
}

impl Way {
    /// To the server at `host:port`.
    pub(crate) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mute = Arc::new(AtomicBool::new(false));
        let muted = Arc::clone(&mute);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Those that come later are of a server that is back.
                let own = match muted.load(Ordering::Relaxed) {
                    true => Arc::default(),
                    false => Arc::clone(&muted),
                };
                let server = TcpStream::connect(&server).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
                tokio::spawn(async move {
                    let mut bytes = [0; 8_192];
                    while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
                        let hears = !own.load(Ordering::Relaxed);
                        if hears && to_client.write_all(&bytes[..count]).await.is_err() {
                            return;
                        }
                    }
                    if own.load(Ordering::Relaxed) {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { port, mute }
    }

    /// Nothing comes back any more over the connections that are open.
    pub(crate) fn fall_silent(&self) {
        self.mute.store(true, Ordering::Relaxed);
    }
}
