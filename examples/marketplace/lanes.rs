//! Which connection serves whom.

use std::cmp::Reverse;

/// A lane for each merchant, by how often it is named: the busiest first, each to the lane with the
/// least to do, so that the lanes end together.
pub(crate) fn share_out(
    named: impl Iterator<Item = usize>,
    merchants: usize,
    lanes: usize,
) -> Vec<usize> {
    let mut errands = vec![0_u32; merchants];
    named.for_each(|merchant| errands[merchant] += 1);
    let mut busiest: Vec<usize> = (0..merchants).collect();
    busiest.sort_by_key(|&merchant| Reverse(errands[merchant]));
    let mut load = vec![0; lanes];
    let mut lane_of = vec![0; merchants];
    for merchant in busiest {
        let lane = (0..lanes).min_by_key(|&lane| load[lane]).unwrap_or(0);
        load[lane] += errands[merchant];
        lane_of[merchant] = lane;
    }
    lane_of
}
