//! Asking for payouts: funds and reference in one COMMIT, once, and only where the rules allow it.

use aegis::ledger::Currency;
use aegis::merchant::MerchantStatus;
use aegis::onboarding::{self, Call};
use aegis::payouts::{NewPayout, PayoutStatus, Requested, RunItem};
use aegis::postgres::psp_references;

use crate::common::merchant::{merchant, office, tester};
use crate::scene::{FUNDS, Scene, new, terms};

#[tokio::test]
async fn funds_reference_and_event_are_there_before_any_call() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    assert_eq!(payout.status, PayoutStatus::Requested);
    assert_eq!(payout.reference, payout.id.to_string());
    assert_eq!(payout.recipient, scene.recipient);
    assert_eq!(scene.available().await, FUNDS - 90_000);
    assert_eq!(scene.in_transit().await, 90_000);
    let mut conn = scene.pool().acquire().await.unwrap();
    let subject = psp_references::find(&mut conn, "paystack", &payout.reference).await;
    assert_eq!(subject.unwrap().unwrap().id, payout.id);
    assert_eq!(scene.events(payout.id).await, ["requested"]);
    assert_eq!(scene.attempts(payout.id).await, Vec::<String>::new());
    assert_eq!(scene.transfers(), 0);
    assert_eq!(scene.read(payout.id).await, payout);
}

#[tokio::test]
async fn the_same_key_is_the_same_payout_and_with_another_request_none() {
    let scene = Scene::new().await;
    let payout = scene.requested("k", 90_000).await;
    let again = NewPayout {
        correlation_id: None,
        requested_by: "somebody else".to_owned(),
        ..new("k", 90_000)
    };
    assert_eq!(
        scene.ask(&again).await.unwrap(),
        Requested::Before(payout.clone())
    );
    let others = [
        new("k", 90_001),
        NewPayout {
            label: None,
            ..new("k", 90_000)
        },
        NewPayout {
            merchant: "other".parse().unwrap(),
            ..new("k", 90_000)
        },
        NewPayout {
            currency: Currency::from_code("GHS").unwrap(),
            ..new("k", 90_000)
        },
        NewPayout {
            run: Some(RunItem {
                run_key: "evening".to_owned(),
                number: 1,
            }),
            ..new("k", 90_000)
        },
    ];
    for other in &others {
        assert_eq!(code(&scene, other).await, "idempotency_key_reused");
    }
    assert_eq!(scene.in_transit().await, 90_000);
}

async fn code(scene: &Scene, asked: &NewPayout) -> &'static str {
    match scene.ask(asked).await.unwrap() {
        Requested::Rejected { code, detail } => {
            assert!(!detail.is_empty());
            code
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_rules_no_has_its_code_and_leaves_no_trace() {
    let scene = Scene::new().await;
    let pool = scene.pool();
    let without = terms("RCP").replace(r#", "recipient": "RCP""#, "");
    merchant(pool, &scene.ledger, "bare", "NGN", &without).await;
    merchant(pool, &scene.ledger, "frozen", "NGN", &terms("RCP")).await;
    let call = Call {
        office: &office(),
        ledger: &scene.ledger,
        actor: &tester(),
        now: scene.now(),
    };
    let (frozen, status) = ("frozen".parse().unwrap(), MerchantStatus::Frozen);
    let done = onboarding::set_status(pool, call, &frozen, status, "fraud").await;
    done.unwrap();
    let to = |merchant: &str, amount| NewPayout {
        merchant: merchant.parse().unwrap(),
        ..new("k", amount)
    };
    let in_cedi = NewPayout {
        currency: Currency::from_code("GHS").unwrap(),
        ..new("k", 90_000)
    };
    for (asked, wanted) in [
        (to("acme", 0), "amount_not_positive"),
        (to("nobody", -1), "amount_not_positive"),
        (to("nobody", 90_000), "merchant_not_found"),
        (to("frozen", 90_000), "merchant_frozen"),
        (in_cedi, "currency_not_agreed"),
        (to("bare", 90_000), "recipient_missing"),
        (to("acme", 4_999), "amount_below_minimum"),
        (to("acme", FUNDS + 1), "insufficient_funds"),
        (to("acme", i64::MAX), "insufficient_funds"),
    ] {
        assert_eq!(code(&scene, &asked).await, wanted);
    }
    let rows: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM payouts) + (SELECT count(*) FROM psp_references)",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(rows, 0);
    scene.requested("k", FUNDS).await;
    assert_eq!(scene.available().await, 0);
}

#[tokio::test]
async fn a_wallet_that_may_fall_below_zero_for_refunds_is_not_paid_out_below_it() {
    let scene = Scene::new().await;
    let deep = terms(&scene.recipient).replace(
        r#""payout""#,
        r#""refund": {"fee": "kept", "below_zero_max": 50000}, "payout""#,
    );
    merchant(scene.pool(), &scene.ledger, "deep", "NGN", &deep).await;
    scene.fund("deep", 10_000).await;
    let asked = NewPayout {
        merchant: "deep".parse().unwrap(),
        ..new("k", 10_001)
    };
    assert_eq!(code(&scene, &asked).await, "insufficient_funds");
}

#[tokio::test]
async fn asked_for_at_once_by_many_funds_go_out_once() {
    let scene = Scene::new().await;
    let asked: Vec<NewPayout> = (0..8)
        .map(|n| new(&format!("k{}", n % 4), FUNDS / 2))
        .collect();
    let answers = futures_util::future::join_all(asked.iter().map(|asked| scene.ask(asked))).await;
    let mut payouts = std::collections::HashSet::new();
    let mut refused = 0;
    for answer in answers {
        match answer.unwrap() {
            Requested::Now(payout) | Requested::Before(payout) => {
                payouts.insert(payout.id);
            }
            Requested::Rejected { code, .. } => {
                assert_eq!(code, "insufficient_funds");
                refused += 1;
            }
        }
    }
    assert_eq!(payouts.len(), 2);
    assert_eq!(refused, 4);
    assert_eq!(scene.available().await, 0);
    scene.assert_transit().await;
}

#[tokio::test]
async fn the_same_key_at_once_is_the_same_payout_though_it_took_all_that_there_was() {
    let scene = Scene::new().await;
    let asked = new("k", FUNDS);
    let mut first = scene.pool().begin().await.unwrap();
    let (options, ledger, now) = (&scene.options, &scene.ledger, scene.now());
    let made = aegis::payouts::request(&mut first, options, ledger, &asked, now).await;
    let Requested::Now(payout) = made.unwrap() else {
        panic!("it is new");
    };
    let commits = async {
        scene.database.wait_until_blocked().await;
        first.commit().await.unwrap();
    };
    let (second, ()) = tokio::join!(scene.ask(&asked), commits);
    assert_eq!(second.unwrap(), Requested::Before(payout));
}
