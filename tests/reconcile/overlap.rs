//! Lines are recorded once, whatever files they come in.

use aegis::postgres::discrepancies::Class;

use crate::resolving::resolved_by_two;
use crate::scene::{HEADER, Scene, noon, payment};

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
async fn what_is_open_of_a_file_is_counted_until_it_is_resolved() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    scene.paid("gone", 500).await;
    let (a, b) = (payment("a", 1_000), payment("b", 2_000));
    let first = scene.plain(&[&a, &b]).await;
    assert_eq!((first.run.opened, first.open), (2, 2));
    let again = scene.plain(&[&a, &b]).await;
    assert_eq!((again.run.opened, again.open), (0, 2));
    // A line of its own that is fine, in a time that has not been told wholly.
    let gone = payment("gone", 500);
    let with_it = scene.plain(&[&a, &gone]).await;
    assert_eq!((with_it.run.resolved, with_it.open), (1, 0));
    let again = scene.plain(&[&a, &b]).await;
    assert_eq!(again.open, 1);
    let id = scene.asked("b", 2_000).await;
    scene.pay(id, "b", 2_000, noon()).await;
    let better = scene.plain(&[&a, &b]).await;
    assert_eq!((better.run.resolved, better.open), (1, 0));
}

#[tokio::test]
async fn a_file_of_another_kind_or_time_does_not_answer_for_what_is_open() {
    let scene = Scene::new().await;
    scene.paid("a", 1_000).await;
    let b = payment("b", 2_000);
    scene.plain(&[&b]).await;
    let later = "payment,c,NGN,1000,0,2026-11-23T12:00:00Z,booked,,";
    let other = scene.plain(&[later]).await;
    assert_eq!((other.run.opened, other.open), (1, 1));
    let export = "Transfer Code,Reference,Amount,Currency,Status,Transferred At\n\
                  TRF_1,p,100.00,NGN,success,2026-11-22T12:00:00.000Z\n";
    assert_eq!(scene.psp(export).await.open, 1);
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

/// A plain line of a payment at noon of a day of November.
fn on(day: u8, reference: &str) -> String {
    format!("payment,{reference},NGN,1000,0,2026-11-{day}T12:00:00Z,booked,,")
}

/// Payments of 1,000 at noon of their days.
async fn paid_on(payments: &[(u8, &str)]) -> Scene {
    let scene = Scene::new().await;
    for (day, reference) in payments {
        let id = scene.asked(reference, 1_000).await;
        let at = noon().replace_day(*day).unwrap();
        scene.pay(id, reference, 1_000, at).await;
    }
    scene
}

#[tokio::test]
async fn a_line_that_a_corrected_file_of_its_time_lacks_is_told() {
    let scene = paid_on(&[(21, "x"), (22, "A1"), (22, "B1"), (23, "y")]).await;
    let (x, a, b, y) = (on(21, "x"), on(22, "A1"), on(22, "B1"), on(23, "y"));
    scene.plain(&[&x, &a, &y]).await;
    assert_eq!(scene.open().await, ["missing_there B1"]);
    let amended = scene.plain(&[&x, &b, &y]).await;
    assert_eq!((amended.run.opened, amended.run.resolved), (1, 1));
    assert_eq!((amended.open, scene.open().await.len()), (1, 1));
    let found = scene.discrepancies().await.remove(1);
    assert_eq!(found.reference.as_deref(), Some("A1"));
    assert_eq!(found.expected.as_ref().unwrap().amount, 1_000);
    let again = scene.plain(&[&x, &b, &y]).await;
    assert_eq!((again.run.opened, again.open), (0, 1));
    // The former file again has it, and is no correction of the later one.
    let former = scene.plain(&[&x, &a, &y]).await;
    assert_eq!((former.run.resolved, former.run.opened), (1, 0));
    assert!(scene.open().await.is_empty());
    // Another one lacks it again, and one person alone does not put up with that.
    scene
        .plain(&[&x, &b, &y, "fee,f,NGN,-1,0,2026-11-23,booked,,"])
        .await;
    assert_eq!(scene.open().await, ["missing_here f", "missing_there A1"]);
}

#[tokio::test]
async fn what_was_reversed_as_lacking_and_comes_again_is_missing_here() {
    let scene = paid_on(&[(21, "x"), (22, "A1"), (22, "B1"), (23, "y")]).await;
    let (x, a, b, y) = (on(21, "x"), on(22, "A1"), on(22, "B1"), on(23, "y"));
    scene.plain(&[&x, &a, &b, &y]).await;
    scene.plain(&[&x, &b, &y]).await;
    assert_eq!(scene.open().await, ["missing_there A1"]);
    let id = scene.discrepancies().await[0].id;
    let legs = [("psp:paystack", 1_000), ("merchant:acme:pending", -1_000)];
    resolved_by_two(&scene, id, &legs).await;
    // It is over, whichever file lacks it.
    let lacks = [&*x, &*b, &*y, &*on(24, "z")];
    scene.plain(&lacks).await;
    assert_eq!(scene.open().await, ["missing_here z"]);
    let report = scene.plain(&[&x, &a, &y]).await;
    assert_eq!((report.run.opened, report.open), (2, 2));
    assert_eq!(
        scene.open().await,
        ["missing_here z", "missing_here A1", "missing_there B1"]
    );
    let again = scene.plain(&[&x, &a, &y]).await;
    assert_eq!((again.run.opened, again.open), (0, 2));
}

#[tokio::test]
async fn nothing_lacks_where_a_file_is_cut_or_is_of_something_else() {
    let days = [
        (21, "u"),
        (22, "a"),
        (22, "b"),
        (23, "c"),
        (24, "d"),
        (24, "e"),
        (26, "v"),
    ];
    let scene = paid_on(&days).await;
    let all = days.map(|(day, reference)| on(day, reference));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    scene.plain(&all).await;
    // The days on which it begins and ends may be cut.
    let cut = scene.plain(&[all[2], all[3], all[4]]).await;
    assert_eq!((cut.run.known, cut.run.opened), (3, 0));
    // Lines of another kind, currency or batch.
    for (kind, currency, batch) in [
        ("other", "NGN", ""),
        ("payment", "USD", ""),
        ("payment", "NGN", "B"),
    ] {
        let line = |day: u8| {
            format!(
                "{kind},{kind}{day}{batch},{currency},7,0,2026-11-{day}T12:00:00Z,booked,,{batch}"
            )
        };
        scene.plain(&[&line(21), &line(26)]).await;
    }
    // Another account of the same wallet; a file with a broken line.
    let header = "kind,reference,currency,minor,booked_at,account\n";
    let line = |day| format!("payment,n{day},NGN,8,2026-11-{day},1234\n");
    scene
        .psp(&format!("{header}{}{}", line(21), line(26)))
        .await;
    scene.plain(&[all[0], all[6], "broken"]).await;
    let open = scene.open().await;
    assert!(
        open.iter().all(|it| it.starts_with("missing_here")),
        "{open:?}"
    );
    // What is said to be covered is not cut.
    let text = format!("{HEADER}{}\n{}\n", all[2], all[4]);
    let source = aegis::reconcile::Source::Psp("paystack".to_owned());
    let until = noon().replace_day(25).unwrap();
    let report = scene.try_run_until(source, None, &text, Some(until)).await;
    assert_eq!(report.unwrap().run.opened, 2);
    let found = scene.discrepancies().await;
    let lacking = found.iter().filter(|it| it.class == Class::MissingThere);
    let references: Vec<_> = lacking.map(|it| it.reference.as_deref()).collect();
    assert_eq!(references, [Some("c"), Some("e")]);
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
