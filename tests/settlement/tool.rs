//! `aegisctl settlement`.

use std::process::{Command, Stdio};

use time::OffsetDateTime;
use time::macros::datetime;

use crate::common::ran::Ran;
use crate::scene::{PLAIN, Scene};
use crate::support::daemon::Settings;

const DAY: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

fn tool(scene: &Scene, args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
        .env_clear()
        .env("DATABASE_URL", scene.database.url())
        .args(args)
        .output()
        .unwrap();
    Ran::of(output)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_shows_what_is_due_settles_it_and_has_nothing_to_do_afterwards() {
    let scene = Scene::new(PLAIN).await;
    scene.paid(123_456, DAY).await;
    let seen = tool(&scene, &["-o", "json", "settlement", "preview"]).exits(0);
    assert_eq!(seen.json()[0]["released"], 123_456, "{seen:?}");
    tool(&scene, &["settlement", "run"]).exits(8).says("--yes");
    assert_eq!(scene.balance("available").await, 0, "nobody said yes");
    let dry = tool(&scene, &["-o", "json", "settlement", "run", "--dry-run"]).exits(0);
    assert_eq!(dry.json()["settled"], 0);
    let ran = tool(&scene, &["-y", "-o", "json", "settlement", "run"]).exits(0);
    assert_eq!(ran.json()["settled"], 1);
    assert_eq!(scene.purses().await, [0, 123_456, 0, 0]);
    tool(&scene, &["-y", "settlement", "run"])
        .exits(0)
        .says("nothing is due");
    let listed = tool(&scene, &["-o", "json", "settlement", "list"])
        .exits(0)
        .json();
    let id = listed[0]["id"].as_str().unwrap();
    let shown = tool(&scene, &["-o", "json", "settlement", "show", id])
        .exits(0)
        .json();
    assert_eq!(shown["amount"], 123_456);
    assert_eq!(shown["period"], "2026-11-20");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_in_the_middle_is_started_again_and_settles_once() {
    let scene = Scene::new(PLAIN).await;
    scene.paid(70, DAY).await;
    let mut blocker = scene.database.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE settlements IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *blocker)
        .await
        .unwrap();
    let mut killed = Command::new(env!("CARGO_BIN_EXE_aegisctl"))
        .env_clear()
        .env("DATABASE_URL", scene.database.url())
        .args(["-y", "settlement", "run"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Its payments are taken and its transaction is posted: it writes the settlement.
    scene.database.wait_until_blocked().await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    blocker.rollback().await.unwrap();
    tool(&scene, &["-y", "settlement", "run"]).exits(0);
    assert_eq!(scene.purses().await, [0, 70, 0, 0]);
    assert_eq!(scene.events("aegis.settlement.released").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_in_the_future_and_what_is_not_there_are_refused_in_words() {
    let scene = Scene::new(PLAIN).await;
    let late = ["settlement", "preview", "--date", "2999-01-01"];
    tool(&scene, &late).exits(2).says("future");
    let odd = ["settlement", "preview", "--date", "tomorrow"];
    tool(&scene, &odd).exits(2).says("2026-11-22");
    let none = "00000000-0000-7000-8000-000000000000";
    let shown = tool(&scene, &["settlement", "show", none]).exits(3);
    shown.says("settlement_not_found");
    for verb in ["preview", "run"] {
        let nobody = tool(&scene, &["settlement", verb, "--merchant", "nobody"]);
        nobody.exits(3).says("merchant_not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn aegisd_settles_what_matures_by_itself() {
    let scene = Scene::new(PLAIN).await;
    scene.paid(77, DAY).await;
    let settings = Settings::new(scene.database.url()).with("SETTLEMENT_EVERY_MS", "50");
    let mut daemon = settings.start().await;
    let line = daemon.logged("settled what matured").await;
    assert_eq!(line["settled"], 1, "{line}");
    assert_eq!(scene.purses().await, [0, 77, 0, 0]);
    assert_eq!(daemon.stop().await, Some(0));
}
