//! The rules: what is known of a refund that was asked for here and what was learned give how it
//! stands now, what to post, what to tell and whether something does not agree. No I/O, no clock.
//!
//! Money in transit leaves it once: to the PSP's wallet when it has left for the customer, or back
//! when it is sure that nothing was sent. What is learned later can't undo that; it is a
//! discrepancy.

use crate::event::EventType;
use crate::ledger::Currency;
use crate::postgres::discrepancies::Class;
use crate::postgres::refunds::RefundStatus;
use crate::psp::{self, Conclusion};

/// What is known of a refund before something is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// How it stands.
    pub status: RefundStatus,
    /// Minor units.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// Whether the PSP ever showed it.
    pub acknowledged: bool,
    /// Whether a call may have sent it without the PSP saying so.
    pub doubtful: bool,
    /// Whether the PSP refused it after such a call.
    pub refused: bool,
    /// Whether a person said how it ended.
    pub by_word: bool,
}

/// Something new about a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The PSP says how it stands.
    Seen {
        /// The PSP's word.
        status: psp::RefundStatus,
        /// Minor units.
        amount: i64,
        /// In which currency.
        currency: Currency,
    },
    /// A definite no to the call that was to send it.
    Refused,
    /// The call that was to send it did not reach the PSP, or was turned away.
    NotSent,
    /// The call that was to send it may have done so.
    Doubtful,
    /// The PSP's list doesn't show it.
    NotKnown {
        /// Whether it may be sent again on that list.
        may_send: bool,
    },
    /// The PSP did not answer the question.
    Unanswered,
    /// A person's word, that it succeeded or that it failed.
    Word {
        /// Which of the two.
        succeeded: bool,
    },
}

/// Where the money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Movement {
    /// From transit to the PSP's wallet: it has left.
    Pay,
    /// From transit back to whom it came from.
    GiveBack,
}

/// When the PSP is called next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Never again.
    Never,
    /// At once.
    Now,
    /// After the schedule's next wait.
    Later,
    /// After the schedule's first wait.
    Afresh,
    /// Whenever it was to be called anyway.
    AsBefore,
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How the refund stands now.
    pub status: RefundStatus,
    /// What to post with it.
    pub movement: Option<Movement>,
    /// What to tell.
    pub event: Option<EventType>,
    /// What does not agree.
    pub amiss: Option<Class>,
    /// When to call the PSP.
    pub next: Next,
}

impl Decision {
    const fn stays(status: RefundStatus, next: Next) -> Self {
        Self {
            status,
            movement: None,
            event: None,
            amiss: None,
            next,
        }
    }

    const fn amiss(self, class: Class) -> Self {
        Self {
            amiss: Some(class),
            ..self
        }
    }

    const fn becomes(status: RefundStatus, next: Next) -> Self {
        let event = match status {
            RefundStatus::Requested => EventType::RefundRequested,
            RefundStatus::Sent => EventType::RefundSent,
            RefundStatus::Succeeded => EventType::RefundSucceeded,
            RefundStatus::Failed => EventType::RefundFailed,
            RefundStatus::Unknown => EventType::RefundUnknown,
        };
        Self {
            event: Some(event),
            ..Self::stays(status, next)
        }
    }

    const fn ends(status: RefundStatus, movement: Movement) -> Self {
        Self {
            movement: Some(movement),
            ..Self::becomes(status, Next::Never)
        }
    }
}

