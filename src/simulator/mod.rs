//! A payment service provider to test with.
//!
//! It speaks Paystack's HTTP and keeps books of its own: [`Books`] is pure, `http` serves it, and
//! [`LocalPsp`] is the same without a network, for tests of many steps. What goes wrong at real
//! providers goes wrong here on request ([`Fault`]): by rate and seed, or for one call.

mod books;
mod courier;
mod fault;
mod http;
mod json;
mod local;
mod provider;
mod settlement;

pub use books::{
    Account, Books, DisputeRecord, Entry, EntryKind, Fees, Happened, No, PaymentRecord,
    RecipientRecord, RefundRecord, Resolution, TransferRecord,
};
pub use courier::{PAYSTACK_RETRIES, Webhooks};
pub use fault::{Armed, Call, Fault, Faults, Rate};
pub use http::{Simulator, SimulatorError, SimulatorOptions, Summary};
pub use local::{LocalPsp, SignedWebhook};
