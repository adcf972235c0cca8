//! Commands: what a caller asks of the ledger, checked field by field and fingerprinted.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::instant::whole_microseconds;
use super::{Metadata, Rejection, RejectionCode, Transaction, WalletRef};

const TEXT_CHARS_MAX: usize = 255;

/// A field that can't be taken as it is, found before any rule of the ledger is looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidField {
    /// The field's name as the caller wrote it.
    pub field: String,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

impl InvalidField {
    /// Names the field and what is wrong with it.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }
}

/// A caller's key: the same key with the same request takes effect once, for ever.
///
/// 1 to 255 characters, none of them a control character. Those that begin with `aegis:` are the
/// program's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A key of the program's own, which no caller can take: `aegis:<name>`.
    #[must_use]
    pub fn own(name: &str) -> Self {
        Self(format!("{OWN}{name}"))
    }
}

/// How the keys of the program's own transactions begin.
const OWN: &str = "aegis:";

impl FromStr for IdempotencyKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err("is empty: write 1 to 255 printable characters".to_owned());
        }
        if text.starts_with(OWN) {
            return Err(format!(
                "begins with {OWN}, as the keys of Aegis's own transactions do: write another one"
            ));
        }
        printable(text).map(Self)
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn printable(text: &str) -> Result<String, String> {
    let chars = text.chars().count();
    if chars > TEXT_CHARS_MAX {
        return Err(format!(
            "has {chars} characters: write at most {TEXT_CHARS_MAX}"
        ));
    }
    if text.chars().any(char::is_control) {
        return Err("holds a control character: write printable characters only".to_owned());
    }
    Ok(text.to_owned())
}

/// What kind of transaction a command makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One source, one destination.
    Transfer,
    /// Many legs.
    Journal,
}

impl Kind {
    /// The name in the schema and on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transfer => "transfer",
            Self::Journal => "journal",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Transfer, Self::Journal]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// What may stand beside the legs of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The caller's own name for the transaction, not unique.
    pub reference: Option<String>,
    /// Ties the transaction to what caused it. Not part of the fingerprint, since a retry may
    /// come under another one.
    pub correlation_id: Option<String>,
    /// W3C trace context to hand on with the event.
    pub traceparent: Option<String>,
    /// When the movement takes effect in the books, UTC; the time of posting unless said.
    pub effective_at: Option<OffsetDateTime>,
    /// The caller's own JSON.
    pub metadata: Option<Metadata>,
}

impl Details {
    /// Checks a reference.
    ///
    /// # Errors
    /// Over 255 characters, or a control character.
    pub fn with_reference(mut self, text: &str) -> Result<Self, InvalidField> {
        let checked = printable(text).map_err(|problem| InvalidField::new("reference", problem))?;
        self.reference = Some(checked);
        Ok(self)
    }

    /// Checks a correlation id.
    ///
    /// # Errors
    /// Over 255 characters, or a control character.
    pub fn with_correlation_id(mut self, text: &str) -> Result<Self, InvalidField> {
        let checked =
            printable(text).map_err(|problem| InvalidField::new("correlation_id", problem))?;
        self.correlation_id = Some(checked);
        Ok(self)
    }

    /// Checks a time in RFC 3339, such as `2026-11-22T09:30:00Z`, of the years 1970 to 9998.
    ///
    /// # Errors
    /// Another form or another year.
    pub fn with_effective_at(mut self, text: &str) -> Result<Self, InvalidField> {
        let time = OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
            .ok()
            .and_then(|time| time.checked_to_offset(time::UtcOffset::UTC))
            .filter(|time| (1970..=9998).contains(&time.year()))
            .map(whole_microseconds)
            .ok_or_else(|| {
                InvalidField::new(
                    "effective_at",
                    "is not a time of RFC 3339 between 1970 and 9998: write 2026-11-22T09:30:00Z",
                )
            })?;
        self.effective_at = Some(time);
        Ok(self)
    }

    /// Checks the text of a JSON object.
    ///
    /// # Errors
    /// See [`Metadata`].
    pub fn with_metadata(mut self, json: &str) -> Result<Self, InvalidField> {
        let checked = json
            .parse()
            .map_err(|problem: String| InvalidField::new("metadata", problem))?;
        self.metadata = Some(checked);
        Ok(self)
    }
}

/// A leg as it was asked for: nothing but its form is known to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegDraft {
    /// The wallet to move.
    pub wallet: WalletRef,
    /// A currency code, known or not.
    pub currency: String,
    /// Minor units: credit positive, debit negative.
    pub amount: i64,
}

/// One request to post one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The caller's key.
    pub key: IdempotencyKey,
    /// SHA-256 over what was asked for: kind, legs, reference, effective time and metadata.
    pub request_hash: [u8; 32],
    /// Transfer or journal.
    pub kind: Kind,
    /// What stands beside the legs.
    pub details: Details,
    /// The legs, or the rule that they break already. Looked at after the key: a key that stands
    /// for another request is said first.
    pub transaction: Result<Transaction, Rejection>,
}

