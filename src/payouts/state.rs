//! The rules: what is known of a payout and what was learned give how it stands now, what to post,
//! what to tell and whether something does not agree. No I/O, no clock.
//!
//! Funds in transit leave it once: to the PSP's wallet when the recipient has the money, or back to
//! the merchant when it is sure that nothing was sent. Whatever is learned later can't undo that;
//! it is a discrepancy, but for money that came back.

use crate::event::EventType;
use crate::ledger::Currency;
use crate::postgres::discrepancies::Class;
use crate::postgres::payouts::PayoutStatus;
use crate::psp::{Conclusion, TransferStatus};

/// What is known of a payout before something is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// How it stands.
    pub status: PayoutStatus,
    /// Minor units.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// Whether the PSP ever said that it has the transfer.
    pub acknowledged: bool,
    /// Whether a call may have sent it without the PSP saying so.
    pub doubtful: bool,
    /// Whether the PSP refused it after such a call.
    pub refused: bool,
    /// Whether a person said how it ended.
    pub by_word: bool,
}

/// Something new about a payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The PSP says how the transfer stands: in answer to a call, or by a webhook.
    Seen {
        /// The PSP's word.
        status: TransferStatus,
        /// Minor units.
        amount: i64,
        /// In which currency.
        currency: Currency,
    },
    /// A definite no to the call that was to send it.
    Refused,
    /// The call that was to send it did not reach the PSP, or was turned away.
    NotSent,
    /// The call that was to send it may have done so: no answer, none that can be read, an error of
    /// the PSP's, a reference that was used before, or a process that died in mid-call.
    Doubtful,
    /// The PSP doesn't know the reference.
    NotKnown {
        /// Whether it may be sent again on that word.
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
    /// From transit to the PSP's wallet: it was paid.
    Pay,
    /// From transit back to the merchant.
    GiveBack,
    /// From the PSP's wallet back to the merchant: it was paid, and came back.
    TakeBack,
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
    /// How the payout stands now.
    pub status: PayoutStatus,
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
    const fn stays(status: PayoutStatus, next: Next) -> Self {
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

    const fn becomes(status: PayoutStatus, next: Next) -> Self {
        let event = match status {
            PayoutStatus::Requested => EventType::PayoutRequested,
            PayoutStatus::Sent => EventType::PayoutSent,
            PayoutStatus::Succeeded => EventType::PayoutSucceeded,
            PayoutStatus::Failed => EventType::PayoutFailed,
            PayoutStatus::Unknown => EventType::PayoutUnknown,
            PayoutStatus::Returned => EventType::PayoutReturned,
        };
        Self {
            event: Some(event),
            ..Self::stays(status, next)
        }
    }

    const fn ends(status: PayoutStatus, movement: Movement) -> Self {
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
            // An earlier call may have sent it all the same: the PSP is asked before anything is
            // given back.
            PayoutStatus::Requested if known.doubtful => {
                Decision::becomes(PayoutStatus::Unknown, Next::Afresh)
            }
            PayoutStatus::Requested => Decision::ends(PayoutStatus::Failed, Movement::GiveBack),
            other => Decision::stays(other, Next::AsBefore),
        },
        Learned::NotSent => match known.status {
            PayoutStatus::Requested => Decision::stays(known.status, Next::Later),
            other => Decision::stays(other, Next::AsBefore),
        },
        Learned::Doubtful => match known.status {
            PayoutStatus::Requested => Decision::becomes(PayoutStatus::Unknown, Next::Afresh),
            other => Decision::stays(other, Next::AsBefore),
        },
        Learned::NotKnown { may_send } => not_known(known, *may_send),
        Learned::Unanswered => match known.status.is_open() {
            true => Decision::stays(known.status, Next::Later),
            false => Decision::stays(known.status, Next::Never),
        },
        Learned::Word { succeeded } => match (known.status.is_open(), succeeded) {
            (true, true) => Decision::ends(PayoutStatus::Succeeded, Movement::Pay),
            (true, false) => Decision::ends(PayoutStatus::Failed, Movement::GiveBack),
            (false, _) => Decision::stays(known.status, Next::Never),
        },
    }
}

