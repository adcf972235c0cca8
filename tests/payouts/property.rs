//! Whatever the order of answers, webhooks, crashes and retries: the PSP pays once, or the funds are
//! back, or the state says unknown; and money in transit is that of the open payouts at every step.

use aegis::payouts::{self, Payout, PayoutStatus, Verdict};
use aegis::postgres::transact;
use aegis::psp::{Transfer, TransferStatus};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use crate::common::cases::cases;
use crate::common::merchant::tester;
use crate::model::{Fate, ModelPsp};
use crate::scene::Scene;

const AMOUNT: i64 = 10_000;

#[derive(Clone, Copy, Debug)]
enum Act {
    /// The step that is due, and what becomes of its call.
    Step(Fate),
    /// The same, when its time has come.
    Wait(Fate),
    Pass(i64),
    /// The bank does something.
    Bank(u8),
    /// The webhook of what the PSP has said so far, the latest or an older one.
    Webhook(usize),
    Requery(Fate),
    Word(Verdict),
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => Just(Fate::Answered),
        2 => Just(Fate::Unanswered),
        1 => Just(Fate::Lost),
        3 => (1..50_i64).prop_map(Fate::Delayed),
        3 => Just(Fate::Refused),
        1 => Just(Fate::NotSent),
        2 => Just(Fate::CrashBefore),
        2 => Just(Fate::CrashBehind),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => fate().prop_map(Act::Step),
        10 => fate().prop_map(Act::Wait),
        2 => (0..100_i64).prop_map(Act::Pass),
        3 => (0..3_u8).prop_map(Act::Bank),
        2 => (0..4_usize).prop_map(Act::Webhook),
        1 => fate().prop_map(Act::Requery),
    ]
}

/// A payout on its way, and all that the PSP has ever had to say about it.
struct Walk<'a> {
    scene: &'a Scene,
    psp: ModelPsp,
    id: Uuid,
    said: Vec<Transfer>,
    spoken: bool,
    available: i64,
}

impl<'a> Walk<'a> {
    async fn begin(scene: &'a Scene) -> Self {
        let available = scene.available().await;
        let key = Uuid::now_v7().to_string();
        let payout = scene.requested(&key, AMOUNT).await;
        Self {
            scene,
            psp: ModelPsp::new(scene.now()),
            id: payout.id,
            said: Vec::new(),
            spoken: false,
            available,
        }
    }

    async fn act(&mut self, act: Act) {
        let scene = self.scene;
        match act {
            Act::Step(fate) => self.step(fate).await,
            Act::Wait(fate) => {
                let payout = scene.read(self.id).await;
                if payout.next_attempt_at.is_some() {
                    scene.wait_for(&payout);
                    self.psp.at(scene.now());
                    self.step(fate).await;
                }
            }
            Act::Pass(seconds) => scene.pass(seconds),
            Act::Bank(what) => self.psp.decide(match what {
                0 => TransferStatus::Success,
                1 => TransferStatus::Failed,
                _ => TransferStatus::Reversed,
            }),
            Act::Webhook(back) => self.webhook(back).await,
            Act::Requery(fate) => {
                self.psp.next(fate);
                let (options, ledger, now) = (&scene.options, &scene.ledger, scene.now());
                let asking =
                    payouts::requery(scene.pool(), options, &self.psp, ledger, self.id, now);
                tokio::select! {
                    asked = asking => drop(asked.unwrap()),
                    () = self.psp.crash.notified() => {}
                }
            }
            Act::Word(verdict) => {
                let (options, now) = (&scene.options, scene.now());
                let (pool, ledger, id) = (scene.pool(), &scene.ledger, self.id);
                let who = tester();
                let said = payouts::resolve(pool, options, ledger, id, verdict, "why", &who, now);
                self.spoken |= matches!(said.await.unwrap(), payouts::Resolved::Now(_));
            }
        }
        self.psp.at(scene.now());
        if let Some(now) = self.psp.transfer_now()
            && self.said.last() != Some(&now)
        {
            self.said.push(now);
        }
        self.check().await;
    }

