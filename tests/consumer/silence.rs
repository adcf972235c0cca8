//! A database server that is gone without a word, as when its host dies: nothing comes back, and no
//! connection breaks.

use std::sync::Arc;
use std::time::Duration;

use aegis::bus::{Bus, LocalBus};
use aegis::consumer::{self, Options, Settlements};
use aegis::postgres::Settings;
use sqlx::{Connection as _, PgPool};

use crate::scene::{START, Scene, TOPIC, arrived, command, options, record};
use crate::shared::PATIENCE;
use crate::shared::way::Way;

fn pool_over(scene: &Scene, way: &Way) -> PgPool {
    let settings = scene.database.settings();
    let settings = Settings {
        options: settings.options.clone().host("127.0.0.1").port(way.port),
        ..settings
    };
    settings.posting_pool(4)
}

fn over(pool: &PgPool, patience: Duration) -> Settlements {
    let letters = Arc::new(Bus::Local(LocalBus::default()));
    let options = Options {
        patience,
        ..options()
    };
    consumer::new(pool.clone(), letters, options).0
}

#[tokio::test]
async fn a_server_that_says_nothing_more_holds_nobody_up_for_ever() {
    let scene = Scene::new().await;
    let options = scene.database.settings().options;
    let way = Way::to(format!("{}:{}", options.get_host(), options.get_port())).await;
    let pool = pool_over(&scene, &way);
    let taking = over(&pool, Duration::from_secs(2));
    let arrived = arrived(record(TOPIC, "a", &command("k", "world", "shop", 70)));

    let mut other = scene.pool().acquire().await.unwrap();
    let mut transaction = other.begin().await.unwrap();
    sqlx::query("SELECT FROM wallets WHERE address = 'shop' FOR UPDATE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let silence = async {
        scene.database.wait_until_blocked().await;
        way.fall_silent();
    };
    let taken = tokio::time::timeout(Duration::from_secs(20), taking.take(&arrived, START));
    let (taken, ()) = tokio::join!(taken, silence);
    let error = taken.unwrap().unwrap_err().to_string();
    assert!(error.contains("nothing came back within 2 s"), "{error}");

    transaction.rollback().await.unwrap();
    // Over the same pool, whose silent connection nobody is given again; with time enough.
    let patient = over(&pool, PATIENCE);
    patient.take(&arrived, START).await.unwrap();
    assert_eq!(scene.balance().await, 70);
}
