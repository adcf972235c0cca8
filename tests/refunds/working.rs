//! The worker of a running daemon.

use std::sync::Arc;
use std::time::Duration;

use aegis::postgres::refunds::lookups;
use aegis::psp::Psp as _;
use aegis::refunds::{self, Applied, Desk, RefundStatus, Requested};
use aegis::simulator::{Armed, Call, Fault};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::scene::{AMOUNT, PATIENCE, Scene, new, webhook};

#[tokio::test]
async fn woken_by_a_request_it_sends_it_and_it_ends_when_told() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let (due, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let pool = scene.database.settings().posting_pool(4);
    let desk = Desk::new(pool.clone(), scene.options.clone(), Arc::clone(&due));
    let (options, psp) = (scene.options.clone(), scene.psp.clone());
    let (woken, stopped) = (Arc::clone(&due), stop.clone());
    let worker = tokio::spawn(async move {
        // Nobody sleeps that long: only the request can wake it.
        let poll = Duration::from_secs(86_400);
        refunds::run(pool, options, psp, &woken, poll, stopped).await;
    });
    let wanted = new(&payment, "k", None);
    let requested = desk.request(&scene.ledger, &wanted).await.unwrap();
    let Requested::Now(refund) = requested else {
        panic!("{requested:?}");
    };
    let sent = async {
        while scene.read(refund.id).await.status != RefundStatus::Sent {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, sent).await.unwrap();
    stop.cancel();
    tokio::time::timeout(PATIENCE, worker)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(scene.there(&payment).await, 1);
}

#[tokio::test]
async fn a_look_that_is_wished_for_while_one_is_under_way_is_not_lost() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let mut conn = scene.pool().acquire().await.unwrap();
    let (ledger, psp, now) = (scene.ledger.id, payment.psp.as_str(), scene.now());
    let in_a_minute = now + Duration::from_secs(60);
    let in_an_hour = now + Duration::from_secs(3_600);
    lookups::wish(&mut conn, ledger, payment.id, psp, now)
        .await
        .unwrap();
    let taken = lookups::take(&mut conn, psp, in_a_minute, now)
        .await
        .unwrap()
        .expect("one is due");
    // As when a dispute is opened meanwhile: it is to be asked about in an hour.
    lookups::wish(&mut conn, ledger, payment.id, psp, in_an_hour)
        .await
        .unwrap();
    lookups::put_back(&mut conn, &taken, None, None)
        .await
        .unwrap();
    let again = lookups::take(&mut conn, psp, in_an_hour, in_a_minute)
        .await
        .unwrap();
    let again = again.expect("it comes up again");
    lookups::put_back(&mut conn, &again, None, None)
        .await
        .unwrap();
    let none = lookups::take(&mut conn, psp, in_an_hour, in_an_hour)
        .await
        .unwrap();
    assert!(none.is_none(), "nobody wished for it since: {none:?}");
}

#[tokio::test]
async fn disputes_that_are_not_answered_do_not_hold_up_refunds() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    scene
        .own(
            "/disputes",
            &format!(
                r#"{{"reference": "{}", "amount": 50000}}"#,
                payment.reference
            ),
        )
        .await;
    let open = scene
        .psp
        .disputes_of(payment.psp_id.as_deref().unwrap())
        .await;
    let open = open.unwrap();
    assert_eq!(
        scene.hear_dispute(&payment, &open[0]).await.unwrap(),
        Applied::Done
    );
    scene.made_there(&payment, 30_000).await;
    let word = webhook(&payment, 30_000, "pending");
    scene.hear(&payment, &word).await.unwrap();
    scene.simulator.arm(Armed {
        call: Some(Call::Disputes),
        times: 1_000,
        ..Armed::next(Fault::ServerError)
    });
    scene.work().await;
    let booked = scene.refunds(&payment).await;
    assert_eq!(booked.len(), 1, "{booked:?}");
    assert_eq!(booked[0].amount, 30_000);
}
