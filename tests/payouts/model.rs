//! A PSP that does whatever the test says, and nothing of its own accord.

use std::sync::Mutex;

use aegis::psp::{
    Checkout, Dispute, Lookup, NewPayment, NewRecipient, NewRefund, NewTransfer, Payment, Psp,
    PspError, Recipient, Refund, Transfer, TransferStatus, WebhookError, WebhookEvent,
};
use time::OffsetDateTime;
use tokio::sync::Notify;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and is answered.
    Answered,
    /// It arrives, and nothing comes back.
    Unanswered,
    /// It never arrives, and nothing comes back.
    Lost,
    /// Nothing comes back, and it arrives so many seconds later.
    Delayed(i64),
    /// It arrives, and is refused.
    Refused,
    /// It does not arrive, and that is known.
    NotSent,
    /// It stands still on its way until it is let go, and is then refused.
    Held,
    /// The caller dies before it.
    CrashBefore,
    /// It arrives, and the caller dies.
    CrashBehind,
}

#[derive(Debug)]
struct World {
    fate: Fate,
    now: OffsetDateTime,
    transfer: Option<Transfer>,
    /// A request that is on its way, and when it arrives.
    on_its_way: Vec<(OffsetDateTime, NewTransfer)>,
    /// Whether a call may have sent it since the PSP last said that it doesn't know it.
    may_be_there: bool,
    /// How often it was sent although it might have been there.
    sent_blindly: u32,
}

/// One payout's PSP.
#[derive(Debug)]
pub struct ModelPsp {
    world: Mutex<World>,
    /// The caller is to die now.
    pub crash: Notify,
    /// A call stands still.
    pub held: Notify,
    /// It may go on.
    pub release: Notify,
}

impl ModelPsp {
    pub fn new(now: OffsetDateTime) -> Self {
        Self {
            world: Mutex::new(World {
                fate: Fate::Answered,
                now,
                transfer: None,
                on_its_way: Vec::new(),
                may_be_there: false,
                sent_blindly: 0,
            }),
            crash: Notify::new(),
            held: Notify::new(),
            release: Notify::new(),
        }
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub fn next(&self, fate: Fate) {
        self.world().fate = fate;
    }

    /// Time goes on, and what was on its way arrives.
    pub fn at(&self, now: OffsetDateTime) {
        let mut world = self.world();
        world.now = now;
        let (due, rest) = std::mem::take(&mut world.on_its_way)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        world.on_its_way = rest;
        for (_, new) in due {
            drop(arrive(&mut world, &new));
        }
    }

    /// The bank decides on a transfer that is under way, or takes back one that had succeeded.
    pub fn decide(&self, status: TransferStatus) {
        let mut world = self.world();
        if let Some(transfer) = &mut world.transfer {
            let is_open = transfer.status == TransferStatus::Pending;
            let comes_back =
                status == TransferStatus::Reversed && transfer.status == TransferStatus::Success;
            if is_open || comes_back {
                transfer.status = status;
            }
        }
    }

    pub fn transfer_now(&self) -> Option<Transfer> {
        self.world().transfer.clone()
    }

    pub fn is_on_its_way(&self) -> bool {
        !self.world().on_its_way.is_empty()
    }

    pub fn sent_blindly(&self) -> u32 {
        self.world().sent_blindly
    }

    async fn die<T>(&self) -> T {
        self.crash.notify_one();
        std::future::pending().await
    }
}

/// A PSP pays a reference once.
fn arrive(world: &mut World, new: &NewTransfer) -> Result<Transfer, PspError> {
    if world.transfer.is_some() {
        let reference = new.reference.clone();
        return Err(PspError::ReferenceTaken { reference });
    }
    let transfer = Transfer {
        reference: new.reference.clone(),
        code: "TRF_1".to_owned(),
        status: TransferStatus::Pending,
        amount: new.amount,
        currency: new.currency,
        fee: None,
        detail: None,
    };
    world.transfer = Some(transfer.clone());
    Ok(transfer)
}

fn silence() -> PspError {
    PspError::Unknown {
        reason: "nothing came back".to_owned(),
    }
}

impl Psp for ModelPsp {
    fn name(&self) -> &'static str {
        "paystack"
    }

    async fn transfer(&self, new: &NewTransfer) -> Result<Transfer, PspError> {
        let fate = self.world().fate;
        let answer = {
            let mut world = self.world();
            world.sent_blindly += u32::from(world.may_be_there);
            let happened_for_sure_not = matches!(fate, Fate::Refused | Fate::NotSent | Fate::Held);
            world.may_be_there |= !happened_for_sure_not;
            match fate {
                Fate::Answered | Fate::Unanswered | Fate::CrashBehind => arrive(&mut world, new),
                Fate::Delayed(seconds) => {
                    let at = world.now + time::Duration::seconds(seconds);
                    world.on_its_way.push((at, new.clone()));
                    Err(silence())
                }
                Fate::Lost | Fate::CrashBefore => Err(silence()),
                Fate::Refused | Fate::Held => Err(PspError::Refused {
                    code: "insufficient_balance".to_owned(),
                    message: "no".to_owned(),
                }),
                Fate::NotSent => Err(PspError::RateLimited { retry_after: None }),
            }
        };
        match fate {
            Fate::CrashBefore | Fate::CrashBehind => self.die().await,
            Fate::Held => {
                self.held.notify_one();
                self.release.notified().await;
                answer
            }
            Fate::Unanswered => Err(silence()),
            _ => answer,
        }
    }

    async fn verify_transfer(&self, _: &str) -> Result<Lookup<Transfer>, PspError> {
        let fate = self.world().fate;
        match fate {
            Fate::Answered | Fate::Refused => {
                let mut world = self.world();
                world.may_be_there = world.transfer.is_some();
                Ok(match &world.transfer {
                    Some(transfer) => Lookup::Known(transfer.clone()),
                    None => Lookup::NotKnown,
                })
            }
            Fate::CrashBefore | Fate::CrashBehind => self.die().await,
            _ => Err(silence()),
        }
    }

    async fn initialize(&self, _: &NewPayment) -> Result<Checkout, PspError> {
        Err(silence())
    }

    async fn verify(&self, _: &str) -> Result<Lookup<Payment>, PspError> {
        Err(silence())
    }

    async fn create_recipient(&self, _: &NewRecipient) -> Result<Recipient, PspError> {
        Err(silence())
    }

    async fn refund(&self, _: &NewRefund) -> Result<Refund, PspError> {
        Err(silence())
    }

    async fn refunds_of(&self, _: &str) -> Result<Vec<Refund>, PspError> {
        Err(silence())
    }

    async fn disputes_of(&self, _: &str) -> Result<Vec<Dispute>, PspError> {
        Err(silence())
    }

    fn signature_header(&self) -> &'static str {
        "x-signature"
    }

    fn read_webhook(&self, _: &[u8]) -> Result<WebhookEvent, WebhookError> {
        Err(WebhookError::Unsigned)
    }

    fn webhook(&self, _: &[u8], _: Option<&str>) -> Result<WebhookEvent, WebhookError> {
        Err(WebhookError::Unsigned)
    }
}
