//! What a PSP pays to the bank for many lines at once.

use aegis::engine::Posting;
use aegis::merchant::house;
use aegis::postgres::discrepancies::Discrepancy;
use time::macros::datetime;

use crate::scene::{Scene, ngn, noon};

/// A line of a payment of 5,000 with a fee of 75, in a batch.
fn member(reference: &str, batch: &str) -> String {
    format!("payment,{reference},NGN,5000,75,2026-11-22T12:00:00Z,booked,,{batch}")
}

fn settlement(reference: &str, amount: i64, batch: &str) -> String {
    format!("settlement,{reference},NGN,{amount},0,2026-11-23T09:00:00Z,booked,,{batch}")
}

/// Two payments of 5,000.
async fn two_paid() -> Scene {
    let scene = Scene::new().await;
    scene.paid("a", 5_000).await;
    scene.paid("b", 5_000).await;
    scene
}

async fn run(scene: &Scene, lines: &[String]) {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    scene.plain(&lines).await;
}

const TWO_LINES: &str = "it pays out batch S1: 2 lines, 10000 minor units, less fees of 150";

#[tokio::test]
async fn a_settlement_that_nets_its_lines_and_their_fees_is_told_so_where_the_ledger_has_no_entry()
{
    let scene = two_paid().await;
    run(
        &scene,
        &[
            member("a", "S1"),
            member("b", "S1"),
            settlement("S1", -9_850, ""),
        ],
    )
    .await;
    assert_eq!(scene.open().await, ["missing_here S1"]);
    let detail = &scene.discrepancies().await[0].detail;
    assert!(detail.starts_with(TWO_LINES), "{detail}");
}

#[tokio::test]
async fn a_settlement_that_is_booked_and_agrees_with_its_lines_opens_nothing() {
    let scene = two_paid().await;
    scene
        .to_bank("S1", 9_850, datetime!(2026-11-23 09:00 UTC))
        .await;
    // Its lines came in a file before, and the settlement names its batch apart from itself.
    run(
        &scene,
        &[member("a", "2026-11-22"), member("b", "2026-11-22")],
    )
    .await;
    run(&scene, &[settlement("S1", -9_850, "2026-11-22")]).await;
    assert!(scene.open().await.is_empty());
}

#[tokio::test]
async fn a_psp_that_pays_short_is_noticed_though_the_ledger_has_the_same_amount() {
    let scene = two_paid().await;
    scene
        .to_bank("S1", 9_000, datetime!(2026-11-23 09:00 UTC))
        .await;
    let lines = [
        member("a", "S1"),
        member("b", "S1"),
        settlement("S1", -9_000, ""),
    ];
    run(&scene, &lines).await;
    assert_eq!(scene.open().await, ["amount S1"]);
    let found = &scene.discrepancies().await[0];
    assert_eq!(found.expected.as_ref().unwrap().amount, -9_850);
    assert_eq!(found.found.as_ref().unwrap().amount, -9_000);
    let detail = &found.detail;
    assert!(detail.starts_with(TWO_LINES), "{detail}");
    assert!(
        detail.contains("-9850") && detail.contains("-9000"),
        "{detail}"
    );
    run(&scene, &lines).await;
    assert_eq!(scene.discrepancies().await.len(), 1);
}

#[tokio::test]
async fn a_settlement_of_the_ledgers_entry_is_held_against_lines_that_come_later() {
    let scene = Scene::new().await;
    scene.paid("a", 5_000).await;
    scene
        .to_bank("S1", 9_850, datetime!(2026-11-23 09:00 UTC))
        .await;
    run(&scene, &[settlement("S1", -9_850, "")]).await;
    assert!(scene.open().await.is_empty(), "no line of it is known");
    run(&scene, &[member("a", "S1")]).await;
    assert_eq!(scene.open().await, ["amount S1"]);
    let first = scene.discrepancies().await.remove(0);
    assert_eq!(first.expected.unwrap().amount, -4_925);
    // The rest of it closes what was opened, whoever had matched the line.
    scene.paid("b", 5_000).await;
    run(&scene, &[member("b", "S1")]).await;
    assert!(scene.open().await.is_empty());
    let closed = scene.discrepancies().await.remove(0);
    assert_eq!(closed.resolved_by.as_deref(), Some("aegis:reconciliation"));
}

#[tokio::test]
async fn a_part_of_a_batch_that_still_disagrees_is_told_anew_and_once() {
    let scene = Scene::new().await;
    scene.paid("a", 5_000).await;
    scene
        .to_bank("S1", 9_000, datetime!(2026-11-23 09:00 UTC))
        .await;
    run(&scene, &[settlement("S1", -9_000, ""), member("a", "S1")]).await;
    scene.paid("b", 5_000).await;
    run(&scene, &[member("b", "S1")]).await;
    assert_eq!(scene.open().await, ["amount S1"]);
    let all = scene.discrepancies().await;
    let expected: Vec<i64> = all
        .iter()
        .map(|it| it.expected.as_ref().unwrap().amount)
        .collect();
    assert_eq!(expected, [-4_925, -9_850]);
}

