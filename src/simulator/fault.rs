//! What goes wrong, and when.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// An enum with words and a sentence for each.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $name:ident as $what:literal { $( $variant:ident = $word:literal $help:literal, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( #[doc = $help] $variant, )+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As people write it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }

            /// What it is.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $( Self::$variant => $help, )+ }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                let known = Self::ALL.iter().find(|known| known.as_str() == word);
                known.copied().ok_or_else(|| {
                    let all: Vec<&str> = Self::ALL.iter().map(|known| known.as_str()).collect();
                    format!("{word:?} is no {}: it is one of {}", $what, all.join(", "))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'_, str>>::deserialize(from)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

words! {
    /// Something that goes wrong.
    Fault as "fault" {
        Timeout = "timeout" "The call takes effect and is never answered.",
        Lost = "lost" "The call does not arrive: the connection is cut, and nothing happens.",
        ServerError = "server-error" "The call takes effect and is answered with 500.",
        Cut = "cut" "The call takes effect, and the connection is cut within the answer.",
        Garbage = "garbage" "The call takes effect and is answered with a page of HTML.",
        RateLimit = "rate-limit" "The call does nothing and is answered with 429 and Retry-After.",
        Slow = "slow" "The call takes effect and is answered late.",
        LowBalance = "low-balance" "A transfer or refund is refused: the balance is too low.",
        WrongAmount = "wrong-amount" "The customer pays another amount than was asked for.",
        Failed = "failed" "The customer's attempt, the transfer or the refund fails.",
        Reversed = "reversed" "The transfer succeeds, and comes back afterwards.",
        Early = "early" "The webhook is delivered before the call is answered.",
        Duplicate = "duplicate" "The webhook is sent twice.",
        Reorder = "reorder" "The webhook is sent after the next one.",
        Late = "late" "The webhook is sent late.",
        Forged = "forged" "Another one, signed with another key, is sent before the webhook.",
        Missing = "missing" "The webhook is never sent.",
    }
}

words! {
    /// When something can go wrong.
    Call as "call" {
        Initialize = "initialize" "POST /transaction/initialize",
        Verify = "verify" "GET /transaction/verify/{reference}",
        Recipient = "recipient" "POST /transferrecipient",
        Transfer = "transfer" "POST /transfer",
        VerifyTransfer = "verify-transfer" "GET /transfer/verify/{reference}",
        Refund = "refund" "POST /refund",
        Refunds = "refunds" "GET /refund",
        Disputes = "disputes" "GET /dispute",
        Pay = "pay" "The customer pays.",
        Settle = "settle" "A transfer or refund ends.",
        Webhook = "webhook" "A webhook is sent.",
    }
}

impl Fault {
    /// Whether it can happen then.
    #[must_use]
    pub const fn concerns(self, call: Call) -> bool {
        match self {
            _ if self.is_of_the_answer() => {
                !matches!(call, Call::Pay | Call::Settle | Call::Webhook)
            }
            Self::LowBalance => matches!(call, Call::Transfer | Call::Refund),
            Self::WrongAmount => matches!(call, Call::Pay),
            Self::Failed => matches!(call, Call::Pay | Call::Settle),
            Self::Reversed => matches!(call, Call::Settle),
            Self::Early => matches!(call, Call::Initialize | Call::Transfer),
            _ => matches!(call, Call::Webhook),
        }
    }

    /// Whether it is about how a call is answered. One answer has one of them at most.
    #[must_use]
    pub const fn is_of_the_answer(self) -> bool {
        matches!(
            self,
            Self::Timeout
                | Self::Lost
                | Self::ServerError
                | Self::Cut
                | Self::Garbage
                | Self::RateLimit
                | Self::Slow
        )
    }
}

/// How often a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What.
    pub fault: Fault,
    /// Of a million.
    pub per_million: u32,
}

impl FromStr for Rate {
    type Err = String;

    /// `timeout=0.05` or `timeout=5%`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (fault, rate) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is not KIND=RATE, such as timeout=0.05"))?;
        let fault = fault.parse()?;
        let (number, whole) = match rate.strip_suffix('%') {
            Some(percent) => (percent, 10_000.0),
            None => (rate, 1_000_000.0),
        };
        let per_million = number.parse().map_or(-1.0, |n: f64| (n * whole).round());
        match (0.0..=1_000_000.0).contains(&per_million) {
            true => Ok(Self {
                fault,
                per_million: per_million as u32,
            }),
            false => Err(format!(
                "{rate:?} is no rate: it is from 0 to 1, or from 0% to 100%"
            )),
        }
    }
}

/// A fault that waits for its call.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Armed {
    /// What.
    pub fault: Fault,
    /// At which call; none: at the next one that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Call>,
    /// Of which payment or transfer; none: of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How often.
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}

impl Armed {
    /// Once, at the next call that it concerns.
    #[must_use]
    pub const fn next(fault: Fault) -> Self {
        Self {
            fault,
            call: None,
            reference: None,
            times: 1,
        }
    }

    /// Once, at the next call about this reference.
    #[must_use]
    pub fn of(fault: Fault, reference: &str) -> Self {
        Self {
            reference: Some(reference.to_owned()),
            ..Self::next(fault)
        }
    }
}

/// Decides what goes wrong.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    seed: u64,
    rates: Vec<Rate>,
    armed: Vec<Armed>,
    /// How often each call was made for a reference.
    made: HashMap<(Call, String), u64>,
    happened: BTreeMap<Fault, u64>,
}

