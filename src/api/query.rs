//! Query parameters, with every problem named at once, and pages of lists.

use std::fmt::Display;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use time::OffsetDateTime;

use super::ApiState;
use super::fields::{Problems, Wrong, shown};
use super::problem::Problem;
use super::schema::Page;
use super::values::{self, Time};
use crate::ledger::Currency;

const LIMIT_DEFAULT: i64 = 100;
const LIMIT_MAX: i64 = 1_000;

/// A request's query parameters, taken out one by one.
pub(super) struct Params {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
    problems: Problems,
}

impl FromRequestParts<ApiState> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Problem> {
        let Query(pairs) = Query::try_from_uri(&parts.uri)
            .map_err(|error| Problem::internal(format!("the query can't be read: {error}")))?;
        Ok(Self {
            pairs,
            known: Vec::new(),
            problems: Problems::default(),
        })
    }
}

impl Params {
    /// The value of a parameter.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let place = self.pairs.iter().position(|(param, _)| param == name)?;
        Some(self.pairs.swap_remove(place).1)
    }

    /// The value of a parameter as something narrower.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        let text = self.text(name)?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.problems.add(name, wrong);
                None
            }
        }
    }

    pub(super) fn currency(&mut self) -> Option<Currency> {
        self.read("currency", values::currency)
    }

    pub(super) fn time(&mut self, name: &'static str) -> Option<OffsetDateTime> {
        self.read(name, |text| {
            Time::parse(text).map(|Time(time)| time).ok_or_else(|| {
                Wrong::new(
                    "is not a time of RFC 3339: write 2026-11-22T09:30:00Z, or \
                         2026-11-22T10:30:00%2B01:00",
                )
            })
        })
    }

    /// How many items the page may have.
    pub(super) fn limit(&mut self) -> i64 {
        let limit = self.read("limit", |text| {
            text.parse()
                .ok()
                .filter(|limit| (1..=LIMIT_MAX).contains(limit))
                .ok_or_else(|| {
                    Wrong::new(format!(
                        "is not a page's size: write an integer from 1 to {LIMIT_MAX}"
                    ))
                })
        });
        limit.unwrap_or(LIMIT_DEFAULT)
    }

    /// The position behind which the page begins.
    pub(super) fn after<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        self.read("after", |cursor| {
            URL_SAFE_NO_PAD
                .decode(cursor)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .and_then(|position| read(&position))
                .ok_or_else(|| {
                    Wrong::new("is not a position of this list: write the `next` of its last page")
                })
        })
    }

    /// Notes a problem that a parameter's reading alone doesn't show.
    pub(super) fn wrong(&mut self, name: &'static str, problem: impl Into<String>) {
        self.problems.add(name, Wrong::new(problem.into()));
    }

    /// Names what nobody asked for, and answers with all that was wrong.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in self.pairs.drain(..) {
            let problem = if self.known.contains(&name.as_str()) {
                "stands twice: write it once".to_owned()
            } else if self.known.is_empty() {
                "is not a parameter here: leave it out, there are none".to_owned()
            } else {
                let known = self.known.join(", ");
                format!("is not a parameter here: leave it out, the parameters are {known}")
            };
            let shown = shown(&name);
            self.problems.add(shown, Wrong::new(problem));
        }
        self.problems.into_problem().map_or(Ok(()), Err)
    }
}

impl<T> Page<T> {
    /// Cuts rows, of which one more than `limit` was read, to a page.
    pub(super) fn cut<P: Display>(
        mut rows: Vec<T>,
        limit: i64,
        position: impl FnOnce(&T) -> P,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or_default();
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|last| URL_SAFE_NO_PAD.encode(position(last).to_string()));
        Self { items: rows, next }
    }

    /// The same page with its items in another form.
    pub(super) fn map<U>(self, form: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(form).collect(),
            next: self.next,
        }
    }
}
