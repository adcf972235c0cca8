//! What may be assumed after an answer.
//!
//! `status` and `message` are in every answer, `code` and `type` in errors
//! (<https://paystack.com/docs/api/#responses>, <https://paystack.com/docs/api/errors/>). A no counts
//! as Paystack's only in that form: a proxy's 403 or 404 says nothing about a transfer.

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::config::MASK;
use crate::psp::PspError;
use crate::psp::http::Reply;

/// What Paystack said.
#[derive(Debug)]
pub(super) enum Judged {
    /// It did what it was asked for; this is the envelope's `data`.
    Data(Box<RawValue>),
    /// It did not.
    Refused(Refusal),
}

/// Paystack's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    code: Option<String>,
    /// `validation_error`, `api_error`, `processor_error`.
    category: Option<String>,
    message: String,
}

#[derive(Deserialize)]
struct Envelope {
    status: bool,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    data: Option<Box<RawValue>>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default, rename = "type")]
    category: Option<String>,
}

/// Judges an answer. `secret_key` is what must not get into an error, should it be echoed.
pub(super) fn judge(reply: &Reply, secret_key: &str) -> Result<Judged, PspError> {
    let status = reply.status;
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(PspError::RateLimited {
            retry_after: reply.retry_after,
        });
    }
    let number = status.as_u16();
    // Whether a request that came too slowly, or at the same time as another, took effect is
    // nowhere said.
    let is_a_no = status.is_client_error() && ![408, 409, 425].contains(&number);
    if !status.is_success() && !is_a_no {
        return Err(PspError::unknown(format!("HTTP {number}")));
    }
    let Ok(envelope) = serde_json::from_slice::<Envelope>(&reply.body) else {
        return Err(PspError::unknown(format!(
            "HTTP {number} with {} bytes that are no answer of Paystack's",
            reply.body.len()
        )));
    };
    let message = presentable(envelope.message.as_deref().unwrap_or_default(), secret_key);
    match (envelope.status, envelope.data) {
        (true, Some(data)) if status.is_success() => Ok(Judged::Data(data)),
        (false, _) if is_a_no => Ok(Judged::Refused(Refusal {
            status: number,
            code: envelope.code.map(|code| presentable(&code, secret_key)),
            category: envelope.category,
            message,
        })),
        (said, _) => Err(PspError::unknown(format!(
            "HTTP {number} contradicts its status {said}, or has no data: {message}"
        ))),
    }
}

/// Fit for a log and for a person: short, printable, and without the key.
fn presentable(text: &str, secret_key: &str) -> String {
    let text = match secret_key.is_empty() {
        true => text.to_owned(),
        false => text.replace(secret_key, MASK),
    };
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(MESSAGE_CHARS_MAX).collect()
}

const MESSAGE_CHARS_MAX: usize = 300;

/// The messages and codes are those of
/// <https://github.com/PaystackOSS/openapi/blob/main/errors/api-errors.json>.
impl Refusal {
    pub(super) fn is_duplicate_payment(&self) -> bool {
        self.is("duplicate_reference", &["Duplicate Transaction Reference"])
    }

    pub(super) fn is_duplicate_transfer(&self) -> bool {
        let message = "Reference already exists on a transfer";
        self.code.as_deref() == Some("duplicate_transfer_reference")
            || self
                .message
                .to_lowercase()
                .contains(&message.to_lowercase())
    }

    pub(super) fn is_payment_not_found(&self) -> bool {
        let messages = ["Transaction reference not found", "Transaction not found"];
        [400, 404].contains(&self.status) && self.is("transaction_not_found", &messages)
    }

    pub(super) fn is_transfer_not_found(&self) -> bool {
        [400, 404].contains(&self.status) && self.is("transfer_not_found", &["Transfer not found"])
    }

    /// A no to something that moves money. Where the processor failed, Paystack had begun.
    pub(super) fn of_an_act(self) -> PspError {
        match self.category.as_deref() {
            Some("processor_error") => PspError::unknown(format!(
                "HTTP {} after an error at the processor: {}",
                self.status, self.message
            )),
            _ => self.into(),
        }
    }

