//! Runs over a limit wait for somebody else.

use aegis::payout_runs::{self, Decided};
use aegis::postgres::audit::Actor;
use time::OffsetDateTime;

use crate::scene::{Scene, counts, start};

/// Whoever became root by sudo is named with it.
const EVE: [(&str, &str); 1] = [("SUDO_USER", "eve")];
const LIMIT: (&str, &str) = ("PAYOUT_RUN_APPROVAL_ABOVE_MINOR", "39999");

async fn waiting(scene: &Scene) -> String {
    let file = scene.list(&scene.merchants(2, 50_000).await, 20_000);
    let run = scene.run_with(&start("a", &file), &[LIMIT]).exits(0);
    let run = run
        .says("waits for approval")
        .says("400.00 NGN is above 399.99");
    assert_eq!(run.json()["status"], "waiting");
    assert_eq!(counts(&run.json()), [2, 0, 0, 0, 2]);
    assert_eq!(scene.transfers().0, 0);
    file
}

const APPROVE: [&str; 8] = [
    "--yes", "-o", "json", "payout", "run", "approve", "--key", "a",
];
const RESUME: [&str; 8] = [
    "--yes", "-o", "json", "payout", "run", "resume", "--key", "a",
];

#[tokio::test(flavor = "multi_thread")]
async fn whoever_started_a_run_can_not_approve_of_it_and_somebody_else_can() {
    let scene = Scene::new().await;
    let file = waiting(&scene).await;
    // Again it waits, without the limit too: what was frozen stays.
    scene.start("a", &file).exits(0).says("waits for approval");
    assert_eq!(
        scene.run(&RESUME).exits(3).json()["code"],
        "approval_needed"
    );
    let refused = scene.run(&APPROVE).exits(3).json();
    assert_eq!(refused["code"], "approver_is_starter");
    assert_eq!(scene.transfers().0, 0);
    let run = scene.run_with(&APPROVE, &EVE).exits(0).json();
    assert_eq!(counts(&run), [2, 2, 0, 0, 0]);
    let approver = run["approved_by"].as_str().unwrap();
    assert!(approver.contains("eve"), "{approver}");
    scene.start("a", &file).exits(0).says("nothing to do");
    assert_eq!(scene.transfers(), (2, 40_000));
    assert_eq!(scene.events().await, ["waiting", "started", "finished"]);
    let deeds: Vec<String> = scene
        .deeds()
        .await
        .into_iter()
        .map(|(deed, _)| deed)
        .collect();
    assert_eq!(deeds, ["started", "approved"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_becomes_another_by_sudo_by_case_or_by_http_nor_without_a_name() {
    let scene = Scene::new().await;
    waiting(&scene).await;
    let key = "a".parse().unwrap();
    let starter: String = sqlx::query_scalar("SELECT started_by FROM payout_runs")
        .fetch_one(scene.pool())
        .await
        .unwrap();
    let approve = async |name: String| {
        let (host, now) = ("here".to_owned(), OffsetDateTime::now_utc());
        let actor = Actor { name, host };
        let (pool, topic) = (scene.pool(), "aegis.settlements");
        let decided = payout_runs::approve(pool, topic, &scene.ledger, &key, false, &actor, now);
        match decided.await.unwrap() {
            Decided::Refused(refusal) => refusal.code,
            _ => "approved",
        }
    };
    for same in [
        format!("root (sudo by {starter})"),
        format!(" {} ", starter.to_uppercase()),
        format!("http: {starter}"),
    ] {
        assert_eq!(approve(same.clone()).await, "approver_is_starter", "{same}");
    }
    for nobody in ["", " ", "unknown", "http", "root (sudo by unknown)"] {
        assert_eq!(approve(nobody.into()).await, "approver_unknown", "{nobody}");
    }
    assert_eq!(approve("root (sudo by eve)".into()).await, "approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_somebody_unknown_is_approved_by_nobody() {
    let scene = Scene::new().await;
    let file = scene.list(&scene.merchants(1, 50_000).await, 40_000);
    let nobody = [LIMIT, ("SUDO_USER", "unknown")];
    scene.run_with(&start("a", &file), &nobody).exits(0);
    let refused = scene.run_with(&APPROVE, &EVE).exits(3).json();
    assert_eq!(refused["code"], "starter_unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn approved_only_it_is_paid_by_the_next_start() {
    let scene = Scene::new().await;
    let file = waiting(&scene).await;
    let args: Vec<&str> = APPROVE.iter().chain(&["--only"]).copied().collect();
    let run = scene.run_with(&args, &EVE).exits(0).json();
    assert_eq!(run["status"], "running");
    assert_eq!(scene.transfers().0, 0);
    let run = scene.start("a", &file).exits(0).json();
    assert_eq!(counts(&run), [2, 2, 0, 0, 0]);
    let again = scene.run_with(&APPROVE, &EVE).exits(0);
    again.says("nothing to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_tighten_the_configured_limit_and_never_loosen_it() {
    let scene = Scene::new().await;
    let file = scene.list(&scene.merchants(3, 50_000).await, 10_000);
    let with = |key, option, number| -> Vec<String> {
        let mut args: Vec<String> = start(key, &file).map(str::to_owned).into();
        args.extend([option, number].map(str::to_owned));
        args
    };
    let run = |args: Vec<String>, limit| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        scene.run_with(&args, limit).exits(0).json()["status"].clone()
    };
    let loose = with("a", "--approval-above-minor", "99999999");
    assert_eq!(
        run(loose, &[("PAYOUT_RUN_APPROVAL_ABOVE_MINOR", "29999")]),
        "waiting"
    );
    assert_eq!(
        run(with("b", "--approval-above-minor", "29999"), &[]),
        "waiting"
    );
    assert_eq!(
        run(with("c", "--approval-above-count", "2"), &[]),
        "waiting"
    );
    let by_count = [("PAYOUT_RUN_APPROVAL_ABOVE_COUNT", "2")];
    assert_eq!(
        run(with("d", "--approval-above-minor", "30000"), &by_count),
        "waiting"
    );
    assert_eq!(
        run(with("e", "--approval-above-minor", "30000"), &[]),
        "finished"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_pays_nobody_ever() {
    let scene = Scene::new().await;
    let file = waiting(&scene).await;
    let cancel = [
        "--yes",
        "-o",
        "json",
        "payout",
        "run",
        "cancel",
        "a",
        "--reason",
        "wrong list",
    ];
    let run = scene.run(&cancel).exits(0).json();
    assert_eq!(
        (&run["status"], &run["cancelled"]),
        (&"cancelled".into(), &2.into())
    );
    scene.run(&cancel).exits(0);
    assert_eq!(
        scene.start("a", &file).exits(3).json()["code"],
        "payout_run_cancelled"
    );
    assert_eq!(
        scene.run_with(&APPROVE, &EVE).exits(3).json()["code"],
        "payout_run_cancelled"
    );
    assert_eq!(scene.transfers().0, 0);
    assert_eq!(scene.events().await, ["waiting", "finished"]);
    let file = scene.list(&["m1".to_owned()], 10_000);
    scene.start("b", &file).exits(0);
    let cancel = [
        "--yes", "-o", "json", "payout", "run", "cancel", "b", "--reason", "late",
    ];
    assert_eq!(
        scene.run(&cancel).exits(3).json()["code"],
        "nothing_to_cancel"
    );
}
