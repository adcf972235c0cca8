//! Lines are recorded once, whatever files they come in.

use crate::scene::{HEADER, Scene, payment};

#[tokio::test]
async fn the_same_file_again_changes_nothing() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    let lines = [payment("a", 1_000), payment("b", 2_000)];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    scene.plain(&lines).await;
    let before = scene.discrepancies().await;
    let report = scene.plain(&lines).await;
    assert_eq!((report.run.known, report.run.opened), (2, 0));
    assert_eq!(scene.discrepancies().await, before);
    assert_eq!(scene.count("SELECT count(*) FROM statement_lines").await, 2);
}

#[tokio::test]
async fn files_that_overlap_add_only_what_is_new() {
    let scene = Scene::new().await;
    for reference in ["a", "b", "c"] {
        scene.paid(reference, 1_000).await;
    }
    scene
        .plain(&[&payment("a", 1_000), &payment("b", 1_000)])
        .await;
    let report = scene
        .plain(&[&payment("b", 1_000), &payment("c", 1_000)])
        .await;
    assert_eq!((report.run.known, report.run.matched), (1, 1));
    assert!(scene.open().await.is_empty());
    assert_eq!(scene.count("SELECT count(*) FROM statement_lines").await, 3);
}

#[tokio::test]
async fn the_same_payment_in_two_formats_is_one_line() {
    let scene = Scene::new().await;
    scene.paid("a", 100_000).await;
    scene.plain(&[&payment("a", 100_000)]).await;
    let report = scene
        .psp(
            "Reference,Transaction Date,Amount Paid,Paystack Fee,Currency\n\
             a,2026-11-22T12:00:00.000Z,\"1,000.00\",0.00,NGN\n",
        )
        .await;
    assert_eq!(report.run.known, 1);
    assert!(scene.open().await.is_empty());
}

#[tokio::test]
async fn broken_lines_are_named_and_the_others_are_taken() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    let text = format!(
        "{HEADER}payment,x,NGN,many,0,2026-11-22,booked,,\n{}\npayment,y,NGN\n\
         payment,z,XXX,5,0,2026-11-22,booked,,\nparty,z,NGN,5,0,2026-11-22,booked,,\n\
         payment,,NGN,5,0,2026-11-22,booked,,\npayment,q,NGN,5,0,soon,booked,,\n\
         payment,q,NGN,5,0,2026-11-22,maybe,,\n",
        payment("a", 1_000)
    );
    let report = scene.psp(&text).await;
    assert_eq!((report.run.lines, report.run.matched), (1, 1));
    let lines: Vec<u64> = report.broken.iter().map(|broken| broken.line).collect();
    assert_eq!(lines, [2, 4, 5, 6, 7, 8, 9]);
    let problems: Vec<&str> = report.broken.iter().map(|b| b.problem.as_str()).collect();
    for (problem, said) in problems.iter().zip([
        "many",
        "3 fields",
        "XXX",
        "party",
        "needs a reference",
        "soon",
        "maybe",
    ]) {
        assert!(problem.contains(said), "{problem}");
    }
    // The part of a broken line that could be read is nowhere.
    assert_eq!(scene.count("SELECT count(*) FROM statement_lines").await, 1);
}

#[tokio::test]
async fn two_runs_at_one_wallets_statements_exclude_each_other() {
    let scene = Scene::new().await;
    let mut other = scene.pool().begin().await.unwrap();
    let ledger = scene.ledger.id;
    let begun = aegis::postgres::reconciliations::begin(&mut other, ledger, "psp:paystack").await;
    assert!(begun.unwrap());
    let source = aegis::reconcile::Source::Psp("paystack".to_owned());
    let refused = scene.try_run(source, None, HEADER).await.unwrap_err();
    assert!(refused.to_string().contains("another run"), "{refused}");
    other.rollback().await.unwrap();
    scene.psp(HEADER).await;
}
