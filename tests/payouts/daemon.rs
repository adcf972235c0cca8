//! Within the real `aegisd`, killed in the middle of a crowd of payouts and faults.

use std::time::{Duration, Instant};

use aegis::simulator::{Armed, Fault};

use crate::scene::{FUNDS, KEY, PATIENCE, Scene};
use crate::shared::daemon::Settings;

fn settings(scene: &Scene) -> Settings {
    Settings::new(scene.database.url())
        .with("PAYSTACK_SECRET_KEY", KEY)
        .with("PAYSTACK_BASE_URL", &scene.simulator.base_url())
        .with("PAYSTACK_TIMEOUT_MS", "500")
        .with("PAYOUTS_POLL_MS", "20")
        .with("PAYOUTS_SETTLING_MS", "100")
        .with("PAYOUTS_ASK_EVERY_MS", "100")
        .with("BACKOFF_FIRST_MS", "20")
        .with("BREAKER_OPEN_MS", "500")
}

async fn count(scene: &Scene, condition: &str) -> i64 {
    let count = format!("SELECT count(*) FROM payouts WHERE {condition}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(count))
        .fetch_one(scene.pool())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_and_started_again_everybody_is_paid_once() {
    let scene = Scene::new().await;
    for n in 0..20 {
        scene.requested(&format!("k{n}"), 10_000).await;
    }
    for (fault, times) in [
        (Fault::ServerError, 2),
        (Fault::Cut, 2),
        (Fault::Lost, 1),
        (Fault::RateLimit, 2),
        (Fault::Timeout, 1),
    ] {
        scene.simulator.arm(Armed {
            times,
            ..Armed::next(fault)
        });
    }
    for arms in [
        "payout.calls=kill@3",
        "payout.called=kill@4",
        "payout.concludes=kill@5",
        "payout.concluded=kill@6",
    ] {
        let mut doomed = settings(&scene).with("AEGIS_FAILPOINTS", arms).spawn();
        assert_eq!(doomed.ended().await.code(), None, "it was killed");
        scene.assert_transit().await;
        // Another day: leases are over.
        sqlx::query("UPDATE payouts SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")
            .execute(scene.pool())
            .await
            .unwrap();
    }
    let daemons = [
        settings(&scene).start().await,
        settings(&scene).start().await,
    ];
    let began = Instant::now();
    while count(&scene, "status = 'succeeded'").await < 20 {
        assert!(began.elapsed() < 2 * PATIENCE, "they don't end");
        for payout in pending(&scene) {
            scene.at_the_psp_by("succeed", &payout).await;
        }
        // A lost call's lease is longer than a test.
        sqlx::query(
            "UPDATE payouts SET next_attempt_at = now()
             WHERE status = 'sent' AND next_attempt_at > now() + interval '1 second'",
        )
        .execute(scene.pool())
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for daemon in daemons {
        assert_eq!(daemon.stop().await, Some(0));
    }
    assert_eq!(scene.transfers(), 20);
    assert_eq!(
        (scene.in_transit().await, scene.available().await),
        (0, FUNDS - 200_000)
    );
    scene.assert_same_books().await;
}

/// References of transfers that wait for the bank.
fn pending(scene: &Scene) -> Vec<String> {
    scene.simulator.with_books(|books| {
        let pending = books
            .transfers()
            .filter(|transfer| transfer.status == aegis::psp::TransferStatus::Pending);
        pending.map(|transfer| transfer.reference.clone()).collect()
    })
}