    fn is(&self, code: &str, messages: &[&str]) -> bool {
        let message = self.message.trim().trim_end_matches('.');
        self.code.as_deref() == Some(code)
            || messages
                .iter()
                .any(|known| known.eq_ignore_ascii_case(message))
    }
}

impl From<Refusal> for PspError {
    fn from(no: Refusal) -> Self {
        Self::Refused {
            code: no.code.unwrap_or_else(|| format!("http_{}", no.status)),
            message: no.message,
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests state what must hold"
)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn judged(status: u16, body: &str) -> Result<Judged, PspError> {
        let reply = Reply {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: Some(Duration::from_secs(7)),
            body: body.to_owned().into(),
        };
        judge(&reply, "sk_test_hidden")
    }

    fn refusal(status: u16, body: &str) -> Refusal {
        match judged(status, body) {
            Ok(Judged::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_2xx_with_a_true_status_and_data_is_a_yes() {
        let yes = r#"{"status":true,"message":"ok","data":{"a":1}}"#;
        assert!(matches!(judged(200, yes), Ok(Judged::Data(_))));
        assert!(matches!(judged(201, yes), Ok(Judged::Data(_))));
        for (status, body) in [
            (200, r#"{"status":false,"message":"no"}"#),
            (200, r#"{"status":true,"message":"ok"}"#),
            (200, r#"{"status":"true","data":{}}"#),
            (200, "<html>sign in to the hotel's network</html>"),
            (200, ""),
            (204, ""),
            (302, yes),
            (500, yes),
            (502, r#"{"status":false,"message":"no"}"#),
            (400, yes),
            (404, "<html>not found</html>"),
            (403, ""),
            (408, r#"{"status":false,"message":"slow"}"#),
            (409, r#"{"status":false,"message":"conflict"}"#),
        ] {
            let error = judged(status, body).unwrap_err();
            assert!(error.may_have_happened(), "{status} {body}: {error}");
        }
    }

    #[test]
    fn too_many_calls_is_neither_a_no_nor_an_outage() {
        let error = judged(429, "<html>").unwrap_err();
        assert_eq!(
            error,
            PspError::RateLimited {
                retry_after: Some(Duration::from_secs(7))
            }
        );
        assert!(!error.may_have_happened() && !error.is_outage());
    }

    #[test]
    fn the_documented_refusals_are_told_apart() {
        let transfer = refusal(
            400,
            r#"{"status":false,"message":"Please provide a unique reference. Reference already exists on a transfer","meta":{"nextStep":"Create a new reference for the new transfer"},"type":"validation_error","code":"duplicate_transfer_reference"}"#,
        );
        assert!(transfer.is_duplicate_transfer() && !transfer.is_duplicate_payment());
        let payment = refusal(
            400,
            r#"{"status":false,"message":"Duplicate Transaction Reference"}"#,
        );
        assert!(payment.is_duplicate_payment());
        let no_transfer = refusal(404, r#"{"status":false,"message":"Transfer not found"}"#);
        assert!(no_transfer.is_transfer_not_found() && !no_transfer.is_payment_not_found());
        let no_payment = refusal(
            400,
            r#"{"status":false,"message":"Transaction reference not found.","code":"transaction_not_found"}"#,
        );
        assert!(no_payment.is_payment_not_found());
        let key = refusal(401, r#"{"status":false,"message":"Invalid key"}"#);
        assert!(!key.is_transfer_not_found() && !key.is_payment_not_found());
        assert_eq!(
            PspError::from(key),
            PspError::Refused {
                code: "http_401".into(),
                message: "Invalid key".into()
            }
        );
    }

    #[test]
    fn an_error_at_the_processor_is_no_definite_no() {
        let body = r#"{"status":false,"message":"System Malfunction","type":"processor_error"}"#;
        assert!(refusal(400, body).of_an_act().may_have_happened());
    }

    #[test]
    fn an_echoed_key_does_not_get_into_an_error() {
        let body = r#"{"status":false,"message":"Invalid key:\nsk_test_hidden"}"#;
        let error = PspError::from(refusal(401, body)).to_string();
        assert!(error.contains("Invalid key: ***"), "{error}");
    }
}