impl Faults {
    /// Faults at these rates. The same seed and the same calls give the same faults, in whichever
    /// order calls about different references come.
    #[must_use]
    pub fn new(seed: u64, rates: Vec<Rate>) -> Self {
        Self {
            seed,
            rates,
            ..Self::default()
        }
    }

    /// Lets a fault wait for its call.
    pub fn arm(&mut self, armed: Armed) {
        self.armed.push(armed);
    }

    /// What waits.
    #[must_use]
    pub fn armed(&self) -> &[Armed] {
        &self.armed
    }

    /// Nothing waits any more.
    pub fn disarm(&mut self) {
        self.armed.clear();
    }

    /// How often each went wrong.
    #[must_use]
    pub const fn happened(&self) -> &BTreeMap<Fault, u64> {
        &self.happened
    }

    /// What goes wrong with this call, which may ask for faults of its own.
    pub fn take(&mut self, call: Call, reference: &str, asked: &[Fault]) -> Vec<Fault> {
        let made = self.made.entry((call, reference.to_owned())).or_default();
        *made += 1;
        let time = *made;
        let mut taken: Vec<Fault> = Vec::new();
        for fault in Fault::ALL.iter().copied().filter(|f| f.concerns(call)) {
            let answered = taken.iter().any(|taken| taken.is_of_the_answer());
            if fault.is_of_the_answer() && answered {
                continue;
            }
            if asked.contains(&fault)
                || self.is_armed(fault, call, reference)
                || self.is_drawn(fault, call, reference, time)
            {
                taken.push(fault);
                *self.happened.entry(fault).or_default() += 1;
            }
        }
        taken
    }

    fn is_armed(&mut self, fault: Fault, call: Call, reference: &str) -> bool {
        let found = self.armed.iter().position(|armed| {
            armed.fault == fault
                && armed.call.is_none_or(|at| at == call)
                && armed.reference.as_deref().is_none_or(|of| of == reference)
        });
        let Some(found) = found else {
            return false;
        };
        match self.armed.get_mut(found) {
            Some(armed) if armed.times > 1 => armed.times -= 1,
            _ => drop(self.armed.remove(found)),
        }
        true
    }

    fn is_drawn(&self, fault: Fault, call: Call, reference: &str, time: u64) -> bool {
        let rate = self.rates.iter().rfind(|rate| rate.fault == fault);
        let Some(rate) = rate.filter(|rate| rate.per_million > 0) else {
            return false;
        };
        let drawn = Sha256::new()
            .chain_update(self.seed.to_be_bytes())
            .chain_update(format!("{fault}\n{call}\n{reference}\n"))
            .chain_update(time.to_be_bytes())
            .finalize();
        let first = drawn.iter().take(8);
        let drawn = first.fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        drawn % 1_000_000 < u64::from(rate.per_million)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn faults(rates: &[&str]) -> Faults {
        Faults::new(7, rates.iter().map(|rate| rate.parse().unwrap()).collect())
    }

    #[test]
    fn rates_are_parts_of_one_or_percents() {
        let rate = |text: &str| text.parse::<Rate>().map(|rate| rate.per_million);
        assert_eq!(rate("timeout=0.05"), Ok(50_000));
        assert_eq!(rate("timeout=5%"), Ok(50_000));
        assert_eq!(rate("timeout=1"), Ok(1_000_000));
        for bad in [
            "timeout",
            "timeout=",
            "timeout=1.1",
            "timeout=-1",
            "timeout=101%",
            "timeout=NaN",
        ] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        assert!(
            rate("time-out=1")
                .unwrap_err()
                .contains("one of timeout, lost")
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_in_any_order() {
        let draw = |references: &[usize]| {
            let mut faults = faults(&["timeout=0.5", "early=0.5"]);
            let mut drawn: Vec<(usize, Vec<Fault>)> = references
                .iter()
                .map(|n| (*n, faults.take(Call::Transfer, &n.to_string(), &[])))
                .collect();
            drawn.sort();
            drawn
        };
        let there: Vec<usize> = (0..200).collect();
        let back: Vec<usize> = (0..200).rev().collect();
        assert_eq!(draw(&there), draw(&back));
        let timeouts = draw(&there)
            .iter()
            .filter(|(_, f)| f.contains(&Fault::Timeout))
            .count();
        assert!((60..140).contains(&timeouts), "{timeouts}");
    }

    #[test]
    fn an_armed_fault_waits_for_its_call_and_happens_as_often_as_said() {
        let mut faults = faults(&[]);
        faults.arm(Armed {
            times: 2,
            ..Armed::of(Fault::Timeout, "po_1")
        });
        assert!(faults.take(Call::Transfer, "po_2", &[]).is_empty());
        assert!(
            faults.take(Call::Pay, "po_1", &[]).is_empty(),
            "nobody answers it"
        );
        assert_eq!(faults.take(Call::Transfer, "po_1", &[]), [Fault::Timeout]);
        assert_eq!(
            faults.take(Call::VerifyTransfer, "po_1", &[]),
            [Fault::Timeout]
        );
        assert!(faults.take(Call::VerifyTransfer, "po_1", &[]).is_empty());
        assert_eq!(faults.happened().get(&Fault::Timeout), Some(&2));
    }

    #[test]
    fn an_answer_goes_wrong_in_one_way_at_most() {
        let mut faults = faults(&["timeout=1", "cut=1", "low-balance=1"]);
        let taken = faults.take(Call::Transfer, "po_1", &[]);
        assert_eq!(taken, [Fault::Timeout, Fault::LowBalance]);
    }
}
