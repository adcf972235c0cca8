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

#[tokio::test]
async fn a_nameless_line_of_long_ago_does_not_keep_others_from_what_is_near_them() {
    let scene = Scene::new().await;
    // Nobody booked this one here; it is looked at again with each file.
    scene
        .bank("date,amount,currency\n2026-01-10,50.00,NGN\n")
        .await;
    assert_eq!(scene.open().await, ["missing_here -"]);
    let february = scene
        .to_bank("", 5_000, datetime!(2026-02-09 09:00 UTC))
        .await;
    let report = scene
        .bank("date,amount,currency\n2026-02-10,50.00,NGN\n")
        .await;
    assert_eq!((report.run.matched, report.run.opened), (1, 0));
    assert_eq!(transaction_of(&scene, "2026-02-10").await, february);
}

#[tokio::test]
async fn a_nameless_line_is_matched_with_the_nearest_entry_and_with_one_before_it_first() {
    let scene = Scene::new().await;
    let mut entries = Vec::new();
    for at in [
        datetime!(2026-11-10 09:00 UTC),
        datetime!(2026-11-14 09:00 UTC),
        datetime!(2026-11-18 09:00 UTC),
        datetime!(2026-11-20 09:00 UTC),
    ] {
        entries.push(scene.to_bank("", 5_000, at).await);
    }
    let lines = ["2026-11-03", "2026-11-14", "2026-11-17", "2026-11-19"];
    let text = lines.map(|day| format!("{day},50.00,NGN\n")).concat();
    let report = scene.bank(&format!("date,amount,currency\n{text}")).await;
    assert_eq!(report.run.matched, 4);
    // The day itself goes before all; a day before goes before a day after, and both before seven.
    assert_eq!(transaction_of(&scene, "2026-11-14").await, entries[1]);
    assert_eq!(transaction_of(&scene, "2026-11-19").await, entries[2]);
    assert_eq!(transaction_of(&scene, "2026-11-17").await, entries[3]);
    assert_eq!(transaction_of(&scene, "2026-11-03").await, entries[0]);
}

async fn transaction_of(scene: &Scene, day: &str) -> uuid::Uuid {
    sqlx::query_scalar(
        "SELECT transaction_id FROM statement_lines WHERE booked_at::date = $1::text::date",
    )
    .bind(day)
    .fetch_one(scene.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn a_debit_below_zero_is_a_broken_line_and_a_zero_is_none() {
    let scene = Scene::new().await;
    let report = scene
        .bank(
            "booking_date,debit,credit,currency,id\n2026-11-22,-50.00,,NGN,a\n\
             2026-11-22,50.00,0.00,NGN,b\n2026-11-22,0.00,70.00,NGN,c\n2026-11-22,,,NGN,d\n\
             2026-11-22,1.00,2.00,NGN,e\n",
        )
        .await;
    let amounts: Vec<i64> =
        sqlx::query_scalar("SELECT amount FROM statement_lines ORDER BY amount")
            .fetch_all(scene.pool())
            .await
            .unwrap();
    assert_eq!(amounts, [-5_000, 7_000]);
    let broken: Vec<u64> = report.broken.iter().map(|broken| broken.line).collect();
    assert_eq!(broken, [2, 5, 6]);
    assert!(report.broken[0].problem.contains("below zero"));
}

#[tokio::test]
async fn a_line_of_an_entrys_name_is_not_matched_with_another_of_its_amount() {
    let scene = Scene::new().await;
    let at = datetime!(2026-11-22 09:00 UTC);
    scene.to_bank("S1", 5_000, at).await;
    scene.to_bank("S2", 5_100, at).await;
    scene
        .plain(&["settlement,S1,NGN,-5100,0,2026-11-22T12:00:00Z,booked,,"])
        .await;
    assert!(scene.open().await.contains(&"amount S1".to_owned()));
    let matched = "SELECT count(*) FROM statement_lines WHERE match IN ('day', 'near')";
    assert_eq!(scene.count(matched).await, 0);
}
