//! Each format, and files that are none of those asked for.

use aegis::reconcile::{Format, Source};

use crate::scene::{HEADER, Scene, ngn, noon};

const BALANCE: &str = "\
type,id,reference,currency,amount,fees,net,status,created_at
payment,1,a,NGN,100000,11500,88500,success,2026-11-22T12:00:00.000Z
refund,2,a,NGN,-40000,0,-40000,processing,2026-11-22T13:00:00.000Z
";

#[tokio::test]
async fn paystacks_balance_is_read_in_minor_units() {
    let scene = Scene::new().await;
    scene.paid("a", 100_000).await;
    let report = scene.psp(BALANCE).await;
    assert_eq!(report.run.format, "paystack-balance");
    assert_eq!(
        (report.run.matched, report.run.pending, report.run.opened),
        (1, 1, 0)
    );
    assert_eq!(report.fees, [(ngn(), 11_500)]);
}

#[tokio::test]
async fn paystacks_transactions_are_read_in_units_of_the_currency() {
    let scene = Scene::new().await;
    scene.paid("a", 125_000).await;
    let report = scene
        .psp(
            "Transaction ID,Reference,Transaction Date,Customer Email,Amount Paid,Paystack Fees,\
             Amount Due,Currency,Status,Settlement Date\n\
             17,a,2026-11-22 12:00:00,x@example.org,\"1,250.00\",18.75,\"1,231.25\",NGN,success,\
             2026-11-23\n\
             18,b,2026-11-22 12:10:00,x@example.org,90.00,,90.00,NGN,abandoned,\n",
        )
        .await;
    assert_eq!(report.run.format, "paystack-transactions");
    assert_eq!(
        (report.run.lines, report.run.matched, report.run.opened),
        (1, 1, 0)
    );
    assert_eq!(report.fees, [(ngn(), 1_875)]);
    let batch = "SELECT count(*) FROM statement_lines WHERE batch = '2026-11-23'";
    assert_eq!(scene.count(batch).await, 1);
}

#[tokio::test]
async fn paystacks_transfers_are_money_that_left() {
    let scene = Scene::new().await;
    scene.paid("a", 900_000).await;
    let report = scene
        .psp(
            "Transfer Code,Reference,Amount,Currency,Status,Transferred At\n\
             TRF_1,p,50.00,NGN,success,2026-11-22T12:30:00Z\n\
             TRF_2,q,60.00,NGN,failed,2026-11-22T12:30:00Z\n",
        )
        .await;
    assert_eq!(report.run.format, "paystack-transfers");
    // The payment is not missing there: such a file has transfers alone.
    assert_eq!(scene.open().await, ["missing_here p"]);
    assert_eq!(
        scene.discrepancies().await[0]
            .found
            .as_ref()
            .unwrap()
            .amount,
        -5_000
    );
}

#[tokio::test]
async fn a_file_of_another_psp_or_format_is_refused_with_the_reason() {
    let scene = Scene::new().await;
    let psp = |name: &str| Source::Psp(name.to_owned());
    let bank = || Source::Bank("main".to_owned());
    let camt = "<Document><BkToCstmrStmt/></Document>";
    for (source, format, text, said) in [
        (psp("flutterwave"), None, BALANCE, "Paystack's"),
        (bank(), None, BALANCE, "name the PSP paystack"),
        (psp("paystack"), None, camt, "name the bank"),
        (
            psp("paystack"),
            None,
            "date,amount,currency\n",
            "name the bank",
        ),
        (
            psp("paystack"),
            None,
            "a,b,c\n1,2,3\n",
            "none of a known format",
        ),
        (psp("paystack"), None, "", "empty"),
        (
            psp("paystack"),
            Some(Format::PaystackTransfers),
            BALANCE,
            "paystack-balance",
        ),
        (bank(), Some(Format::BankCsv), camt, "XML"),
        (bank(), Some(Format::Camt053), "date,amount\n", "no XML"),
        (
            psp("paystack"),
            None,
            "kind,booked_at,currency\n",
            "amounts",
        ),
        (
            psp("paystack"),
            None,
            "kind,booked_at,currency,minor,Minor\n",
            "twice",
        ),
    ] {
        let refused = scene.try_run(source, format, text).await.unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
    }
    assert_eq!(scene.count("SELECT count(*) FROM reconciliations").await, 0);
}

#[tokio::test]
async fn plain_lines_of_another_psp_are_broken_lines() {
    let scene = Scene::new().await;
    let text = "psp,kind,reference,currency,minor,booked_at\n\
                paystack,payment,a,NGN,5,2026-11-22\nflutterwave,payment,b,NGN,5,2026-11-22\n";
    let report = scene.psp(text).await;
    assert_eq!((report.run.lines, report.run.broken), (1, 1));
    assert!(report.broken[0].problem.contains("flutterwave"));
    let text = HEADER.replace("minor", "amount");
    let report = scene
        .psp(&format!("{text}payment,c,NGN,12.50,,2026-11-22,,,\n"))
        .await;
    assert_eq!(report.run.broken, 0);
    assert_eq!(
        scene
            .count("SELECT count(*) FROM statement_lines WHERE amount = 1250")
            .await,
        1
    );
}

#[tokio::test]
async fn an_amount_that_has_no_opposite_is_a_broken_line() {
    let scene = Scene::new().await;
    let report = scene
        .plain(&[
            "settlement,X1,NGN,-9223372036854775808,0,2026-11-22T12:00:00Z,booked,,",
            "settlement,X2,NGN,-100,1000000000001,2026-11-22T12:00:00Z,booked,,",
            "settlement,X3,NGN,-9223372036854775807,0,2026-11-22T12:00:00Z,booked,,",
        ])
        .await;
    let broken: Vec<u64> = report.broken.iter().map(|broken| broken.line).collect();
    assert_eq!(broken, [2, 3]);
    assert_eq!(report.run.lines, 1);
    // What is recorded of it is in no later run's way.
    scene.to_bank("X3", 5_000, noon()).await;
    scene
        .plain(&["settlement,X3,NGN,-5000,0,2026-11-22T12:00:00Z,booked,,"])
        .await;
}

#[test]
fn a_payment_that_its_fee_eats_up_is_in_the_simulators_export() {
    use aegis::simulator::{Faults, Fees, LocalPsp};
    let secret = aegis::config::Secret::new("sk_test_export");
    let faults = Faults::new(1, Vec::new());
    let psp = LocalPsp::new(secret, Fees::Paystack, faults, crate::scene::noon).unwrap();
    let new = aegis::psp::NewPayment {
        reference: "a".to_owned(),
        email: "a@example.org".to_owned(),
        amount: 1,
        currency: crate::scene::ngn(),
        callback_url: None,
        metadata: None,
    };
    psp.with_books(|books| books.initialize(&new, crate::scene::noon()).map(drop))
        .unwrap();
    psp.pay("a").unwrap();
    let export = String::from_utf8(psp.settlement_csv().unwrap()).unwrap();
    let line = export.lines().nth(1).unwrap_or_default();
    assert!(line.contains(",a,NGN,1,1,0,success,"), "{export}");
}
