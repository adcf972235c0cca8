//! The order of a key: behind a message that could not be published none of its key is.

use std::collections::HashMap;

/// The keys that are closed, each with the letter that closed it.
#[derive(Debug, Default)]
pub(super) struct Lanes(HashMap<(String, Vec<u8>), i64>);

impl Lanes {
    /// Closes a key of a topic for the rest of the run. What has no key has no order.
    pub(super) fn close(&mut self, topic: &str, key: Vec<u8>, letter: i64) {
        if !key.is_empty() {
            let lane = (topic.to_owned(), key);
            self.0.entry(lane).or_insert(letter);
        }
    }

    /// The letter that closed this key, if one did.
    pub(super) fn closed_by(&self, topic: &str, key: &[u8]) -> Option<i64> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&(topic.to_owned(), key.to_vec())).copied()
    }
}
