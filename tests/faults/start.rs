//! What a start needs, and how it says what is missing.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::json;
use sqlx::Connection as _;
use sqlx::PgConnection;

use crate::check::assert_ledger_is_sound;
use crate::common::TestDatabase;
use crate::common::ledger::{main_ledger, read_wallet, wallet};
use crate::support::daemon::Settings;
use crate::support::port::free_port;

/// Starts it, expects it to end: the exit code and its one sentence.
async fn refused(settings: Settings) -> (Option<i32>, String) {
    let (code, spoken) = settings.spawn().last_words().await;
    assert_eq!(spoken.len(), 1, "{spoken:?}");
    (code, spoken[0].clone())
}

#[tokio::test]
async fn without_a_database_it_ends_with_7_and_says_where_it_looked() {
    let place = format!("{}:{}", Ipv4Addr::LOCALHOST, free_port());
    let url = format!("postgres://aegis:hunter2@{place}/books");
    let settings = Settings::new(&url).with("DATABASE_CONNECT_TIMEOUT_MS", "500");
    let (code, said) = refused(settings).await;
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains(&format!("{place}/books")), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn on_an_older_database_it_ends_with_2_and_names_the_way_forward() {
    let database = TestDatabase::empty().await;
    let (code, said) = refused(Settings::new(database.url())).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("aegisctl migrate up"), "{said}");
}

#[tokio::test]
async fn on_a_newer_database_it_ends_with_2_and_names_both_versions() {
    let database = TestDatabase::create().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (4711, 'of a later program', true, '', 0)",
    )
    .execute(database.pool())
    .await
    .unwrap();
    let (code, said) = refused(Settings::new(database.url())).await;
    assert_eq!(code, Some(2), "{said}");
    let ours = aegis::postgres::migrate::program_version();
    assert!(said.contains("4711"), "{said}");
    assert!(said.contains(&format!("knows {ours};")), "{said}");
}

#[tokio::test]
async fn beyond_loopback_without_keys_it_does_not_start() {
    let database = TestDatabase::create().await;
    let settings = Settings::new(database.url()).with("SERVER_HOST", "0.0.0.0");
    let (code, said) = refused(settings).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("0.0.0.0"), "{said}");
}

/// The supervisor's socket counts as one of our own does, whatever `server.host` says.
#[tokio::test]
async fn on_an_inherited_socket_beyond_loopback_without_keys_it_does_not_start() {
    let database = TestDatabase::create().await;
    let socket = TcpListener::bind("0.0.0.0:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let daemon = Settings::new(database.url()).spawn_on(&socket);
    let (code, spoken) = daemon.last_words().await;
    assert_eq!(code, Some(2), "{spoken:?}");
    assert_eq!(spoken.len(), 1, "{spoken:?}");
    assert!(spoken[0].contains(&address), "{spoken:?}");
    assert!(spoken[0].contains("ListenStream="), "{spoken:?}");
}

/// A server that takes the connection and then says nothing holds the start up, and no end of it.
#[tokio::test]
async fn a_stop_is_heard_while_it_starts() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = server.local_addr().unwrap();
    let url = format!("postgres://aegis@{place}/books?sslmode=disable");
    let settings = Settings::new(&url).with("DATABASE_CONNECT_TIMEOUT_MS", "60000");
    let daemon = settings.spawn();
    let accepted = tokio::task::spawn_blocking(move || server.accept().unwrap());
    let _held = accepted.await.unwrap();
    daemon.terminate();
    let (code, spoken) = daemon.last_words().await;
    assert_eq!(code, Some(0), "{spoken:?}");
    assert_eq!(spoken, Vec::<String>::new());
}

#[tokio::test]
async fn postgresql_alone_is_enough() {
    let database = TestDatabase::create().await;
    let ledger = main_ledger(database.pool()).await;
    wallet(database.pool(), &ledger, "world", "NGN", None).await;
    wallet(database.pool(), &ledger, "shop", "NGN", Some(0)).await;
    let daemon = Settings::new(database.url()).start().await;
    let body = json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": 5});
    let answer = reqwest::Client::new()
        .post(format!(
            "http://{}/v1/ledgers/main/transfers",
            daemon.address
        ))
        .header("Idempotency-Key", "k")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    let ready = reqwest::get(format!("http://{}/readyz", daemon.address)).await;
    assert_eq!(ready.unwrap().status(), 200);
    assert_eq!(daemon.stop().await, Some(0));
    let shop = read_wallet(database.pool(), &ledger, "shop", "NGN").await;
    assert_eq!(shop.balance, 5);
    let mut conn = PgConnection::connect(database.url()).await.unwrap();
    assert_ledger_is_sound(&mut conn).await;
}
