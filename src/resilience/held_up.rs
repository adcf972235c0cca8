//! A worker that can't go on: it says so once, and once that it goes on.

use std::fmt::Display;

/// Of one worker.
#[derive(Debug, Default)]
pub struct HeldUp(Told);

#[derive(Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Nothing,
    /// That it is held up by what others warn of.
    Outage,
    Warning,
}

impl HeldUp {
    /// It failed, and tries again. The first time that is a warning; where `is_away`, whoever watches
    /// what is away warns, and here it is no more than told.
    pub fn failed(&mut self, message: &'static str, error: &dyn Display, is_away: bool) {
        let told = match (&self.0, is_away) {
            (Told::Nothing, true) => Told::Outage,
            (Told::Nothing | Told::Outage, false) => Told::Warning,
            _ => return tracing::debug!(%error, "{message}"),
        };
        match told {
            Told::Warning => tracing::warn!(%error, "{message}"),
            _ => tracing::info!(%error, "{message}"),
        }
        self.0 = told;
    }

    /// It succeeded.
    pub fn goes_on(&mut self, message: &'static str) {
        if std::mem::take(&mut self.0) != Told::Nothing {
            tracing::info!("{message}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_again_only_after_a_success_or_where_it_becomes_something_to_warn_of() {
        let mut held = HeldUp::default();
        held.failed("m", &"away", true);
        assert_eq!(held.0, Told::Outage);
        held.failed("m", &"amiss", false);
        assert_eq!(held.0, Told::Warning);
        held.failed("m", &"away", true);
        assert_eq!(held.0, Told::Warning);
        held.goes_on("m");
        assert_eq!(held.0, Told::Nothing);
    }
}
