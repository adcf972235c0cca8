//! Lists that are cut: how many rows, and how to get the rest.

use super::output::Output;

const ROWS_A_QUERY: i64 = 1_000;

/// How much of a list.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct PageArgs {
    /// Show at most so many
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,
    /// Show all, however many
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// Where a list stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paging {
    /// How many may still be shown; `None`: any number.
    left: Option<i64>,
    shown: i64,
    asked: i64,
    ended: bool,
    cut: bool,
}

impl Paging {
    /// The beginning of a list.
    #[must_use]
    pub(crate) fn new(args: &PageArgs) -> Self {
        Self {
            left: (!args.all).then_some(args.limit),
            shown: 0,
            asked: 0,
            ended: false,
            cut: false,
        }
    }

    /// How many rows to ask for next, one more than are wanted, so as to see whether there are
    /// more; `None` once the list has ended.
    pub(crate) fn next_rows(&mut self) -> Option<i64> {
        if self.ended {
            return None;
        }
        self.asked = self
            .left
            .map_or(ROWS_A_QUERY, |left| left.min(ROWS_A_QUERY));
        Some(self.asked.saturating_add(1))
    }

    /// Of the rows that were found those to show.
    pub(crate) fn take<'r, T>(&mut self, found: &'r [T]) -> &'r [T] {
        let wanted = usize::try_from(self.asked).unwrap_or(usize::MAX);
        let shown = found.get(..wanted).unwrap_or(found);
        let count = i64::try_from(shown.len()).unwrap_or(i64::MAX);
        let more = found.len() > wanted;
        self.shown = self.shown.saturating_add(count);
        self.left = self.left.map(|left| left.saturating_sub(count));
        self.cut = more && self.left == Some(0);
        self.ended = !more || self.cut;
        shown
    }

    /// Whether there is more than was shown.
    #[must_use]
    pub(crate) fn was_cut(&self) -> bool {
        self.cut
    }

    /// Says that the list was cut, and how to go on behind the last row.
    pub(crate) fn tell(&self, out: &Output, after: &str) {
        let rows = if self.shown == 1 { "row" } else { "rows" };
        out.note(&format!(
            "the list was cut after {} {rows}: go on with --after {after}, or take --all",
            self.shown
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(limit: Option<i64>, rows: usize) -> (Vec<usize>, bool) {
        let args = PageArgs {
            limit: limit.unwrap_or(100),
            all: limit.is_none(),
        };
        let mut paging = Paging::new(&args);
        let (mut shown, mut at) = (Vec::new(), 0);
        while let Some(wanted) = paging.next_rows() {
            let found = vec![(); (rows - at).min(usize::try_from(wanted).unwrap_or(0))];
            let taken = paging.take(&found).len();
            at += taken;
            shown.push(taken);
        }
        (shown, paging.was_cut())
    }

    #[test]
    fn a_list_is_cut_at_its_limit_only_where_there_is_more() {
        assert_eq!(pages(Some(100), 0), (vec![0], false));
        assert_eq!(pages(Some(100), 100), (vec![100], false));
        assert_eq!(pages(Some(100), 101), (vec![100], true));
        assert_eq!(pages(Some(1_500), 1_501), (vec![1_000, 500], true));
    }

    #[test]
    fn all_pages_through_to_the_end() {
        assert_eq!(pages(None, 2_000), (vec![1_000, 1_000], false));
        assert_eq!(pages(None, 2_001), (vec![1_000, 1_000, 1], false));
    }
}
