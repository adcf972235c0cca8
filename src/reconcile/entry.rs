//! An entry of a bank statement (`Ntry`) and its details (`TxDtls`), as lines.

use time::OffsetDateTime;

use super::line::{Broken, Kind, Line, Standing, name};
use super::value;
use crate::ledger::Currency;

/// What an entry said so far.
pub(super) struct Entry {
    line: u64,
    statement: i32,
    account: String,
    amount: Option<Amount>,
    is_credit: Option<bool>,
    status: String,
    booked: Option<String>,
    valued: Option<String>,
    servicer_reference: String,
    /// Its details.
    pub(super) parts: Vec<Part>,
}

/// A detail.
#[derive(Default)]
pub(super) struct Part {
    amount: Option<Amount>,
    is_credit: Option<bool>,
    end_to_end_id: String,
    servicer_reference: String,
    other_id: String,
    structured: String,
}

struct Amount {
    text: String,
    currency: String,
}

impl Amount {
    fn read(&self) -> Result<(Currency, i64), String> {
        let currency: Currency = self.currency.parse()?;
        let amount = value::major("Amt", &self.text, currency)?;
        match amount {
            0.. => Ok((currency, amount)),
            _ => Err("Amt is below 0: CdtDbtInd says which way it goes".to_owned()),
        }
    }
}

fn is_credit(text: &str) -> Option<bool> {
    match text {
        "CRDT" => Some(true),
        "DBIT" => Some(false),
        _ => None,
    }
}

/// Some banks write this where there is none.
fn real(text: &str) -> &str {
    match text.eq_ignore_ascii_case("NOTPROVIDED") {
        true => "",
        false => text,
    }
}

impl Entry {
    pub(super) fn new(line: u64, statement: i32, account: &str) -> Self {
        Self {
            line,
            statement,
            account: account.to_owned(),
            amount: None,
            is_credit: None,
            status: String::new(),
            booked: None,
            valued: None,
            servicer_reference: String::new(),
            parts: Vec::new(),
        }
    }

    /// An element within the entry ended.
    pub(super) fn take(&mut self, path: &[&str], text: &str, currency: Option<&str>) {
        let amount = || Amount {
            text: text.to_owned(),
            currency: currency.unwrap_or_default().to_owned(),
        };
        match path {
            ["Amt"] => self.amount = Some(amount()),
            ["CdtDbtInd"] => self.is_credit = is_credit(text),
            ["Sts"] if text.is_empty() => {}
            ["Sts"] | ["Sts", "Cd" | "Prtry"] => text.clone_into(&mut self.status),
            ["BookgDt", "Dt" | "DtTm"] => self.booked = Some(text.to_owned()),
            ["ValDt", "Dt" | "DtTm"] => self.valued = Some(text.to_owned()),
            ["AcctSvcrRef"] => text.clone_into(&mut self.servicer_reference),
            ["NtryDtls", "TxDtls", within @ ..] => {
                if let Some(part) = self.parts.last_mut() {
                    part.take(within, text, amount);
                }
            }
            _ => {}
        }
    }

    /// Its lines: all of them, or what is wrong with the entry as a whole.
    pub(super) fn lines(self) -> Vec<Result<Line, Broken>> {
        let number = self.line;
        match self.read() {
            Ok(lines) => lines.into_iter().map(Ok).collect(),
            Err(problem) => vec![Err(Broken::new(number, problem))],
        }
    }

    fn read(self) -> Result<Vec<Line>, String> {
        let amount = self.amount.as_ref().ok_or("it has no Amt")?;
        let (currency, whole) = amount.read()?;
        let is_credit = self
            .is_credit
            .ok_or("its CdtDbtInd is neither CRDT nor DBIT")?;
        let standing = match self.status.as_str() {
            "BOOK" => Standing::Booked,
            "PDNG" | "FUTR" => Standing::Pending,
            "INFO" => Standing::Void,
            other => return Err(format!("its Sts {other:?} is not known")),
        };
        // What is pending may have no day yet.
        let day = self.booked.as_ref().or(self.valued.as_ref());
        let booked_at = match (day, standing) {
            (Some(day), _) => value::time("BookgDt", day)?,
            (None, Standing::Booked) => return Err("it has no BookgDt".to_owned()),
            (None, _) => OffsetDateTime::UNIX_EPOCH,
        };
        let signed = |amount: i64, is_credit: bool| match is_credit {
            true => amount,
            false => amount.saturating_neg(),
        };
        let line = |amount: i64, part: Option<&Part>| -> Result<Line, String> {
            let own = real(&self.servicer_reference);
            let id = part.map_or("", |part| real(&part.servicer_reference));
            Ok(Line {
                number: self.line,
                statement: self.statement,
                account: name("the account", &self.account)?.unwrap_or_default(),
                kind: Kind::Other,
                reference: name("the reference", part.map_or("", Part::reference))?,
                external_id: name("AcctSvcrRef", if id.is_empty() { own } else { id })?,
                batch: None,
                currency,
                amount,
                fee: 0,
                booked_at,
                standing,
            })
        };
        let whole = signed(whole, is_credit);
        let parts = &self.parts;
        if parts.len() <= 1 || parts.iter().all(|part| part.amount.is_none()) {
            return Ok(vec![line(
                whole,
                parts.first().filter(|_| parts.len() == 1),
            )?]);
        }
        let mut lines = Vec::with_capacity(parts.len());
        let mut sum: i128 = 0;
        for part in parts {
            let amount = part.amount.as_ref();
            let amount = amount.ok_or("some of its TxDtls have an Amt, and some have none")?;
            let (of, amount) = amount.read()?;
            if of != currency {
                return Err(format!("it is in {currency}, one of its TxDtls in {of}"));
            }
            let amount = signed(amount, part.is_credit.unwrap_or(is_credit));
            sum = sum.saturating_add(i128::from(amount));
            lines.push(line(amount, Some(part))?);
        }
        if sum != i128::from(whole) {
            return Err(format!(
                "its TxDtls sum to {sum} minor units, its Amt is {whole}"
            ));
        }
        Ok(lines)
    }
}

impl Part {
    fn take(&mut self, path: &[&str], text: &str, amount: impl Fn() -> Amount) {
        match path {
            ["Amt"] => self.amount = Some(amount()),
            ["AmtDtls", "TxAmt", "Amt"] if self.amount.is_none() => self.amount = Some(amount()),
            ["CdtDbtInd"] => self.is_credit = is_credit(text),
            ["Refs", "EndToEndId"] => text.clone_into(&mut self.end_to_end_id),
            ["Refs", "AcctSvcrRef"] => text.clone_into(&mut self.servicer_reference),
            ["Refs", "PmtInfId" | "TxId" | "InstrId"] if self.other_id.is_empty() => {
                text.clone_into(&mut self.other_id);
            }
            ["RmtInf", "Strd", "CdtrRefInf", "Ref"] => text.clone_into(&mut self.structured),
            _ => {}
        }
    }

    /// The name that both sides know it by.
    fn reference(&self) -> &str {
        [&self.end_to_end_id, &self.structured, &self.other_id]
            .into_iter()
            .map(|text| real(text))
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    }
}
