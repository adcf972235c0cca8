//! Bank statements as CSV.

use time::macros::datetime;

use crate::scene::Scene;

#[tokio::test]
async fn two_equal_bookings_on_one_day_are_two_bookings() {
    let scene = Scene::new().await;
    let at = datetime!(2026-11-22 09:00 UTC);
    scene.to_bank("", 5_000, at).await;
    scene.to_bank("", 5_000, at).await;
    let text = "booking_date,credit,debit,currency\n2026-11-22,50.00,,NGN\n2026-11-22,50.00,,NGN\n";
    let report = scene.bank(text).await;
    assert_eq!(
        (report.run.lines, report.run.matched, report.run.opened),
        (2, 2, 0)
    );
    let report = scene.bank(text).await;
    assert_eq!((report.run.known, report.run.opened), (2, 0));
    // A third one of that day is a third booking.
    let report = scene.bank(&format!("{text}2026-11-22,50.00,,NGN\n")).await;
    assert_eq!((report.run.known, report.run.opened), (2, 1));
    assert_eq!(scene.open().await, ["missing_here -"]);
}

#[tokio::test]
async fn a_bookings_day_may_be_off_by_some_and_its_name_goes_before_its_amount() {
    let scene = Scene::new().await;
    let first = scene
        .to_bank("", 5_000, datetime!(2026-11-20 09:00 UTC))
        .await;
    let named = scene
        .to_bank("PAYOUT-7", 5_000, datetime!(2026-11-20 10:00 UTC))
        .await;
    let report = scene
        .bank(
            "booking_date,amount,currency,reference\n\
             2026-11-21,50.00,NGN,PAYOUT-7\n2026-11-22,50.00,NGN,\n",
        )
        .await;
    assert_eq!((report.run.matched, report.run.opened), (2, 0));
    for (reference, transaction) in [(Some("PAYOUT-7"), named), (None, first)] {
        let found: uuid::Uuid = sqlx::query_scalar(
            "SELECT transaction_id FROM statement_lines WHERE reference IS NOT DISTINCT FROM $1",
        )
        .bind(reference)
        .fetch_one(scene.pool())
        .await
        .unwrap();
        assert_eq!(found, transaction);
    }
}

#[tokio::test]
async fn one_line_stands_for_all_entries_of_its_reference() {
    let scene = Scene::new().await;
    let at = datetime!(2026-11-22 09:00 UTC);
    scene.to_bank("PAYOUT-7", 5_000, at).await;
    scene.to_bank("PAYOUT-7", 7_000, at).await;
    let report = scene
        .bank("booking_date,amount,currency,reference\n2026-11-22,120.00,NGN,PAYOUT-7\n")
        .await;
    assert_eq!((report.run.matched, report.run.opened), (1, 0));
    assert_eq!(
        scene.count("SELECT count(*) FROM statement_matches").await,
        2
    );
}

#[tokio::test]
async fn what_the_bank_does_not_have_is_missing_there() {
    let scene = Scene::new().await;
    scene
        .to_bank("", 5_000, datetime!(2026-11-22 23:00 UTC))
        .await;
    scene
        .to_bank("", 7_000, datetime!(2026-11-22 09:00 UTC))
        .await;
    scene
        .bank("date,amount,currency\n2026-11-22,70.00,NGN\n")
        .await;
    assert_eq!(scene.open().await, ["missing_there -"]);
    assert_eq!(
        scene.discrepancies().await[0]
            .expected
            .as_ref()
            .unwrap()
            .amount,
        5_000
    );
}
