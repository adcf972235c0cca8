//! A database server that is gone without a word, as when its host dies: nothing comes back, and no
//! connection breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aegis::bus::{Bus, LocalBus};
use aegis::consumer::{self, Options, Settlements};
use aegis::postgres::Settings;
use sqlx::Connection as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};

use crate::scene::{START, Scene, TOPIC, arrived, command, options, record};

/// A way to the server, whose connections up to now can be made to say nothing more.
struct Way {
    port: u16,
    mute: Arc<AtomicBool>,
}

impl Way {
    async fn to(server: String) -> Self {
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
                        if !own.load(Ordering::Relaxed) {
                            to_client.write_all(&bytes[..count]).await.unwrap();
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
}

fn over(scene: &Scene, way: &Way) -> Settlements {
    let settings = scene.database.settings();
    let settings = Settings {
        options: settings.options.clone().host("127.0.0.1").port(way.port),
        ..settings
    };
    let letters = Arc::new(Bus::Local(LocalBus::default()));
    let options = Options {
        patience: Duration::from_secs(2),
        ..options()
    };
    consumer::new(settings.posting_pool(4), letters, options).0
}

#[tokio::test]
async fn a_server_that_says_nothing_more_holds_nobody_up_for_ever() {
    let scene = Scene::new().await;
    let options = scene.database.settings().options;
    let way = Way::to(format!("{}:{}", options.get_host(), options.get_port())).await;
    let taking = over(&scene, &way);
    let arrived = arrived(record(TOPIC, "a", &command("k", "world", "shop", 70)));

    let mut other = scene.pool().acquire().await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("SELECT FROM wallets WHERE address = 'shop' FOR UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let silence = async {
        scene.database.wait_until_blocked().await;
        way.mute.store(true, Ordering::Relaxed);
    };
    let taken = tokio::time::timeout(Duration::from_secs(20), taking.take(&arrived, START));
    let (taken, ()) = tokio::join!(taken, silence);
    let error = taken.unwrap().unwrap_err().to_string();
    assert!(error.contains("nothing came back within 2 s"), "{error}");

    transaction.rollback().await.unwrap();
    taking.take(&arrived, START).await.unwrap();
    assert_eq!(scene.balance().await, 70);
}
