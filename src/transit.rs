//! Money that leaves through a PSP, as payouts and as refunds of ours do: what is known of it and what
//! was learned give how it stands now, what to post and whether something does not agree. No I/O, no
//! clock.
//!
//! It leaves transit once: to the PSP's wallet when whom it is for has it, or back to whom it came
//! from when it is sure that nothing was sent. Whatever is learned later can't undo that; it is a
//! discrepancy, but for money that came back.

use std::str::FromStr;
use std::time::Duration;

use time::OffsetDateTime;

use crate::ledger::{Currency, later};
use crate::postgres::discrepancies::Class;
use crate::psp::Conclusion;

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In transit, and nothing of it is at the PSP.
    Requested,
    /// In transit; the PSP took it.
    Sent,
    /// In transit; whether the PSP took it is not known.
    Unknown,
    /// Whom it is for has it.
    Succeeded,
    /// It came to nothing; the money is back.
    Failed,
    /// It had succeeded, and came back.
    Returned,
}

impl Standing {
    /// Whether it is in transit.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Requested | Self::Sent | Self::Unknown)
    }
}

/// What is known of it before something is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// How it stands.
    pub standing: Standing,
    /// Minor units.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// Whether the PSP ever said that it has it.
    pub acknowledged: bool,
    /// Whether a call may have sent it without the PSP saying so.
    pub doubtful: bool,
    /// Whether the PSP refused it after such a call.
    pub refused: bool,
    /// Whether a person said how it ended.
    pub by_word: bool,
}

/// Something new about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The PSP says how it stands: in answer to a call, in a list, or by a webhook.
    Seen {
        /// What may be concluded from its word.
        conclusion: Conclusion,
        /// Whether its word is that money came back which had arrived.
        came_back: bool,
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
    /// The PSP doesn't know it.
    NotKnown {
        /// Whether it may be sent again on that word.
        may_send: bool,
    },
    /// The PSP did not answer the question.
    Unanswered,
    /// A person's word.
    Word(Verdict),
}

/// How a person says that it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Whom it is for has it.
    Succeeded,
    /// Nothing was sent; the money goes back.
    Failed,
}

/// What is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is {}", Verdict::FORM)]
pub struct NoVerdict;

impl Verdict {
    /// What to write.
    pub const FORM: &'static str = "succeeded or failed";

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// How it stands by it.
    #[must_use]
    pub const fn standing(self) -> Standing {
        match self {
            Self::Succeeded => Standing::Succeeded,
            Self::Failed => Standing::Failed,
        }
    }
}

impl FromStr for Verdict {
    type Err = NoVerdict;

    fn from_str(name: &str) -> Result<Self, NoVerdict> {
        let all = [Self::Succeeded, Self::Failed];
        let known = all.into_iter().find(|known| known.as_str() == name);
        known.ok_or(NoVerdict)
    }
}

/// Where the money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Movement {
    /// From transit to the PSP's wallet: it was paid.
    Pay,
    /// From transit back to whom it came from.
    GiveBack,
    /// From the PSP's wallet back to whom it came from: it was paid, and came back.
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

/// Calls to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// How many waits of the schedule were had.
    pub waits: i32,
    /// When the next is due, UTC.
    pub due: Option<OffsetDateTime>,
}

impl Next {
    /// The calls to come, from those that were. `wait` tells the schedule's wait behind so many.
    #[must_use]
    pub fn calls(
        self,
        before: Calls,
        now: OffsetDateTime,
        wait: impl FnOnce(i32) -> Duration,
    ) -> Calls {
        let after_a_wait = |had: i32| Calls {
            waits: had.saturating_add(1),
            due: Some(later(now, wait(had))),
        };
        match self {
            Self::Never => Calls {
                due: None,
                ..before
            },
            Self::Now => Calls {
                waits: 0,
                due: Some(now),
            },
            Self::Later => after_a_wait(before.waits),
            Self::Afresh => after_a_wait(0),
            Self::AsBefore => before,
        }
    }
}