/// The PSP has the transfer of this reference, for another sum: nothing can be concluded, and
/// nothing is sent.
const fn other_sum(status: PayoutStatus, class: Class) -> Decision {
    let decision = match status {
        PayoutStatus::Requested | PayoutStatus::Sent => {
            Decision::becomes(PayoutStatus::Unknown, Next::Afresh)
        }
        PayoutStatus::Unknown => Decision::stays(status, Next::Later),
        ended => Decision::stays(ended, Next::Never),
    };
    decision.amiss(class)
}

fn seen(known: Known, word: &TransferStatus) -> Decision {
    use PayoutStatus::{Failed, Requested, Returned, Sent, Succeeded, Unknown};
    match (known.status, word.conclusion()) {
        (Requested | Unknown, Conclusion::Open) => Decision::becomes(Sent, Next::Afresh),
        (Sent, Conclusion::Open) => Decision::stays(Sent, Next::Later),
        (Requested | Unknown | Sent, Conclusion::Done) => Decision::ends(Succeeded, Movement::Pay),
        (Requested | Unknown | Sent, Conclusion::Undone) => {
            Decision::ends(Failed, Movement::GiveBack)
        }
        (Succeeded, Conclusion::Undone) => match word {
            TransferStatus::Reversed => Decision::ends(Returned, Movement::TakeBack),
            // It can't have been paid and never have been sent.
            _ => Decision::stays(Succeeded, Next::Never).amiss(Class::Status),
        },
        // The funds are back with the merchant, and the recipient has the money.
        (Failed, Conclusion::Done) => Decision::stays(Failed, Next::Never).amiss(Class::Status),
        // They are back on other grounds than the PSP's word, and it has the transfer.
        (Failed, Conclusion::Open) if known.by_word || !known.acknowledged => {
            Decision::stays(Failed, Next::Never).amiss(Class::Status)
        }
        // Older news than ours.
        (ended, _) => Decision::stays(ended, Next::Never),
    }
}