/// What follows from what was learned.
#[must_use]
pub fn decide(known: Known, learned: &Learned) -> Decision {
    match learned {
        Learned::Seen {
            status,
            amount,
            currency,
        } => {
            let differs = match (*currency != known.currency, *amount != known.amount) {
                (true, _) => Some(Class::Currency),
                (_, true) => Some(Class::Amount),
                _ => None,
            };
            match differs {
                Some(class) => other_sum(known.status, class),
                None => seen(known, status),
            }
        }
        Learned::Refused => match known.status {
            // An earlier call may be why: the list tells.
            RefundStatus::Requested if known.doubtful => {
                Decision::becomes(RefundStatus::Unknown, Next::Afresh)
            }
            RefundStatus::Requested => Decision::ends(RefundStatus::Failed, Movement::GiveBack),
            other => Decision::stays(other, Next::AsBefore),
        },
        Learned::NotSent => match known.status {
            RefundStatus::Requested => Decision::stays(known.status, Next::Later),
            other => Decision::stays(other, Next::AsBefore),
        },
        Learned::Doubtful => match known.status {
            RefundStatus::Requested => Decision::becomes(RefundStatus::Unknown, Next::Afresh),
            other => Decision::stays(other, Next::AsBefore),
        },
        Learned::NotKnown { may_send } => not_known(known, *may_send),
        Learned::Unanswered => match known.status.is_open() {
            true => Decision::stays(known.status, Next::Later),
            false => Decision::stays(known.status, Next::Never),
        },
        Learned::Word { succeeded } => match (known.status.is_open(), succeeded) {
            (true, true) => Decision::ends(RefundStatus::Succeeded, Movement::Pay),
            (true, false) => Decision::ends(RefundStatus::Failed, Movement::GiveBack),
            (false, _) => Decision::stays(known.status, Next::Never),
        },
    }
}

/// The PSP has it with another sum: nothing can be concluded, and nothing is sent.
const fn other_sum(status: RefundStatus, class: Class) -> Decision {
    let decision = match status {
        RefundStatus::Requested | RefundStatus::Sent => {
            Decision::becomes(RefundStatus::Unknown, Next::Afresh)
        }
        RefundStatus::Unknown => Decision::stays(status, Next::Later),
        ended => Decision::stays(ended, Next::Never),
    };
    decision.amiss(class)
}

fn seen(known: Known, word: &psp::RefundStatus) -> Decision {
    use RefundStatus::{Failed, Requested, Sent, Succeeded, Unknown};
    match (known.status, word.conclusion()) {
        (Requested | Unknown, Conclusion::Open) => Decision::becomes(Sent, Next::Afresh),
        (Sent, Conclusion::Open) => Decision::stays(Sent, Next::Later),
        (Requested | Unknown | Sent, Conclusion::Done) => Decision::ends(Succeeded, Movement::Pay),
        (Requested | Unknown | Sent, Conclusion::Undone) => {
            Decision::ends(Failed, Movement::GiveBack)
        }
        (Succeeded, Conclusion::Undone) => {
            Decision::stays(Succeeded, Next::Never).amiss(Class::Status)
        }
        // The money is back with the merchant, and the customer has it.
        (Failed, Conclusion::Done) => Decision::stays(Failed, Next::Never).amiss(Class::Status),
        // It is back on other grounds than the PSP's word, and the PSP has the refund.
        (Failed, Conclusion::Open) if known.by_word || !known.acknowledged => {
            Decision::stays(Failed, Next::Never).amiss(Class::Status)
        }
        // Older news than ours.
        (ended, _) => Decision::stays(ended, Next::Never),
    }
}

