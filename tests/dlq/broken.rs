//! The database goes away in the middle.

use std::num::NonZeroU32;

use aegis::dlq::DlqError;
use aegis::dlq::replay::{Notice, Options};
use tokio_util::sync::CancellationToken;

use crate::support::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_lost_its_connection_lost_its_topic_and_marks_nothing_more() {
    let scene = Scene::new().await;
    scene.letters(&["a"; 20]).await;
    let options = Options {
        rate: NonZeroU32::new(2),
        ..Options::default()
    };
    let replay = scene.begin(scene.plan().await, options).await.unwrap();
    let run = replay.id();
    let (further, mut came_further) = tokio::sync::mpsc::unbounded_channel();
    let bus = scene.kafka();
    let running = tokio::spawn(async move {
        let never = CancellationToken::new();
        let mut notice = |_: Notice<'_>| {
            let _ = further.send(());
        };
        replay.run(&bus, &never, &mut notice).await
    });
    came_further.recv().await.unwrap();
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'test'",
    )
    .execute(scene.pool())
    .await
    .unwrap();
    let error = running.await.unwrap().unwrap_err();
    let DlqError::Lost { replayed, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(scene.count("replayed").await, replayed);
    scene.wait_until_free().await;
    scene.run(&["--yes", "dlq", "replay", "--all"]).exits(0);
    assert_eq!(scene.count("replayed").await, 20);
    assert_eq!(scene.run_row(run).await.0, "interrupted");
}
