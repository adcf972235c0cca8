//! The way of money: all that is known of a reference, in order of time.
//!
//! A walk over the things that `postgres::trace` knows. It begins at whatever the reference can mean
//! and goes on to what is about the same money; from there *onward*, where that money went (the
//! settlement that took a payment in, the payout that took it out); and *back*, where it came from.
//! Many come together in one on the way onward, so the two are kept apart: beside what was asked for
//! stands what became of it and what it was made of, and not all the payments that happened to be
//! settled on the same day.

use std::collections::{HashSet, VecDeque};

use sqlx::PgConnection;

use crate::ledger::Ledger;
use crate::postgres::trace::{self, Told};
pub use crate::postgres::trace::{Moment, Thing, Way};

/// The most things that are looked at unless said.
pub const THINGS_DEFAULT: usize = 200;
/// The most things that may be asked for.
pub const THINGS_MAX: usize = 2_000;

/// All that is known of a reference.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What the reference stands for.
    pub found: Vec<Thing>,
    /// In order of time.
    pub moments: Vec<Moment>,
    /// How many things are told of.
    pub things: usize,
    /// There is more than the bounds let in.
    pub cut: bool,
}

/// Which links are followed from a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// All: it is what was asked for, or about the same money.
    Both,
    /// Those to the same money, and onward.
    Onward,
    /// Those to the same money alone.
    Here,
}

/// Reaches in the order in which they are walked, so that a thing that is found on two ways is left
/// on the better one.
const REACHES: [Reach; 3] = [Reach::Both, Reach::Onward, Reach::Here];

/// What is yet to be looked at: a queue for each reach.
#[derive(Default)]
struct Ways([VecDeque<Thing>; 3]);

impl Ways {
    fn next(&mut self) -> Option<(Reach, Thing)> {
        let ways = REACHES.into_iter().zip(&mut self.0);
        ways.into_iter()
            .find_map(|(reach, things)| Some((reach, things.pop_front()?)))
    }

    fn take(&mut self, from: Reach, links: Vec<(Way, Thing)>) {
        let [both, onward, here] = &mut self.0;
        for (way, thing) in links {
            match (from, way) {
                (Reach::Both, Way::Same) => both.push_back(thing),
                (Reach::Both | Reach::Onward, Way::Onward) | (Reach::Onward, Way::Same) => {
                    onward.push_back(thing);
                }
                (Reach::Both, Way::Back) | (Reach::Here, Way::Same) => here.push_back(thing),
                (Reach::Onward, Way::Back) | (Reach::Here, Way::Onward | Way::Back) => {}
            }
        }
    }
}

/// All that is known of a reference in a ledger, about `things_max` things at most. `None`: it stands
/// for nothing there.
///
/// # Errors
/// Where the database fails.
pub async fn trace(
    conn: &mut PgConnection,
    ledger: &Ledger,
    reference: &str,
    things_max: usize,
) -> sqlx::Result<Option<Trace>> {
    let (named, mut cut) = trace::named(conn, ledger, reference).await?;
    let (mut found, mut moments) = (Vec::new(), Vec::new());
    let mut seen: HashSet<Thing> = HashSet::new();
    let mut told_of: Vec<Thing> = Vec::new();
    let mut ways = Ways::default();
    ways.take(
        Reach::Both,
        named.iter().map(|t| (Way::Same, t.clone())).collect(),
    );
    while let Some((reach, thing)) = ways.next() {
        if !seen.insert(thing.clone()) {
            continue;
        }
        if told_of.len() >= things_max {
            cut = true;
            break;
        }
        // Nothing where it is of another ledger, or gone.
        let Some(told) = trace::tell(conn, ledger, &thing).await? else {
            continue;
        };
        let Told {
            moments: happened,
            links,
            cut: was_cut,
            cut_back,
        } = told;
        moments.extend(happened);
        // What was left out of a list counts where the list is followed.
        cut |= was_cut || (cut_back && reach == Reach::Both);
        ways.take(reach, links);
        if named.contains(&thing) {
            found.push(thing.clone());
        }
        told_of.push(thing);
    }
    if found.is_empty() {
        return Ok(None);
    }
    let (events, were_cut) = trace::waiting_events(conn, ledger, &told_of).await?;
    let known = |moment: &Moment| !seen.contains(&moment.thing);
    moments.extend(events.into_iter().filter(known));
    // The order within one time is that in which things were found: what was asked for, first.
    moments.sort_by_key(|moment| moment.at);
    Ok(Some(Trace {
        found,
        moments,
        things: told_of.len(),
        cut: cut || were_cut,
    }))
}