const fn not_known(known: Known, may_send: bool) -> Decision {
    match known.status {
        // It had it before: nothing is sent on such a list.
        RefundStatus::Sent => {
            Decision::becomes(RefundStatus::Unknown, Next::Afresh).amiss(Class::MissingThere)
        }
        RefundStatus::Unknown if known.acknowledged => {
            Decision::stays(RefundStatus::Unknown, Next::Later).amiss(Class::MissingThere)
        }
        RefundStatus::Unknown if may_send && known.refused => {
            Decision::ends(RefundStatus::Failed, Movement::GiveBack)
        }
        RefundStatus::Unknown if may_send => Decision::becomes(RefundStatus::Requested, Next::Now),
        RefundStatus::Unknown => Decision::stays(RefundStatus::Unknown, Next::Later),
        RefundStatus::Requested if may_send => Decision::stays(RefundStatus::Requested, Next::Now),
        // It may not be sent on that list, so it is no longer sure that it was not.
        RefundStatus::Requested => Decision::becomes(RefundStatus::Unknown, Next::Afresh),
        RefundStatus::Succeeded => {
            Decision::stays(RefundStatus::Succeeded, Next::Never).amiss(Class::MissingThere)
        }
        RefundStatus::Failed => Decision::stays(known.status, Next::Never),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn known(status: RefundStatus) -> Known {
        Known {
            status,
            amount: 100,
            currency: Currency::from_code("NGN").unwrap(),
            acknowledged: false,
            doubtful: false,
            refused: false,
            by_word: false,
        }
    }

    fn seen_as(word: &str, amount: i64) -> Learned {
        Learned::Seen {
            status: psp::RefundStatus::from_word(word),
            amount,
            currency: Currency::from_code("NGN").unwrap(),
        }
    }

    fn all() -> Vec<Learned> {
        vec![
            seen_as("pending", 100),
            seen_as("processed", 100),
            seen_as("failed", 100),
            seen_as("needs-attention", 100),
            seen_as("paused", 100),
            seen_as("processed", 99),
            Learned::Refused,
            Learned::NotSent,
            Learned::Doubtful,
            Learned::NotKnown { may_send: true },
            Learned::NotKnown { may_send: false },
            Learned::Unanswered,
            Learned::Word { succeeded: true },
            Learned::Word { succeeded: false },
        ]
    }

    #[test]
    fn money_leaves_transit_exactly_when_a_refund_ends() {
        for status in RefundStatus::ALL {
            for flags in 0..16 {
                let known = Known {
                    acknowledged: flags & 1 != 0,
                    doubtful: flags & 2 != 0,
                    refused: flags & 4 != 0,
                    by_word: flags & 8 != 0,
                    ..known(status)
                };
                for learned in all() {
                    let decision = decide(known, &learned);
                    let ends = status.is_open() && !decision.status.is_open();
                    assert_eq!(decision.movement.is_some(), ends, "{known:?} {learned:?}");
                    if !status.is_open() {
                        assert_eq!(decision.status, status, "an end is an end");
                    }
                    let wanted = match decision.movement {
                        Some(Movement::Pay) => RefundStatus::Succeeded,
                        Some(Movement::GiveBack) => RefundStatus::Failed,
                        None => decision.status,
                    };
                    assert_eq!(decision.status, wanted);
                }
            }
        }
    }

    #[test]
    fn a_refusal_after_a_doubtful_call_ends_nothing_before_the_list_was_read() {
        let doubtful = Known {
            doubtful: true,
            ..known(RefundStatus::Requested)
        };
        let decision = decide(doubtful, &Learned::Refused);
        assert_eq!(decision.status, RefundStatus::Unknown);
        let refused = Known {
            refused: true,
            ..known(RefundStatus::Unknown)
        };
        for (may_send, wanted) in [(false, RefundStatus::Unknown), (true, RefundStatus::Failed)] {
            let decision = decide(refused, &Learned::NotKnown { may_send });
            assert_eq!(decision.status, wanted);
        }
    }

    #[test]
    fn another_sum_concludes_nothing() {
        for status in RefundStatus::ALL {
            let decision = decide(known(status), &seen_as("processed", 99));
            assert_eq!(decision.movement, None);
            assert_eq!(decision.amiss, Some(Class::Amount));
        }
    }

    #[test]
    fn a_word_of_the_psp_against_an_end_is_a_discrepancy() {
        for (status, word) in [
            (RefundStatus::Succeeded, "failed"),
            (RefundStatus::Failed, "processed"),
        ] {
            let decision = decide(known(status), &seen_as(word, 100));
            assert_eq!(decision.amiss, Some(Class::Status), "{word}");
        }
    }
}