/// What is written of why it stands so, by what was. What went well leaves no complaint behind; a
/// failure says why.
#[must_use]
pub fn complaint(
    before: Option<String>,
    detail: Option<&str>,
    learned: Learned,
    changes: bool,
) -> Option<String> {
    let detail = detail.map(str::to_owned);
    match learned {
        Learned::Seen { .. } if changes => detail,
        Learned::Seen { .. } => before,
        _ => detail.or(before),
    }
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// How it stands now.
    pub standing: Standing,
    /// What to post with it.
    pub movement: Option<Movement>,
    /// What does not agree.
    pub amiss: Option<Class>,
    /// When to call the PSP.
    pub next: Next,
}

impl Decision {
    const fn stands(standing: Standing, next: Next) -> Self {
        Self {
            standing,
            movement: None,
            amiss: None,
            next,
        }
    }

    const fn ends(standing: Standing, movement: Movement) -> Self {
        Self {
            movement: Some(movement),
            ..Self::stands(standing, Next::Never)
        }
    }

    const fn amiss(self, class: Class) -> Self {
        Self {
            amiss: Some(class),
            ..self
        }
    }
}

/// What follows from what was learned.
#[must_use]
pub fn decide(known: Known, learned: Learned) -> Decision {
    use Standing::{Failed, Requested, Succeeded, Unknown};
    match learned {
        Learned::Seen {
            conclusion,
            came_back,
            amount,
            currency,
        } => match (currency == known.currency, amount == known.amount) {
            (false, _) => other_sum(known.standing, Class::Currency),
            (_, false) => other_sum(known.standing, Class::Amount),
            _ => seen(known, conclusion, came_back),
        },
        Learned::Refused => match known.standing {
            // An earlier call may have sent it all the same: the PSP is asked before anything is
            // given back.
            Requested if known.doubtful => Decision::stands(Unknown, Next::Afresh),
            Requested => Decision::ends(Failed, Movement::GiveBack),
            other => Decision::stands(other, Next::AsBefore),
        },
        Learned::NotSent => match known.standing {
            Requested => Decision::stands(Requested, Next::Later),
            other => Decision::stands(other, Next::AsBefore),
        },
        Learned::Doubtful => match known.standing {
            Requested => Decision::stands(Unknown, Next::Afresh),
            other => Decision::stands(other, Next::AsBefore),
        },
        Learned::NotKnown { may_send } => not_known(known, may_send),
        Learned::Unanswered => match known.standing.is_open() {
            true => Decision::stands(known.standing, Next::Later),
            false => Decision::stands(known.standing, Next::Never),
        },
        Learned::Word(verdict) => match (known.standing.is_open(), verdict) {
            (true, Verdict::Succeeded) => Decision::ends(Succeeded, Movement::Pay),
            (true, Verdict::Failed) => Decision::ends(Failed, Movement::GiveBack),
            (false, _) => Decision::stands(known.standing, Next::Never),
        },
    }
}

/// The PSP has it with another sum: nothing can be concluded, and nothing is sent.
const fn other_sum(standing: Standing, class: Class) -> Decision {
    let decision = match standing {
        Standing::Requested | Standing::Sent => Decision::stands(Standing::Unknown, Next::Afresh),
        Standing::Unknown => Decision::stands(standing, Next::Later),
        ended => Decision::stands(ended, Next::Never),
    };
    decision.amiss(class)
}

const fn seen(known: Known, conclusion: Conclusion, came_back: bool) -> Decision {
    use Standing::{Failed, Requested, Returned, Sent, Succeeded, Unknown};
    match (known.standing, conclusion) {
        (Requested | Unknown, Conclusion::Open) => Decision::stands(Sent, Next::Afresh),
        (Sent, Conclusion::Open) => Decision::stands(Sent, Next::Later),
        (Requested | Unknown | Sent, Conclusion::Done) => Decision::ends(Succeeded, Movement::Pay),
        (Requested | Unknown | Sent, Conclusion::Undone) => {
            Decision::ends(Failed, Movement::GiveBack)
        }
        (Succeeded, Conclusion::Undone) if came_back => {
            Decision::ends(Returned, Movement::TakeBack)
        }
        // It can't have been paid and never have been sent.
        (Succeeded, Conclusion::Undone) => {
            Decision::stands(Succeeded, Next::Never).amiss(Class::Status)
        }
        // The money is back with whom it came from, and whom it is for has it.
        (Failed, Conclusion::Done) => Decision::stands(Failed, Next::Never).amiss(Class::Status),
        // It is back on other grounds than the PSP's word, and the PSP has it.
        (Failed, Conclusion::Open) if known.by_word || !known.acknowledged => {
            Decision::stands(Failed, Next::Never).amiss(Class::Status)
        }
        // Older news than ours.
        (ended, _) => Decision::stands(ended, Next::Never),
    }
}

