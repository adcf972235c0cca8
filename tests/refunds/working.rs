//! The worker of a running daemon.

use std::sync::Arc;
use std::time::Duration;

use aegis::refunds::{self, Desk, RefundStatus, Requested};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::scene::{AMOUNT, PATIENCE, Scene, new};

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
