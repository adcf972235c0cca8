//! Whatever the order of calls, answers, webhooks, repeats and failures: one credit, to the cent.

use std::time::Duration;

use aegis::payments::open_again;
use aegis::postgres::payments::{Payment, PaymentStatus};
use aegis::simulator::{Call, Fault};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common::cases::cases;
use crate::scene::Scene;

#[derive(Clone, Debug)]
enum Act {
    /// The PSP is called to open it, perhaps with a fault.
    Open(Option<Fault>),
    /// The customer pays.
    Pay,
    /// A webhook that was sent before arrives, maybe again.
    Arrive(usize),
    /// What has arrived is handled.
    Work,
    /// What is due is done, perhaps with a fault.
    Sweep(Option<Fault>),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let fault = || {
        prop_oneof![
            3 => Just(None),
            1 => Just(Some(Fault::Lost)),
            1 => Just(Some(Fault::Timeout)),
            1 => Just(Some(Fault::RateLimit)),
        ]
    };
    prop_oneof![
        2 => fault().prop_map(Act::Open),
        2 => Just(Act::Pay),
        4 => (0..3_usize).prop_map(Act::Arrive),
        2 => Just(Act::Work),
        2 => fault().prop_map(Act::Sweep),
        2 => prop_oneof![Just(1), Just(30), Just(700), Just(90_000)].prop_map(Act::Pass),
    ]
}

#[test]
fn any_order_of_webhooks_and_answers_gives_one_credit() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scene = runtime.block_on(Scene::new());
    let acts = (1..2_000_000_000_i64, prop::collection::vec(act(), 1..16));
    let mut runner = TestRunner::new(Config {
        cases: cases(48),
        failure_persistence: None,
        ..Config::default()
    });
    let mut number = 0;
    let cell = std::cell::RefCell::new(&mut number);
    let done = runner.run(&acts, |(amount, acts)| {
        let key = {
            let mut number = cell.borrow_mut();
            **number += 1;
            format!("case-{}", **number)
        };
        runtime.block_on(run(&scene, &key, amount, &acts));
        Ok(())
    });
    done.unwrap();
    runtime.block_on(async {
        assert_eq!(scene.discrepancies().await, []);
        drop(scene);
    });
}

async fn run(scene: &Scene, key: &str, amount: i64, acts: &[Act]) {
    let payment = scene.created(key, amount).await;
    let mut sent: Vec<Vec<u8>> = Vec::new();
    for act in acts {
        match act {
            Act::Open(fault) => {
                arm(scene, *fault);
                let (pool, options) = (&scene.pool, &scene.options);
                let (psp, ledger, now) = (&scene.psp, &scene.ledger, scene.now());
                let standing = scene.read(&payment).await;
                open_again(pool, options, psp, ledger, standing, now)
                    .await
                    .unwrap();
                disarm(scene);
            }
            Act::Pay => pay(scene, key, &mut sent),
            Act::Arrive(n) => {
                if let Some(body) = sent.get(*n) {
                    scene.arrives(body).await;
                }
            }
            Act::Work => drop(scene.work().await),
            Act::Sweep(fault) => {
                arm(scene, *fault);
                scene.sweep().await;
                disarm(scene);
            }
            Act::Pass(seconds) => scene.pass(Duration::from_secs(*seconds)),
        }
        check(scene, &payment).await;
    }
    // In the end the customer pays, where that is possible, and all webhooks come.
    let standing = scene.read(&payment).await;
    if standing.status == PaymentStatus::Created {
        scene.open(&standing, false).await;
    }
    pay(scene, key, &mut sent);
    for body in &sent {
        scene.arrives(body).await;
        scene.arrives(body).await;
    }
    scene.pass(Duration::from_secs(3_600));
    while scene.work().await > 0 {}
    let paid = scene.psp.with_books(|books| {
        books
            .payment(key)
            .is_ok_and(|payment| payment.paid_at.is_some())
    });
    let credited = check(scene, &payment).await;
    assert_eq!(credited, paid, "{:?}", scene.read(&payment).await);
}

fn arm(scene: &Scene, fault: Option<Fault>) {
    if let Some(fault) = fault {
        scene.arm(fault, Call::Initialize);
        scene.arm(fault, Call::Verify);
    }
}

/// Faults that nobody met wait for no other payment.
fn disarm(scene: &Scene) {
    scene.psp.disarm();
}

fn pay(scene: &Scene, key: &str, sent: &mut Vec<Vec<u8>>) {
    // The PSP may not know it, or have been paid already.
    if scene.psp.pay(key).is_ok() {
        sent.extend(
            scene
                .psp
                .take_webhooks()
                .into_iter()
                .map(|webhook| webhook.body),
        );
    }
}

/// Whether it is credited: then once, and the parts are the whole.
async fn check(scene: &Scene, payment: &Payment) -> bool {
    let moved: Vec<(String, i64)> = sqlx::query_as(
        "SELECT w.address::text, e.amount FROM transactions t
         JOIN ledger_entries e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id
         JOIN wallets w ON w.ledger_id = e.ledger_id AND w.id = e.wallet_id
         WHERE t.idempotency_key LIKE $1 AND t.idempotency_key NOT LIKE '%:psp_fee'
         ORDER BY e.amount",
    )
    .bind(format!("aegis:payment:{}:%", payment.id))
    .fetch_all(&scene.pool)
    .await
    .unwrap();
    let sum = |address: &str| -> i64 {
        let at = moved.iter().filter(|(found, _)| found == address);
        at.map(|(_, amount)| amount).sum()
    };
    let standing = scene.read(payment).await;
    let is_paid = standing.status == PaymentStatus::Succeeded;
    let expected = match is_paid {
        true => (payment.net, payment.fee, -payment.amount, payment.net),
        false => (0, 0, 0, 0),
    };
    let found = (
        sum("merchant:acme:pending"),
        sum("platform:fees"),
        sum("psp:paystack"),
        standing.unsettled,
    );
    assert_eq!(found, expected, "{standing:?}");
    assert_eq!(payment.fee + payment.net, payment.amount);
    is_paid
}
