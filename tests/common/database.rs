//! A database for one test.

use std::time::{Duration, Instant};

use aegis::postgres::{Settings, migrate};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use uuid::Uuid;

/// A migrated database that is dropped at the end, also when the test panics.
pub struct TestDatabase {
    name: String,
    admin_url: String,
    url: String,
    pool: PgPool,
}

impl TestDatabase {
    /// Makes a database beside the one that `DATABASE_URL` names, and migrates it.
    pub async fn create() -> Self {
        let database = Self::empty().await;
        migrate::up(&database.settings())
            .await
            .expect("the migrations apply");
        database
    }

    /// Makes a database without migrating it.
    pub async fn empty() -> Self {
        let admin_url = std::env::var("DATABASE_URL")
            .expect("DATABASE_URL is set: run eval \"$(dev/stack env)\" first, or make test");
        let name = format!("aegis_test_{}", Uuid::now_v7().simple());
        let mut admin = PgConnection::connect(&admin_url)
            .await
            .expect("PostgreSQL answers");
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut admin)
            .await
            .expect("a database can be made");
        let (server, _) = admin_url
            .rsplit_once('/')
            .expect("DATABASE_URL names a database");
        let url = format!("{server}/{name}");
        let pool = settings(&url).pool();
        Self {
            name,
            admin_url,
            url,
            pool,
        }
    }

    /// Where the database is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How the library reaches it.
    pub fn settings(&self) -> Settings {
        settings(&self.url)
    }

    /// A pool of connections to it.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Waits until somebody in it waits for a lock.
    pub async fn wait_until_blocked(&self) {
        let began = Instant::now();
        loop {
            let blocked: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_stat_activity
                                WHERE datname = current_database() AND wait_event_type = 'Lock')",
            )
            .fetch_one(&self.pool)
            .await
            .expect("PostgreSQL answers");
            if blocked {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "nobody waits");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn settings(url: &str) -> Settings {
    Settings {
        // A machine that is busy with other tests takes its time.
        connect_timeout: Duration::from_secs(60),
        ..Settings::from_url(url).expect("the URL is well formed")
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (name, admin_url) = (self.name.clone(), self.admin_url.clone());
        // A thread of its own, since the test's runtime may be going down.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&admin_url)
                    .await
                    .map_err(std::io::Error::other)?;
                sqlx::query(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)")))
                    .execute(&mut admin)
                    .await
                    .map_err(std::io::Error::other)
            })
        });
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("database {} is left behind: {error}", self.name);
        }
    }
}