#[tokio::test]
async fn the_ledgers_booking_of_a_settlement_later_leaves_what_its_batch_lacks_open() {
    let scene = two_paid().await;
    let lines = [
        member("a", "S1"),
        member("b", "S1"),
        settlement("S1", -9_000, ""),
    ];
    run(&scene, &lines).await;
    assert_eq!(scene.open().await, ["missing_here S1", "amount S1"]);
    scene
        .to_bank("S1", 9_000, datetime!(2026-11-23 09:00 UTC))
        .await;
    run(&scene, &lines).await;
    assert_eq!(scene.open().await, ["amount S1"]);
}

#[tokio::test]
async fn a_batch_that_is_paid_in_two_parts_is_summed_over_both() {
    let scene = two_paid().await;
    for (reference, amount) in [("S1", 9_000), ("S2", 850)] {
        let at = datetime!(2026-11-23 09:00 UTC);
        scene.to_bank(reference, amount, at).await;
    }
    run(
        &scene,
        &[
            member("a", "B"),
            member("b", "B"),
            settlement("S1", -9_000, "B"),
            settlement("S2", -850, "B"),
        ],
    )
    .await;
    assert!(scene.open().await.is_empty());
}

#[tokio::test]
async fn a_line_that_is_known_learns_its_batch_from_another_file() {
    let scene = two_paid().await;
    scene
        .to_bank("S1", 9_850, datetime!(2026-11-23 09:00 UTC))
        .await;
    run(&scene, &[member("a", ""), settlement("S1", -9_850, "")]).await;
    run(&scene, &[member("a", "S1"), member("b", "S1")]).await;
    assert!(scene.open().await.is_empty());
    let members = "SELECT count(*) FROM statement_lines WHERE batch = 'S1'";
    assert_eq!(scene.count(members).await, 2);
    // Where that alone is new, it is held against the settlement, too.
    run(
        &scene,
        &[
            settlement("S2", -1, ""),
            "payment,x,NGN,9,0,2026-11-22,booked,,".to_owned(),
        ],
    )
    .await;
    run(
        &scene,
        &["payment,x,NGN,9,0,2026-11-22,booked,,S2".to_owned()],
    )
    .await;
    assert!(scene.open().await.contains(&"amount S2".to_owned()));
}

/// What the ledger has of `reference` for each of two payments.
async fn booked_apart(scene: &Scene, reference: &str, amount: i64) {
    for payment in ["a", "b"] {
        let posting = Posting::new(&format!("test:{reference}:{payment}"))
            .leg(house::psp("paystack"), ngn(), amount)
            .leg("bank:main".parse().unwrap(), ngn(), -amount);
        let at = datetime!(2026-11-23 09:00 UTC);
        scene.post_as(posting, reference, at).await;
    }
}

#[tokio::test]
async fn a_settlement_stands_for_the_entries_of_its_batch() {
    let scene = two_paid().await;
    booked_apart(&scene, "S1", 4_925).await;
    run(
        &scene,
        &[
            member("a", "S1"),
            member("b", "S1"),
            settlement("S1", -9_850, ""),
        ],
    )
    .await;
    assert!(scene.open().await.is_empty());
    let many = "SELECT count(*) FROM statement_matches";
    assert_eq!(scene.count(many).await, 2);
}

#[tokio::test]
async fn entries_before_fees_are_the_settlements_and_took_too_much_from_the_psps_wallet() {
    let scene = Scene::new().await;
    // Lines of payments, and of what was booked by hand: the fees of both are booked besides.
    for reference in ["x", "y"] {
        let posting = Posting::new(&format!("test:{reference}"))
            .leg(house::psp("paystack"), ngn(), -5_000)
            .leg(house::fees(), ngn(), 5_000);
        scene.post_as(posting, reference, noon()).await;
    }
    scene.paid("a", 5_000).await;
    scene.paid("b", 5_000).await;
    for (one, two, batch, rest) in [("x", "y", "S1", 150), ("a", "b", "S2", 300)] {
        booked_apart(&scene, batch, 5_000).await;
        let lines = [
            member(one, batch),
            member(two, batch),
            settlement(batch, -9_850, ""),
        ];
        run(&scene, &lines).await;
        let open = scene.open().await;
        assert!(open.contains(&format!("amount {batch}")), "{open:?}");
        let of_batch = |found: &&Discrepancy| found.reference.as_deref() == Some(batch);
        let found = scene.discrepancies().await;
        let found = found.iter().find(of_batch).unwrap();
        assert_eq!(found.expected.as_ref().unwrap().amount, -10_000);
        // Of both before fees, and the fees.
        let left = if batch == "S1" { -10_000 } else { 0 };
        assert_eq!(scene.balance("psp:paystack").await, left + rest, "{batch}");
    }
    let many = "SELECT count(*) FROM statement_lines WHERE match = 'many'";
    assert_eq!(scene.count(many).await, 2);
}
