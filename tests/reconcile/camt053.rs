//! Bank statements as camt.053.

use aegis::reconcile::Source;
use time::macros::datetime;

use crate::scene::Scene;

fn document(statements: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\">\n<BkToCstmrStmt>\n\
         <GrpHdr><MsgId>m</MsgId><CreDtTm>2026-11-23T01:00:00</CreDtTm></GrpHdr>\n{statements}\n\
         </BkToCstmrStmt>\n</Document>\n"
    )
}

fn statement(account: &str, entries: &str) -> String {
    format!("<Stmt><Id>s</Id><Acct><Id><IBAN>{account}</IBAN></Id></Acct>\n{entries}</Stmt>")
}

fn entry(amount: &str, way: &str, status: &str, day: &str, rest: &str) -> String {
    format!(
        "<Ntry><Amt Ccy=\"NGN\">{amount}</Amt><CdtDbtInd>{way}</CdtDbtInd>\
         <Sts><Cd>{status}</Cd></Sts><BookgDt><Dt>{day}</Dt></BookgDt>{rest}</Ntry>\n"
    )
}

fn detail(end_to_end_id: &str, amount: &str) -> String {
    format!(
        "<TxDtls><Refs><EndToEndId>{end_to_end_id}</EndToEndId></Refs>\
         <Amt Ccy=\"NGN\">{amount}</Amt></TxDtls>"
    )
}

#[tokio::test]
async fn several_accounts_and_several_details_are_lines_each() {
    let scene = Scene::new().await;
    let at = datetime!(2026-11-22 09:00 UTC);
    for (reference, amount) in [("R1", 5_000), ("R2", 7_000), ("R3", 100)] {
        scene.to_bank(reference, amount, at).await;
    }
    let details = format!(
        "<NtryDtls>{}{}</NtryDtls>",
        detail("R1", "50.00"),
        detail("R2", "70.00")
    );
    let one = entry("120.00", "CRDT", "BOOK", "2026-11-22", &details);
    let other = "<NtryDtls><TxDtls><Refs><EndToEndId>R3</EndToEndId></Refs></TxDtls></NtryDtls>";
    let other = entry("1.00", "CRDT", "BOOK", "2026-11-22", other);
    let text = document(&format!(
        "{}{}",
        statement("NG01", &one),
        statement("NG02", &other)
    ));
    let report = scene.bank(&text).await;
    assert_eq!(report.run.format, "camt053");
    assert_eq!(
        (report.run.lines, report.run.matched, report.run.opened),
        (3, 3, 0)
    );
    let accounts = "SELECT count(DISTINCT account) FROM statement_lines";
    assert_eq!(scene.count(accounts).await, 2);
    assert_eq!(scene.bank(&text).await.run.known, 3);
}

#[tokio::test]
async fn pending_entries_move_nothing_and_booked_ones_do() {
    let scene = Scene::new().await;
    let pending = entry("50.00", "DBIT", "PDNG", "2026-11-22", "");
    let report = scene.bank(&document(&statement("NG01", &pending))).await;
    assert_eq!(
        (report.run.lines, report.run.pending, report.run.opened),
        (0, 1, 0)
    );
    // The first versions say the status as text.
    let booked = entry("50.00", "DBIT", "BOOK", "2026-11-22", "")
        .replace("<Sts><Cd>BOOK</Cd></Sts>", "<Sts>BOOK</Sts>");
    let report = scene.bank(&document(&statement("NG01", &booked))).await;
    assert_eq!((report.run.lines, report.run.known), (1, 0));
    let found = &scene.discrepancies().await[0];
    assert_eq!(found.found.as_ref().unwrap().amount, -5_000);
}

#[tokio::test]
async fn ids_that_a_bank_uses_again_each_year_are_other_bookings() {
    let scene = Scene::new().await;
    scene
        .to_bank("R1", 5_000, datetime!(2025-11-22 09:00 UTC))
        .await;
    scene
        .to_bank("R1", 5_000, datetime!(2026-11-22 09:00 UTC))
        .await;
    let id = "<AcctSvcrRef>0001</AcctSvcrRef><NtryDtls><TxDtls><Refs><EndToEndId>R1</EndToEndId>\
              </Refs></TxDtls></NtryDtls>";
    for year in ["2025", "2026"] {
        let entry = entry("50.00", "CRDT", "BOOK", &format!("{year}-11-22"), id);
        let report = scene.bank(&document(&statement("NG01", &entry))).await;
        assert_eq!((report.run.known, report.run.matched), (0, 1), "{year}");
    }
    assert!(scene.open().await.is_empty());
}

#[tokio::test]
async fn equal_entries_of_one_statement_are_two_and_of_two_statements_are_one() {
    let scene = Scene::new().await;
    let same = entry("50.00", "CRDT", "BOOK", "2026-11-22", "");
    let twice = statement("NG01", &format!("{same}{same}"));
    let report = scene
        .bank(&document(&format!("{twice}{}", statement("NG01", &same))))
        .await;
    assert_eq!(report.run.lines, 3);
    assert_eq!(scene.count("SELECT count(*) FROM statement_lines").await, 2);
}

#[tokio::test]
async fn an_entry_that_is_broken_is_named_by_its_line_and_none_of_its_details_is_taken() {
    let scene = Scene::new().await;
    let details = format!(
        "<NtryDtls>{}{}</NtryDtls>",
        detail("R1", "50.00"),
        detail("R2", "60.00")
    );
    let entries = [
        entry("120.00", "CRDT", "BOOK", "2026-11-22", &details),
        entry("1.005", "CRDT", "BOOK", "2026-11-22", ""),
        entry("1.00", "UPWARD", "BOOK", "2026-11-22", ""),
        entry("1.00", "CRDT", "ODD", "2026-11-22", ""),
        entry("2.00", "CRDT", "BOOK", "2026-11-22", ""),
    ];
    let report = scene
        .bank(&document(&statement("NG01", &entries.concat())))
        .await;
    assert_eq!((report.run.lines, report.run.broken), (1, 4));
    let lines: Vec<u64> = report.broken.iter().map(|broken| broken.line).collect();
    assert_eq!(lines, [6, 7, 8, 9]);
    assert!(
        report.broken[0].problem.contains("sum to 11000"),
        "{:?}",
        report.broken[0]
    );
}

#[tokio::test]
async fn xml_that_is_no_camt053_or_ends_early_is_refused_as_a_whole() {
    let scene = Scene::new().await;
    let good = document(&statement(
        "NG01",
        &entry("1.00", "CRDT", "BOOK", "2026-11-22", ""),
    ));
    let (cut, _) = good.split_once("</BkToCstmrStmt>").unwrap();
    for (text, said) in [
        (cut.to_owned(), "ends within"),
        (
            good.replace("BkToCstmrStmt", "BkToCstmrAcctRpt"),
            "BkToCstmrAcctRpt",
        ),
        (
            good.replace("<Document", "<!DOCTYPE x [<!ENTITY a \"b\">]><Document"),
            "DOCTYPE",
        ),
        (good.replace("</Stmt>", "</Statement>"), "line"),
        (good.replace("<Id>s</Id>", "<Id>&unknown;</Id>"), "entity"),
    ] {
        let source = Source::Bank("main".to_owned());
        let refused = scene.try_run(source, None, &text).await.unwrap_err();
        assert!(refused.to_string().contains(said), "{refused}");
    }
    assert_eq!(scene.count("SELECT count(*) FROM statement_lines").await, 0);
}