const fn not_known(known: Known, may_send: bool) -> Decision {
    use Standing::{Failed, Requested, Returned, Sent, Succeeded, Unknown};
    match known.standing {
        // It had it before: nothing is sent on such a word.
        Sent => Decision::stands(Unknown, Next::Afresh).amiss(Class::MissingThere),
        Unknown if known.acknowledged => {
            Decision::stands(Unknown, Next::Later).amiss(Class::MissingThere)
        }
        Unknown if may_send && known.refused => Decision::ends(Failed, Movement::GiveBack),
        Unknown if may_send => Decision::stands(Requested, Next::Now),
        Unknown => Decision::stands(Unknown, Next::Later),
        Requested if may_send => Decision::stands(Requested, Next::Now),
        // It may not be sent on that word, so it is no longer sure that it was not.
        Requested => Decision::stands(Unknown, Next::Afresh),
        // The PSP paid it, and does not know it: or a person said that it was paid.
        Succeeded => Decision::stands(Succeeded, Next::Never).amiss(Class::MissingThere),
        Failed | Returned => Decision::stands(known.standing, Next::Never),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn ngn() -> Currency {
        Currency::from_code("NGN").unwrap()
    }

    fn seen(conclusion: Conclusion, came_back: bool) -> Learned {
        Learned::Seen {
            conclusion,
            came_back,
            amount: 100,
            currency: ngn(),
        }
    }

    fn all_known() -> Vec<Known> {
        let known = |standing| {
            (0..16).map(move |flags| Known {
                standing,
                amount: 100,
                currency: ngn(),
                acknowledged: flags & 1 != 0,
                doubtful: flags & 2 != 0,
                refused: flags & 4 != 0,
                by_word: flags & 8 != 0,
            })
        };
        let all = [
            Standing::Requested,
            Standing::Sent,
            Standing::Unknown,
            Standing::Succeeded,
            Standing::Failed,
            Standing::Returned,
        ];
        all.into_iter().flat_map(known).collect()
    }

    fn all_learned() -> Vec<Learned> {
        vec![
            seen(Conclusion::Open, false),
            seen(Conclusion::Done, false),
            seen(Conclusion::Undone, false),
            seen(Conclusion::Undone, true),
            Learned::Seen {
                conclusion: Conclusion::Done,
                came_back: false,
                amount: 99,
                currency: ngn(),
            },
            Learned::Seen {
                conclusion: Conclusion::Undone,
                came_back: true,
                amount: 100,
                currency: Currency::from_code("GHS").unwrap(),
            },
            Learned::Refused,
            Learned::NotSent,
            Learned::Doubtful,
            Learned::NotKnown { may_send: true },
            Learned::NotKnown { may_send: false },
            Learned::Unanswered,
            Learned::Word(Verdict::Succeeded),
            Learned::Word(Verdict::Failed),
        ]
    }

    /// Each pair of what may be known and what may be learned.
    fn each(check: impl Fn(Known, Learned, Decision)) {
        for known in all_known() {
            for learned in all_learned() {
                check(known, learned, decide(known, learned));
            }
        }
    }

    #[test]
    fn money_leaves_transit_exactly_when_it_ends() {
        each(|known, learned, decision| {
            let wanted = match (known.standing.is_open(), decision.standing) {
                (true, Standing::Succeeded) => Some(Movement::Pay),
                (true, Standing::Failed) => Some(Movement::GiveBack),
                (false, Standing::Returned) if known.standing == Standing::Succeeded => {
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
            let came_back =
                known.standing == Standing::Succeeded && learned == seen(Conclusion::Undone, true);
            if came_back {
                assert_eq!(decision.standing, Standing::Returned);
            } else if !known.standing.is_open() {
                assert_eq!(decision.standing, known.standing, "{learned:?}");
            }
        });
    }

    #[test]
    fn what_does_not_agree_moves_nothing_and_concludes_nothing() {
        each(|known, learned, decision| {
            if let Learned::Seen {
                amount, currency, ..
            } = learned
            {
                let wanted = match (currency == ngn(), amount == 100) {
                    (false, _) => Some(Class::Currency),
                    (_, false) => Some(Class::Amount),
                    _ => decision.amiss,
                };
                assert_eq!(decision.amiss, wanted, "{known:?} {learned:?}");
            }
            if decision.amiss.is_some() {
                assert_eq!(decision.movement, None, "{known:?} {learned:?}");
                assert_eq!(decision.standing.is_open(), known.standing.is_open());
            }
        });
    }

    #[test]
    fn the_psps_word_against_an_end_is_a_discrepancy() {
        each(|known, learned, decision| {
            let against = match known.standing {
                Standing::Succeeded => learned == seen(Conclusion::Undone, false),
                Standing::Failed => learned == seen(Conclusion::Done, false),
                _ => false,
            };
            if against {
                assert_eq!(decision.amiss, Some(Class::Status), "{known:?} {learned:?}");
            }
        });
    }

    #[test]
    fn the_psp_is_called_again_exactly_while_it_is_open() {
        each(|known, learned, decision| {
            let said = format!("{known:?} {learned:?} {decision:?}");
            match decision.next {
                Next::AsBefore => assert_eq!(decision.standing, known.standing, "{said}"),
                Next::Never => assert!(!decision.standing.is_open(), "{said}"),
                Next::Now | Next::Afresh => assert!(decision.standing.is_open(), "{said}"),
                // The waits grow for as long as nothing changes.
                Next::Later => {
                    assert!(decision.standing.is_open(), "{said}");
                    assert_eq!(decision.standing, known.standing, "{said}");
                }
            }
        });
    }

    #[test]
    fn waits_grow_until_something_changes() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let wait = |had: i32| Duration::from_secs(u64::try_from(had).unwrap() + 1);
        let before = Calls {
            waits: 3,
            due: Some(now),
        };
        let after = |waits, seconds| Calls {
            waits,
            due: Some(now + Duration::from_secs(seconds)),
        };
        assert_eq!(Next::Later.calls(before, now, wait), after(4, 4));
        assert_eq!(Next::Afresh.calls(before, now, wait), after(1, 1));
        assert_eq!(Next::Now.calls(before, now, wait), after(0, 0));
        assert_eq!(Next::AsBefore.calls(before, now, wait), before);
        assert_eq!(Next::Never.calls(before, now, wait).due, None);
    }

    #[test]
    fn what_goes_well_leaves_no_complaint_and_a_failure_says_why() {
        let went_well = seen(Conclusion::Done, false);
        let said = |learned, detail, changes| {
            complaint(Some("before".to_owned()), detail, learned, changes)
        };
        assert_eq!(said(went_well, None, true), None);
        assert_eq!(said(went_well, Some("late"), true).unwrap(), "late");
        assert_eq!(said(went_well, Some("late"), false).unwrap(), "before");
        assert_eq!(said(Learned::Refused, Some("why"), false).unwrap(), "why");
        assert_eq!(said(Learned::Refused, None, true).unwrap(), "before");
    }

    #[test]
    fn a_refusal_after_a_doubtful_call_ends_nothing_before_the_psp_was_asked() {
        each(|known, learned, decision| {
            if known.doubtful && learned == Learned::Refused {
                assert_eq!(decision.movement, None, "{known:?}");
                if known.standing == Standing::Requested {
                    assert_eq!(decision.standing, Standing::Unknown, "{known:?}");
                }
            }
            let is_refused = known.refused && !known.acknowledged;
            if known.standing == Standing::Unknown && is_refused {
                let wanted = match learned {
                    Learned::NotKnown { may_send: true } => Standing::Failed,
                    Learned::NotKnown { may_send: false } => Standing::Unknown,
                    _ => return,
                };
                assert_eq!(decision.standing, wanted, "{known:?}");
            }
        });
    }

    #[test]
    fn it_may_be_sent_again_only_where_the_psp_never_had_it_and_says_so() {
        each(|known, learned, decision| {
            let becomes =
                decision.standing == Standing::Requested && known.standing != Standing::Requested;
            if becomes {
                assert_eq!(learned, Learned::NotKnown { may_send: true });
                assert_eq!(known.standing, Standing::Unknown);
                assert!(!known.acknowledged && !known.refused);
            }
        });
    }
}