    async fn step(&self, fate: Fate) {
        let scene = self.scene;
        self.psp.next(fate);
        let (options, ledger, now) = (&scene.options, &scene.ledger, scene.now());
        let step = payouts::advance(scene.pool(), options, &self.psp, ledger, self.id, now);
        tokio::select! {
            stepped = step => drop(stepped.unwrap()),
            () = self.psp.crash.notified() => {}
        }
    }

    async fn webhook(&self, back: usize) {
        let scene = self.scene;
        let Some(transfer) = self.said.iter().rev().nth(back) else {
            return;
        };
        // No webhook tells of one that is only under way.
        if transfer.status == TransferStatus::Pending {
            return;
        }
        let (options, ledger, now, id) = (&scene.options, &scene.ledger, scene.now(), self.id);
        transact(scene.pool(), async |conn| {
            payouts::apply_transfer(conn, options, ledger, id, transfer, now).await
        })
        .await
        .unwrap();
    }

    async fn check(&self) {
        let scene = self.scene;
        scene.assert_transit().await;
        assert_eq!(self.psp.sent_blindly(), 0, "sent though it might be there");
        let payout = scene.read(self.id).await;
        let taken = self.available - scene.available().await;
        let has_gone = match payout.status {
            PayoutStatus::Failed | PayoutStatus::Returned => 0,
            _ => AMOUNT,
        };
        assert_eq!(taken, has_gone, "{payout:?}");
        if !self.spoken {
            self.check_against_the_psp(&payout);
        }
    }

    /// Nobody but the PSP has said anything: what is final here is true there.
    fn check_against_the_psp(&self, payout: &Payout) {
        let there = self.psp.transfer_now().map(|transfer| transfer.status);
        let was_paid = || {
            self.said
                .iter()
                .any(|s| s.status == TransferStatus::Success)
        };
        match payout.status {
            PayoutStatus::Succeeded | PayoutStatus::Returned => assert!(was_paid(), "{there:?}"),
            PayoutStatus::Failed => {
                assert!(!self.psp.is_on_its_way());
                assert!(
                    !matches!(
                        there,
                        Some(TransferStatus::Success | TransferStatus::Pending)
                    ),
                    "the funds are back, and the PSP has {there:?}"
                );
            }
            _ => {}
        }
    }

    /// All goes well from now on: it ends as the PSP says, or waits for a person.
    async fn end(&mut self) {
        for _ in 0..12 {
            self.act(Act::Wait(Fate::Answered)).await;
            self.psp.decide(TransferStatus::Success);
            self.act(Act::Pass(0)).await;
        }
        let payout = self.scene.read(self.id).await;
        let is_old = payout.doubt.is_some_and(|doubt| {
            self.scene.now() - doubt.since >= self.scene.options.timing.trusted
        });
        let is_left_to_a_person = payout.status == PayoutStatus::Unknown && is_old;
        assert!(
            !payout.status.is_open() || is_left_to_a_person,
            "it never ends: {payout:?}"
        );
    }
}

/// Runs walks of these acts, each a payout of its own.
fn walks(short: u32, acts: impl Strategy<Value = Vec<Act>>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scene = runtime.block_on(async {
        let scene = Scene::new().await;
        scene.fund_more(100_000_000).await;
        scene
    });
    let config = Config {
        cases: cases(short),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let ran = TestRunner::new(config).run(&acts, |acts| {
        runtime.block_on(async {
            let mut walk = Walk::begin(&scene).await;
            for act in acts {
                walk.act(act).await;
            }
            walk.end().await;
            // The next walk has the money in transit for itself.
            walk.act(Act::Pass(100_000)).await;
            walk.act(Act::Word(Verdict::Failed)).await;
        });
        Ok(())
    });
    runtime.block_on(async move { drop(scene) });
    ran.unwrap();
}

#[test]
fn whatever_happens_the_psp_pays_once_or_the_funds_are_back_or_it_is_unknown() {
    walks(150, prop::collection::vec(act(), 1..20));
}

#[test]
fn a_persons_word_at_any_time_posts_nothing_twice() {
    let word = prop_oneof![
        Just(Act::Word(Verdict::Succeeded)),
        Just(Act::Word(Verdict::Failed)),
    ];
    let acts = prop::collection::vec(prop_oneof![5 => act(), 1 => word], 1..20);
    walks(40, acts);
}
