//! What callers send, as leniently as Paystack takes it.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::ledger::Currency;
use crate::psp::{Destination, NewPayment, NewRecipient, NewRefund, NewTransfer};
use crate::simulator::books::No;

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, No> {
    serde_json::from_slice(body).map_err(|error| No {
        status: 400,
        code: "invalid_params",
        message: format!("The body can't be read: {error}"),
    })
}

/// Amounts are taken as numbers and as digits.
#[derive(Deserialize)]
#[serde(untagged)]
enum Amount {
    Number(i64),
    Digits(String),
}

impl Amount {
    fn minor(self) -> Result<i64, No> {
        match self {
            Self::Number(minor) => Ok(minor),
            Self::Digits(digits) => digits.parse().map_err(|_| No::amount()),
        }
    }
}

fn currency(code: Option<&str>) -> Result<Currency, No> {
    Currency::from_code(code.unwrap_or("NGN")).ok_or_else(No::currency)
}

#[derive(Deserialize)]
pub(super) struct Initialize {
    email: String,
    amount: Amount,
    currency: Option<String>,
    reference: Option<String>,
    callback_url: Option<String>,
    metadata: Option<Value>,
}

impl Initialize {
    pub(super) fn payment(self) -> Result<NewPayment, No> {
        Ok(NewPayment {
            reference: self.reference.unwrap_or_else(generated),
            email: self.email,
            amount: self.amount.minor()?,
            currency: currency(self.currency.as_deref())?,
            callback_url: self.callback_url,
            metadata: self.metadata.and_then(object),
        })
    }
}

/// Metadata comes as an object, or as a text that holds one.
fn object(metadata: Value) -> Option<Map<String, Value>> {
    match metadata {
        Value::Object(object) => Some(object),
        Value::String(text) => serde_json::from_str(&text).ok(),
        _ => None,
    }
}

fn generated() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[derive(Deserialize)]
pub(super) struct CreateRecipient {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    account_number: Option<String>,
    bank_code: Option<String>,
    currency: Option<String>,
    authorization_code: Option<String>,
}

impl CreateRecipient {
    pub(super) fn recipient(self) -> Result<NewRecipient, No> {
        let destination = match (self.account_number, self.authorization_code) {
            (Some(account_number), _) => Destination::Account {
                kind: self.kind,
                account_number,
                bank_code: self.bank_code.unwrap_or_default(),
            },
            (None, Some(code)) => Destination::Authorization { code },
            (None, None) => return Err(No::recipient_account()),
        };
        Ok(NewRecipient {
            name: self.name.unwrap_or_default(),
            destination,
            currency: currency(self.currency.as_deref())?,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct InitiateTransfer {
    source: String,
    amount: Amount,
    recipient: String,
    reference: Option<String>,
    reason: Option<String>,
    currency: Option<String>,
}

impl InitiateTransfer {
    pub(super) fn transfer(self) -> Result<NewTransfer, No> {
        if self.source != "balance" {
            return Err(No {
                status: 400,
                code: "invalid_params",
                message: "The source of a transfer is \"balance\"".to_owned(),
            });
        }
        Ok(NewTransfer {
            reference: self.reference.unwrap_or_else(generated),
            amount: self.amount.minor()?,
            currency: currency(self.currency.as_deref())?,
            recipient: self.recipient,
            reason: self.reason,
        })
    }
}

#[derive(Deserialize)]
pub(super) struct CreateRefund {
    transaction: Value,
    amount: Option<Amount>,
    currency: Option<String>,
    customer_note: Option<String>,
    merchant_note: Option<String>,
}

impl CreateRefund {
    /// The payment's reference or number, and the refund; without an amount it is all of it.
    pub(super) fn transaction(&self) -> String {
        match &self.transaction {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    pub(super) fn refund(
        self,
        reference: String,
        whole: i64,
        of: Currency,
    ) -> Result<NewRefund, No> {
        let amount = self.amount.map_or(Ok(whole), Amount::minor)?;
        Ok(NewRefund {
            payment_reference: reference,
            amount,
            currency: match self.currency {
                Some(code) => currency(Some(&code))?,
                None => of,
            },
            customer_note: self.customer_note,
            merchant_note: self.merchant_note,
        })
    }
}
