//! Who asks, and which part of the whole is asked about.

use std::net::SocketAddr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header;
use axum::http::request::Parts;

use super::ApiState;
use super::problem::Problem;
use crate::postgres::audit::Actor;

/// The other end of a request's connection: whoever serves puts it among the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The length of what a caller may call itself.
const NAME_CHARS_MAX: usize = 120;

/// Who asks: by what it calls itself, which nobody has checked, and from which address.
pub(super) struct Caller(pub Actor);

impl FromRequestParts<ApiState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Problem> {
        let agent = parts.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|value| value.to_str().ok()).map(str::trim);
        let name = match agent.filter(|agent| !agent.is_empty()) {
            Some(agent) => {
                let agent: String = agent.chars().take(NAME_CHARS_MAX).collect();
                format!("http: {agent}")
            }
            None => "http".to_owned(),
        };
        let peer = parts.extensions.get::<Peer>();
        let host = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.0.ip().to_string());
        Ok(Self(Actor { name, host }))
    }
}

/// The name of the ledger that the path names, if it names one: nothing outside of it is seen.
pub(super) struct Scope(pub Option<String>);

impl FromRequestParts<ApiState> for Scope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let segments = RawPathParams::from_request_parts(parts, state).await;
        let named = segments.ok().and_then(|segments| {
            let ledger = segments.iter().find(|(segment, _)| *segment == "ledger");
            ledger.map(|(_, name)| name.to_owned())
        });
        match named {
            Some(name) => Ok(Self(Some(state.ledger(&name).await?.name.to_string()))),
            None => Ok(Self(None)),
        }
    }
}