const fn not_known(known: Known, may_send: bool) -> Decision {
    match known.status {
        // It had it before: nothing is sent on such a word.
        PayoutStatus::Sent => {
            Decision::becomes(PayoutStatus::Unknown, Next::Afresh).amiss(Class::MissingThere)
        }
        PayoutStatus::Unknown if known.acknowledged => {
            Decision::stays(PayoutStatus::Unknown, Next::Later).amiss(Class::MissingThere)
        }
        PayoutStatus::Unknown if may_send && known.refused => {
            Decision::ends(PayoutStatus::Failed, Movement::GiveBack)
        }
        PayoutStatus::Unknown if may_send => Decision::becomes(PayoutStatus::Requested, Next::Now),
        PayoutStatus::Unknown => Decision::stays(PayoutStatus::Unknown, Next::Later),
        PayoutStatus::Requested if may_send => Decision::stays(PayoutStatus::Requested, Next::Now),
        // It may not be sent on that word, so it is no longer sure that it was not.
        PayoutStatus::Requested => Decision::becomes(PayoutStatus::Unknown, Next::Afresh),
        // The PSP paid it, and does not know it: or a person said that it was paid.
        PayoutStatus::Succeeded => {
            Decision::stays(PayoutStatus::Succeeded, Next::Never).amiss(Class::MissingThere)
        }
        PayoutStatus::Failed | PayoutStatus::Returned => Decision::stays(known.status, Next::Never),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn ngn() -> Currency {
        Currency::from_code("NGN").unwrap()
    }

    fn seen(status: TransferStatus) -> Learned {
        Learned::Seen {
            status,
            amount: 100,
            currency: ngn(),
        }
    }

    fn all_known() -> Vec<Known> {
        let known = |status| {
            (0..16).map(move |flags| Known {
                status,
                amount: 100,
                currency: ngn(),
                acknowledged: flags & 1 != 0,
                doubtful: flags & 2 != 0,
                refused: flags & 4 != 0,
                by_word: flags & 8 != 0,
            })
        };
        PayoutStatus::ALL.into_iter().flat_map(known).collect()
    }

    fn all_learned() -> Vec<Learned> {
        let mut all: Vec<Learned> = TransferStatus::ALL.iter().cloned().map(seen).collect();
        all.push(seen(TransferStatus::from_word("teleported")));
        all.extend([
            Learned::Seen {
                status: TransferStatus::Success,
                amount: 99,
                currency: ngn(),
            },
            Learned::Seen {
                status: TransferStatus::Failed,
                amount: 100,
                currency: Currency::from_code("GHS").unwrap(),
            },
            Learned::Refused,
            Learned::NotSent,
            Learned::Doubtful,
            Learned::NotKnown { may_send: true },
            Learned::NotKnown { may_send: false },
            Learned::Unanswered,
            Learned::Word { succeeded: true },
            Learned::Word { succeeded: false },
        ]);
        all
    }

    /// Each pair of what may be known and what may be learned.
    fn each(check: impl Fn(Known, &Learned, &Decision)) {
        for known in all_known() {
            for learned in all_learned() {
                check(known, &learned, &decide(known, &learned));
            }
        }
    }

    #[test]
    fn money_leaves_transit_exactly_when_a_payout_ends() {
        each(|known, learned, decision| {
            let wanted = match (known.status.is_open(), decision.status) {
                (true, PayoutStatus::Succeeded) => Some(Movement::Pay),
                (true, PayoutStatus::Failed) => Some(Movement::GiveBack),
                (false, PayoutStatus::Returned) if known.status == PayoutStatus::Succeeded => {
                    Some(Movement::TakeBack)
                }
                _ => None,
            };
            assert_eq!(decision.movement, wanted, "{known:?} {learned:?}");
        });
    }

    #[test]
    fn what_has_ended_stays_so_but_for_money_that_came_back() {
        each(|known, learned, decision| {
            let came_back = known.status == PayoutStatus::Succeeded
                && *learned == seen(TransferStatus::Reversed);
            if !known.status.is_open() && !came_back {
                assert_eq!(decision.status, known.status, "{learned:?}");
            }
        });
    }

    #[test]
    fn each_change_is_told_once_and_nothing_else_is() {
        each(|known, learned, decision| {
            let changes = decision.status != known.status;
            assert_eq!(decision.event.is_some(), changes, "{known:?} {learned:?}");
        });
    }

    #[test]
    fn what_does_not_agree_moves_nothing_and_concludes_nothing() {
        each(|known, learned, decision| {
            if decision.amiss.is_some() {
                assert_eq!(decision.movement, None, "{known:?} {learned:?}");
                assert_eq!(decision.status.is_open(), known.status.is_open());
            }
        });
    }

    #[test]
    fn the_psp_is_called_again_exactly_while_a_payout_is_open() {
        each(|known, learned, decision| {
            let said = format!("{known:?} {learned:?} {decision:?}");
            match decision.next {
                Next::AsBefore => assert_eq!(decision.status, known.status, "{said}"),
                Next::Never => assert!(!decision.status.is_open(), "{said}"),
                Next::Now | Next::Later | Next::Afresh => {
                    assert!(decision.status.is_open(), "{said}");
                }
            }
        });
    }

    #[test]
    fn a_refusal_after_a_doubtful_call_ends_nothing_before_the_psp_was_asked() {
        each(|known, learned, decision| {
            if known.doubtful && *learned == Learned::Refused {
                assert_eq!(decision.movement, None, "{known:?}");
            }
        });
        let refused = Known {
            status: PayoutStatus::Unknown,
            amount: 100,
            currency: ngn(),
            acknowledged: false,
            doubtful: true,
            refused: true,
            by_word: false,
        };
        let decision = decide(refused, &Learned::NotKnown { may_send: true });
        assert_eq!(decision.movement, Some(Movement::GiveBack));
        let too_early = decide(refused, &Learned::NotKnown { may_send: false });
        assert_eq!(too_early.movement, None);
    }

    #[test]
    fn it_may_be_sent_again_only_where_the_psp_never_had_it_and_says_so() {
        each(|known, learned, decision| {
            let becomes = decision.status == PayoutStatus::Requested
                && known.status != PayoutStatus::Requested;
            if becomes {
                assert_eq!(*learned, Learned::NotKnown { may_send: true });
                assert_eq!(known.status, PayoutStatus::Unknown);
                assert!(!known.acknowledged && !known.refused);
            }
        });
    }
}
