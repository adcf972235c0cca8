//! Asking for a refund: what the rules say, and one row for one key.

use aegis::merchant::Purse;
use aegis::postgres::transact;
use aegis::refunds::{Requested, request};

use crate::scene::{AMOUNT, FEE, Scene, new, terms};

const NET: i64 = AMOUNT - FEE;

#[tokio::test]
async fn the_same_key_is_the_same_refund_and_another_request_is_refused() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let refund = scene.requested(&payment, "k", 10_000).await;
    let again = scene.ask(&new(&payment, "k", Some(10_000))).await;
    assert_eq!(again, Requested::Before(refund));
    for other in [Some(10_001), None] {
        let code = scene.refused(&new(&payment, "k", other)).await;
        assert_eq!(code, "idempotency_key_reused");
    }
    assert_eq!(scene.in_transit().await, 10_000);
    assert_eq!(scene.refunds(&payment).await.len(), 1);
}

#[tokio::test]
async fn the_same_key_at_once_is_one_refund() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let wanted = new(&payment, "k", Some(10_000));
    let all = futures_util::future::join_all((0..8).map(|_| scene.ask(&wanted))).await;
    let made_now = all.iter().filter(|r| matches!(r, Requested::Now(_)));
    assert_eq!(made_now.count(), 1);
    assert_eq!(scene.in_transit().await, 10_000);
    scene.assert_sound().await;
}

#[tokio::test]
async fn each_rule_has_its_code() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    for amount in [0, -1] {
        let code = scene.refused(&new(&payment, "k", Some(amount))).await;
        assert_eq!(code, "amount_not_positive");
    }
    let mut unknown = new(&payment, "k", None);
    unknown.payment_id = uuid::Uuid::now_v7();
    assert_eq!(scene.refused(&unknown).await, "payment_not_found");
    let unpaid = scene.unpaid("u", AMOUNT).await;
    let code = scene.refused(&new(&unpaid, "k", None)).await;
    assert_eq!(code, "payment_not_paid");
    let code = scene.refused(&new(&payment, "k", Some(AMOUNT + 1))).await;
    assert_eq!(code, "refund_exceeds_payment");
    assert_eq!(scene.balances().await, [NET, 0, 0, FEE], "nothing moved");
    // No key is burnt by a no.
    scene.requested(&payment, "k", AMOUNT).await;
}

#[tokio::test]
async fn no_more_than_the_payment_goes_back_however_many_ask_at_once() {
    let scene = Scene::under(&terms("kept", 10 * AMOUNT, "kept", 0)).await;
    let payment = scene.paid("p", AMOUNT).await;
    let keys: Vec<String> = (0..8).map(|n| format!("k{n}")).collect();
    let wanted: Vec<_> = keys
        .iter()
        .map(|k| new(&payment, k, Some(30_000)))
        .collect();
    let all = futures_util::future::join_all(wanted.iter().map(|w| scene.ask(w))).await;
    let made = all.iter().filter(|r| matches!(r, Requested::Now(_)));
    assert_eq!(made.count(), 3);
    assert_eq!(scene.payment(payment.id).await.refunded, 90_000);
    let rest = scene.ask(&new(&payment, "rest", None)).await;
    assert!(matches!(rest, Requested::Now(refund) if refund.amount == 10_000));
    let code = scene.refused(&new(&payment, "more", None)).await;
    assert_eq!(code, "refund_exceeds_payment");
    scene.assert_sound().await;
}

