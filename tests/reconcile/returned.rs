//! A payout that came back with its fee, at the simulator and in its export.

use std::time::Duration;

use aegis::config::Secret;
use aegis::engine::Posting;
use aegis::merchant::{MerchantId, Purse, house};
use aegis::payouts::{self, NewPayout, PayoutStatus, Requested, Timing};
use aegis::postgres::transact;
use aegis::psp::{Psp, Subject, TransferStatus};
use aegis::reconcile::Source;
use aegis::reconcile::clearing::standings;
use aegis::resilience::backoff::Schedule;
use aegis::simulator::{Armed, Fault, Simulator, SimulatorOptions};
use time::OffsetDateTime;

use crate::common::merchant::{TERMS, merchant};
use crate::common::paystack::{KEY, account_of, adapter, hook};
use crate::scene::{Scene, ngn};

/// What lies at the PSP, and is the merchant's.
const FUNDS: i64 = 1_000_000;

#[tokio::test]
async fn a_payout_that_came_back_with_its_fee_is_matched_and_leaves_nothing_unexplained() {
    let scene = Scene::new().await;
    let (url, mut arrived) = hook().await;
    let mut to = SimulatorOptions::new(Secret::new(KEY));
    to.balances = vec![(ngn(), FUNDS)];
    to.webhook_url = Some(url);
    let simulator = Simulator::start(to).await.unwrap();
    let psp = adapter(&simulator.base_url(), Duration::from_secs(30));
    let recipient = account_of("Bolt");
    let recipient = psp.create_recipient(&recipient).await.unwrap().code;
    let terms = TERMS.replace("RCP_test", &recipient);
    merchant(scene.pool(), &scene.ledger, "bolt", "NGN", &terms).await;
    let bolt: MerchantId = "bolt".parse().unwrap();
    let funds = Posting::new("test:funds")
        .leg(house::psp("paystack"), ngn(), -FUNDS)
        .leg(bolt.wallet(Purse::Available), ngn(), FUNDS);
    scene.post_as(funds, "", OffsetDateTime::now_utc()).await;

    let options = payouts::Options {
        topic_transactions: "aegis.transactions".to_owned(),
        topic_settlements: "aegis.settlements".to_owned(),
        psp_name: "paystack".to_owned(),
        schedule: Schedule::STANDARD,
        timing: Timing::default(),
        host: "here".to_owned(),
    };
    let new = NewPayout {
        merchant: bolt,
        currency: ngn(),
        amount: 90_000,
        label: None,
        key: "k".parse().unwrap(),
        run: None,
        correlation_id: None,
        traceparent: None,
        requested_by: "tester".to_owned(),
    };
    let (ledger, now) = (&scene.ledger, OffsetDateTime::now_utc());
    let asked = transact(scene.pool(), async |conn| {
        payouts::request(conn, &options, ledger, &new, now).await
    });
    let Requested::Now(payout) = asked.await.unwrap() else {
        panic!("it is not new");
    };
    simulator.arm(Armed::next(Fault::Reversed));
    payouts::advance(scene.pool(), &options, &psp, ledger, payout.id, now)
        .await
        .unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let patience = tokio::time::timeout(Duration::from_secs(60), arrived.recv());
        let (body, signature) = patience.await.unwrap().unwrap();
        let event = psp.webhook(&body, Some(&signature)).unwrap();
        let Subject::Transfer(transfer) = event.subject else {
            panic!("no transfer");
        };
        told.push(transfer);
    }
    // They come in any order: that it was paid is heard first.
    told.sort_by_key(|transfer| transfer.status != TransferStatus::Success);
    let mut stood = Vec::new();
    for transfer in &told {
        transact(scene.pool(), async |conn| {
            payouts::apply_transfer(conn, &options, ledger, payout.id, transfer, now).await
        })
        .await
        .unwrap();
        let mut conn = scene.pool().acquire().await.unwrap();
        let found = aegis::postgres::payouts::find(&mut conn, ledger.id, payout.id).await;
        let found = found.unwrap().unwrap();
        stood.push((found.status, found.psp_fee.unwrap_or_default() > 0));
    }
    assert_eq!(stood[0], (PayoutStatus::Succeeded, true));
    assert_ne!(stood[1].0, PayoutStatus::Succeeded);

    let export = format!("{}/simulator/settlement.csv", simulator.base_url());
    let export = reqwest::get(export).await.unwrap().text().await.unwrap();
    let (source, until) = (
        Source::Psp("paystack".to_owned()),
        OffsetDateTime::now_utc(),
    );
    let report = scene
        .try_run_until(source, None, &export, Some(until))
        .await;
    let report = report.unwrap();
    assert!(scene.open().await.is_empty(), "{:?}", scene.open().await);
    assert_eq!((report.run.lines, report.run.matched), (3, 3), "{export}");
    let mut conn = scene.pool().acquire().await.unwrap();
    for standing in standings(&mut conn, ledger.id).await.unwrap() {
        assert!(standing.is_explained(), "{standing:?}");
    }
    assert_eq!(scene.balance("psp:paystack").await, -FUNDS);
}