impl Command {
    /// A transfer of `amount` minor units of `currency` from one wallet to another.
    #[must_use]
    pub fn transfer(
        key: IdempotencyKey,
        source: WalletRef,
        destination: WalletRef,
        currency: &str,
        amount: i64,
        details: Details,
    ) -> Self {
        let debit = amount.checked_neg().unwrap_or(amount);
        let drafts = [
            LegDraft {
                wallet: source,
                currency: currency.to_owned(),
                amount: debit,
            },
            LegDraft {
                wallet: destination,
                currency: currency.to_owned(),
                amount,
            },
        ];
        let transaction = if amount > 0 {
            Transaction::new(&drafts)
        } else {
            Err(Rejection::new(
                RejectionCode::AmountNotPositive,
                format!("the amount is {amount}; a transfer moves at least 1 minor unit"),
            ))
        };
        Self {
            request_hash: fingerprint(Kind::Transfer, &drafts, &details),
            key,
            kind: Kind::Transfer,
            details,
            transaction,
        }
    }

    /// A transaction of many legs.
    #[must_use]
    pub fn journal(key: IdempotencyKey, drafts: &[LegDraft], details: Details) -> Self {
        Self {
            request_hash: fingerprint(Kind::Journal, drafts, &details),
            key,
            kind: Kind::Journal,
            details,
            transaction: Transaction::new(drafts),
        }
    }
}

/// Every field is preceded by its length, so that no two requests read the same.
fn fingerprint(kind: Kind, drafts: &[LegDraft], details: &Details) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(bytes);
    };
    field(kind.as_str().as_bytes());
    for draft in drafts {
        field(draft.wallet.to_string().as_bytes());
        field(draft.currency.as_bytes());
        field(&draft.amount.to_be_bytes());
    }
    for option in [
        details
            .reference
            .as_ref()
            .map(|text| text.as_bytes().to_vec()),
        details
            .effective_at
            .map(|time| time.unix_timestamp_nanos().to_be_bytes().to_vec()),
        details
            .metadata
            .as_ref()
            .map(|metadata| metadata.as_str().as_bytes().to_vec()),
    ] {
        // Absent and empty differ.
        field(&[u8::from(option.is_some())]);
        field(&option.unwrap_or_default());
    }
    hash.finalize().into()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests state what must hold")]
mod tests {
    use super::*;

    fn transfer(amount: i64, details: Details) -> Command {
        Command::transfer(
            "k".parse().unwrap(),
            "a".parse().unwrap(),
            "b".parse().unwrap(),
            "NGN",
            amount,
            details,
        )
    }

    #[test]
    fn a_transfer_of_nothing_or_less_is_rejected() {
        for amount in [0, -1, i64::MIN] {
            let rejection = transfer(amount, Details::default())
                .transaction
                .unwrap_err();
            assert_eq!(rejection.code, RejectionCode::AmountNotPositive, "{amount}");
        }
    }

    #[test]
    fn white_space_and_order_of_metadata_do_not_change_the_fingerprint() {
        let hash = |json| transfer(5, Details::default().with_metadata(json).unwrap()).request_hash;
        let one = hash(r#"{"b": [1, {"y": 1, "x": 2}], "a": 1}"#);
        assert_eq!(one, hash(r#"{"a":1,"b":[1,{"x":2,"y":1}]}"#));
    }

    #[test]
    fn every_field_but_the_correlation_id_changes_the_fingerprint() {
        let base = transfer(5, Details::default()).request_hash;
        let details = Details::default;
        assert_ne!(base, transfer(6, details()).request_hash);
        assert_ne!(
            base,
            transfer(5, details().with_reference("").unwrap()).request_hash
        );
        let at = details().with_effective_at("2026-01-01T00:00:00Z").unwrap();
        assert_ne!(base, transfer(5, at).request_hash);
        let metadata = details().with_metadata("{}").unwrap();
        assert_ne!(base, transfer(5, metadata).request_hash);
        let correlated = details().with_correlation_id("c").unwrap();
        assert_eq!(base, transfer(5, correlated).request_hash);
    }

    #[test]
    fn an_effective_time_keeps_what_the_database_keeps() {
        let details = Details::default().with_effective_at("2026-01-01T00:00:00.123456789Z");
        assert_eq!(
            details.unwrap().effective_at.unwrap().nanosecond(),
            123_456_000
        );
    }

    #[test]
    fn fields_that_cannot_be_stored_are_refused_by_name() {
        let long = "x".repeat(256);
        assert_eq!(
            Details::default().with_reference(&long).unwrap_err().field,
            "reference"
        );
        assert!(Details::default().with_reference("a\0b").is_err());
        assert!(Details::default().with_effective_at("yesterday").is_err());
        assert!(
            Details::default()
                .with_effective_at("0001-01-01T00:00:00Z")
                .is_err()
        );
        assert_eq!(
            Details::default().with_metadata("[1]").unwrap_err().field,
            "metadata"
        );
        assert!("".parse::<IdempotencyKey>().is_err());
        assert!("aegis:payment".parse::<IdempotencyKey>().is_err());
        assert!(long.parse::<IdempotencyKey>().is_err());
    }
}
