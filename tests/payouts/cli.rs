//! `aegisctl payout`.

use crate::scene::{FUNDS, Scene};
use crate::tool::Tool;

const ASK: [&str; 8] = [
    "payout",
    "create",
    "--merchant",
    "acme",
    "--currency",
    "NGN",
    "--key",
    "k",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_is_asked_for_sent_settled_and_shown() {
    let scene = Scene::new().await;
    let tool = Tool::on(&scene);
    let amount = ["--amount", "900.00", "--reference", "november"];
    let ask = [&ASK[..], &amount].concat();
    let made = tool.json(&ask);
    assert_eq!(
        (&made["amount"], &made["status"]),
        (&90_000.into(), &"requested".into())
    );
    assert_eq!(tool.json(&ask), made, "a repeat");
    let id = made["id"].as_str().unwrap();
    let sent = tool.json(&["payout", "requery", id]);
    assert_eq!(sent["status"], "sent");
    scene
        .at_the_psp("succeed", &scene.read(id.parse().unwrap()).await)
        .await;
    assert_eq!(tool.json(&["payout", "requery", id])["status"], "succeeded");
    let shown = tool.json(&["payout", "show", id]);
    assert_eq!(shown["calls"].as_array().unwrap().len(), 2);
    assert_eq!(
        tool.json(&["payout", "list", "--status", "succeeded"])[0]["id"],
        id
    );
    let table = tool.run(&["payout", "show", id]).exits(0).stdout;
    assert!(table.contains("900.00") && table.contains("ask"), "{table}");
    let csv = tool.run(&["-o", "csv", "payout", "list"]).exits(0).csv();
    assert_eq!(csv[0]["amount"], "90000");
    assert_eq!(scene.available().await, FUNDS - 90_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rules_no_ends_with_3_and_a_wrong_word_with_2() {
    let scene = Scene::new().await;
    let tool = Tool::on(&scene);
    let too_much = [&ASK[..], &["--amount", "10000.01"]].concat();
    tool.run(&too_much).exits(3).says("insufficient_funds");
    tool.run(&[&ASK[..], &["--amount", "900"]].concat())
        .exits(2);
    let nobody = "0195f3c2-7f7e-7c11-9f0e-5a1b2c3d4e5f";
    for verb in ["show", "requery"] {
        tool.run(&["payout", verb, nobody])
            .exits(3)
            .says("payout_not_found");
    }
    tool.run(&["payout", "list", "--status", "gone"]).exits(2);
    tool.run_with(
        &["payout", "requery", nobody],
        &[("PAYSTACK_SECRET_KEY", "")],
    )
    .exits(2)
    .says("PAYSTACK_SECRET_KEY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_shown_asked_about_and_audited() {
    let scene = Scene::new().await;
    let tool = Tool::on(&scene);
    let payout = scene.sent("k", 90_000).await;
    let id = payout.id.to_string();
    let decide = [
        "payout",
        "resolve",
        &id,
        "--as",
        "failed",
        "--reason",
        "ticket 4711",
    ];
    tool.run(&decide).exits(8).says("no terminal");
    let plan = tool.json(&[&decide[..], &["--dry-run"]].concat());
    assert_eq!(
        (&plan["as"], &plan["dry_run"]),
        (&"failed".into(), &true.into())
    );
    assert_eq!(scene.in_transit().await, 90_000);
    let done = tool.json(&[&decide[..], &["--yes"]].concat());
    assert_eq!(
        (&done["status"], &done["reason"]),
        (&"failed".into(), &"ticket 4711".into())
    );
    tool.run(&[&decide[..], &["--yes"]].concat())
        .exits(0)
        .says("nothing to do");
    let other = [
        "payout",
        "resolve",
        &id,
        "--as",
        "succeeded",
        "--reason",
        "no",
        "--yes",
    ];
    tool.run(&other).exits(3).says("payout_not_open");
    assert_eq!(
        (scene.in_transit().await, scene.available().await),
        (0, FUNDS)
    );
    let audited: i64 =
        sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE action = 'payout.resolved'")
            .fetch_one(scene.pool())
            .await
            .unwrap();
    assert_eq!(audited, 1);
    // The verdict is wrong, as the PSP says in the end.
    scene.at_the_psp("succeed", &payout).await;
    tool.run(&["payout", "requery", &id]).exits(0);
    assert_eq!(scene.discrepancies().await, ["status"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_reports_payouts() {
    let scene = Scene::new().await;
    let tool = Tool::on(&scene);
    scene.sent("k", 90_000).await;
    let report = tool.json(&["ledger", "verify", "--full"]);
    let checks = report["checks"].as_array().unwrap();
    let payouts = checks.iter().find(|check| check["name"] == "payouts");
    assert_eq!(payouts.unwrap()["checked"], 1);
    sqlx::query("UPDATE payouts SET amount = 1")
        .execute(scene.pool())
        .await
        .unwrap();
    tool.run(&["ledger", "verify", "--full"]).exits(4);
}