#[tokio::test]
async fn a_kept_fee_is_borne_by_the_merchant_as_far_as_its_terms_let_it_fall() {
    for (below, allowed) in [(FEE, true), (FEE - 1, false)] {
        let scene = Scene::under(&terms("kept", below, "kept", 0)).await;
        let payment = scene.paid("p", AMOUNT).await;
        match allowed {
            true => {
                scene.requested(&payment, "k", AMOUNT).await;
                assert_eq!(scene.balances().await, [-FEE, 0, 0, FEE]);
            }
            false => {
                let code = scene.refused(&new(&payment, "k", None)).await;
                assert_eq!(code, "insufficient_funds");
                assert_eq!(scene.balances().await, [NET, 0, 0, FEE]);
            }
        }
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn a_refund_leaves_in_pending_what_other_periods_are_settled_with() {
    for below in [0, FEE / 2, 2 * FEE] {
        let scene = Scene::under(&terms("kept", below, "kept", 0)).await;
        let other = scene.paid("other", AMOUNT).await;
        for name in ["one", "two"] {
            let payment = scene.paid(name, AMOUNT).await;
            scene.requested(&payment, name, AMOUNT).await;
        }
        // The two fees: the terms let payments go below zero so far, and the rest is owed.
        let below = below.min(2 * FEE);
        let owed = 2 * FEE - below;
        assert_eq!(scene.balances().await, [NET - below, 0, -owed, 3 * FEE]);
        assert_eq!(scene.payment(other.id).await.unsettled, NET);
        scene.assert_sound().await;
    }
}

#[tokio::test]
async fn what_is_lent_is_covered_together_with_all_that_is_owed_already() {
    let scene = Scene::under(&terms("kept", 0, "kept", 0)).await;
    scene.paid("other", 3 * FEE).await;
    let other = scene.of_acme(Purse::Pending).await;
    let mut lent = 0;
    loop {
        let payment = scene.paid(&format!("p{lent}"), AMOUNT).await;
        match scene.ask(&new(&payment, &format!("k{lent}"), None)).await {
            Requested::Now(_) => lent += 1,
            Requested::Rejected { code, .. } => {
                assert_eq!(code, "insufficient_funds");
                break;
            }
            Requested::Before(_) => panic!("the key is new"),
        }
    }
    assert_eq!(
        lent,
        other / FEE,
        "as often as the other payment's part covers a fee"
    );
    scene.assert_sound().await;
}

#[tokio::test]
async fn chargebacks_terms_let_no_refund_fall() {
    let scene = Scene::under(&terms("kept", 0, "kept", 1_000_000)).await;
    let payment = scene.paid("p", AMOUNT).await;
    let code = scene.refused(&new(&payment, "k", None)).await;
    assert_eq!(code, "insufficient_funds");
    scene.requested(&payment, "less", NET).await;
    assert_eq!(scene.of_acme(Purse::Pending).await, 0);
}

#[tokio::test]
async fn what_was_paid_out_is_not_there_to_be_given_back() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    scene.settle().await;
    let (ledger, wallet) = (&scene.ledger, crate::scene::acme().wallet(Purse::Available));
    transact(scene.pool(), async |conn| {
        let posting = aegis::engine::Posting::new("test:payout")
            .leg(wallet.clone(), crate::scene::ngn(), -NET)
            .leg(
                aegis::merchant::house::psp("paystack"),
                crate::scene::ngn(),
                NET,
            );
        let posted = aegis::engine::post_own(conn, ledger, vec![posting], "t").await;
        posted.unwrap().unwrap();
        Ok::<_, sqlx::Error>(())
    })
    .await
    .unwrap();
    let code = scene.refused(&new(&payment, "k", Some(1_000))).await;
    assert_eq!(code, "insufficient_funds");
}

#[tokio::test]
async fn rolled_back_by_the_caller_nothing_is_left_of_it() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let mut transaction = scene.pool().begin().await.unwrap();
    let wanted = new(&payment, "k", None);
    let (options, now) = (&scene.options, scene.now());
    let requested = request(&mut transaction, options, &scene.ledger, &wanted, now).await;
    assert!(matches!(requested.unwrap(), Requested::Now(_)));
    transaction.rollback().await.unwrap();
    assert_eq!(scene.in_transit().await, 0);
    assert!(scene.refunds(&payment).await.is_empty());
    scene.assert_sound().await;
}

#[tokio::test]
async fn the_same_key_at_once_is_the_same_refund_though_it_left_nothing_to_refund() {
    let scene = Scene::new().await;
    let payment = scene.paid("p", AMOUNT).await;
    let wanted = new(&payment, "k", None);
    let mut first = scene.pool().begin().await.unwrap();
    let made = request(
        &mut first,
        &scene.options,
        &scene.ledger,
        &wanted,
        scene.now(),
    )
    .await;
    let Requested::Now(refund) = made.unwrap() else {
        panic!("it is new");
    };
    let commits = async {
        scene.database.wait_until_blocked().await;
        first.commit().await.unwrap();
    };
    let (second, ()) = tokio::join!(scene.ask(&wanted), commits);
    assert_eq!(second, Requested::Before(refund));
}
