//! Which column of a CSV statement holds what.
//!
//! Columns go by their names, whatever the case, spaces and underscores; a column that is not read
//! may be there or not.

use crate::ledger::Currency;

use super::format::Format;
use super::line::{Kind, Line, Standing, name};
use super::value;

/// The columns of a header.
pub(super) struct Layout {
    pub(super) format: Format,
    pub(super) columns: usize,
    psp: Option<String>,
    of: [Option<usize>; FIELDS],
}

/// What a column may hold.
#[derive(Clone, Copy)]
enum Field {
    Kind,
    Reference,
    Id,
    Batch,
    Currency,
    Minor,
    Amount,
    Debit,
    Credit,
    Fee,
    Status,
    Time,
    Account,
    Psp,
}

const FIELDS: usize = 14;

/// The names of a field's column, most specific first, without case, spaces and signs.
fn names(format: Format, field: Field) -> &'static [&'static str] {
    use Field as F;
    use Format as In;
    match (format, field) {
        (In::Plain, F::Kind) => &["kind"],
        (In::PaystackBalance, F::Kind) => &["type"],
        (In::Plain, F::Psp) => &["psp"],
        (_, F::Kind | F::Psp) => &[],
        (In::PaystackTransactions, F::Reference) => {
            &["reference", "transactionreference", "referencenumber"]
        }
        (In::PaystackTransfers, F::Reference) => &["reference", "transferreference"],
        (In::BankCsv, F::Reference) => &["reference", "endtoendid"],
        (_, F::Reference) => &["reference"],
        (In::PaystackTransactions, F::Id) => &["transactionid", "id"],
        (In::PaystackTransfers, F::Id) => &["transfercode", "id"],
        (In::BankCsv, F::Id) => &["id", "transactionid", "bankreference"],
        (_, F::Id) => &["id"],
        (In::PaystackTransactions, F::Batch) => &["settlementdate"],
        (In::Plain, F::Batch) => &["batch"],
        (_, F::Batch) => &[],
        (_, F::Currency) => &["currency"],
        (In::PaystackBalance, F::Minor) => &["amount"],
        (In::PaystackBalance, F::Amount) => &[],
        (In::Plain | In::BankCsv, F::Minor) => &["minor"],
        (_, F::Minor) => &[],
        (In::PaystackTransactions, F::Amount) => &["amountpaid", "amount"],
        (_, F::Amount) => &["amount"],
        (In::BankCsv, F::Debit) => &["debit"],
        (In::BankCsv, F::Credit) => &["credit"],
        (_, F::Debit | F::Credit) => &[],
        (In::PaystackTransactions, F::Fee) => &["paystackfees", "paystackfee", "fees", "fee"],
        (In::PaystackTransfers, F::Fee) => &["fees", "fee", "feecharged"],
        (In::PaystackBalance, F::Fee) => &["fees"],
        (In::Plain, F::Fee) => &["fee"],
        (_, F::Fee) => &[],
        (_, F::Status) => &["status"],
        (In::Plain, F::Time) => &["bookedat"],
        (In::PaystackBalance, F::Time) => &["createdat"],
        (In::PaystackTransactions, F::Time) => &["transactiondate", "paidat", "createdat"],
        (In::PaystackTransfers, F::Time) => {
            &["transferredat", "transferredon", "date", "createdat"]
        }
        (In::BankCsv, F::Time) => &["bookingdate", "bookedat", "date"],
        (In::Camt053, F::Time) => &[],
        (In::Plain | In::BankCsv, F::Account) => &["account"],
        (_, F::Account) => &[],
    }
}

fn normal(name: &str) -> String {
    let kept = name.chars().filter(char::is_ascii_alphanumeric);
    kept.collect::<String>().to_ascii_lowercase()
}

fn detect(names: &[String]) -> Option<Format> {
    let has = |name: &str| names.iter().any(|found| found == name);
    let any = |all: &[&str]| all.iter().any(|name| has(name));
    if has("kind") && has("bookedat") {
        Some(Format::Plain)
    } else if has("type") && has("net") && has("fees") && has("createdat") {
        Some(Format::PaystackBalance)
    } else if has("transfercode") {
        Some(Format::PaystackTransfers)
    } else if any(&[
        "amountpaid",
        "paystackfees",
        "paystackfee",
        "transactiondate",
    ]) {
        Some(Format::PaystackTransactions)
    } else if any(&["bookingdate", "bookedat", "date"])
        && (any(&["minor", "amount"]) || (has("debit") && has("credit")))
    {
        Some(Format::BankCsv)
    } else {
        None
    }
}

impl Layout {
    /// What a header says, in the format that was said or that its names tell.
    pub(super) fn of(
        header: &[String],
        said: Option<Format>,
        psp: Option<&str>,
    ) -> Result<Self, String> {
        let found: Vec<String> = header.iter().map(|name| normal(name)).collect();
        let told = detect(&found);
        if let (Some(said), Some(told)) = (said, told)
            && said != told
        {
            return Err(format!(
                "it has the columns of {told}, not of {said}: leave --format away, or take the \
                 file of that format"
            ));
        }
        let format = said.or(told).ok_or_else(|| {
            let shown: String = header.join(",").chars().take(200).collect();
            format!(
                "its header ({shown}) is none of a known format: docs/reconciliation.md names the \
                 columns of each"
            )
        })?;
        format.check(psp)?;
        if let Some(twice) = found.iter().enumerate().find_map(|(place, name)| {
            let again = !name.is_empty() && found.get(..place).is_some_and(|b| b.contains(name));
            again.then_some(name)
        }) {
            return Err(format!("its header names the column {twice} twice"));
        }
        let mut of = [None; FIELDS];
        for field in Field::ALL {
            let column = names(format, field)
                .iter()
                .find_map(|name| found.iter().position(|found| found == name));
            if let Some(place) = of.get_mut(field as usize) {
                *place = column;
            }
        }
        let layout = Self {
            format,
            columns: header.len(),
            psp: psp.map(str::to_owned),
            of,
        };
        layout.check()?;
        Ok(layout)
    }

    fn at(&self, field: Field) -> Option<usize> {
        self.of.get(field as usize).copied().flatten()
    }

    fn check(&self) -> Result<(), String> {
        let mut needed = vec![Field::Currency, Field::Time];
        match self.format {
            Format::Plain => needed.push(Field::Kind),
            Format::PaystackBalance => {
                needed.extend([Field::Kind, Field::Reference, Field::Fee, Field::Status]);
            }
            Format::PaystackTransactions => needed.push(Field::Reference),
            Format::PaystackTransfers => needed.extend([Field::Reference, Field::Status]),
            Format::BankCsv | Format::Camt053 => {}
        }
        for field in needed {
            if self.at(field).is_none() {
                let names = names(self.format, field).join(" or ");
                return Err(format!("a {} needs a column {names}", self.format));
            }
        }
        let split = self.at(Field::Debit).is_some() && self.at(Field::Credit).is_some();
        let amounts = [
            self.at(Field::Minor),
            self.at(Field::Amount),
            split.then_some(0),
        ];
        match amounts.iter().flatten().count() {
            1 => Ok(()),
            0 => Err(format!("a {} needs a column of amounts", self.format)),
            _ => Err("it has several columns of amounts: keep one".to_owned()),
        }
    }

    /// A record as a line.
    pub(super) fn line<'r>(
        &self,
        number: u64,
        record: &dyn Fn(usize) -> Result<&'r str, String>,
    ) -> Result<Line, String> {
        let text = |field: Field| self.at(field).map_or(Ok(""), record);
        if let (Some(psp), named) = (&self.psp, text(Field::Psp)?)
            && !named.is_empty()
            && named != psp
        {
            return Err(format!(
                "it is of the PSP {named}, the file was said to be of {psp}"
            ));
        }
        let currency: Currency = text(Field::Currency)?.trim().parse()?;
        let status = text(Field::Status)?.trim().to_ascii_lowercase();
        let kind = self.kind(text(Field::Kind)?.trim())?;
        let fee = match (text(Field::Fee)?, self.format) {
            ("", _) => 0,
            (fee, Format::Plain | Format::PaystackBalance) => value::minor("fee", fee)?,
            (fee, _) => value::major("fee", fee, currency)?,
        };
        let fee = value::fee(fee)?;
        let amount = self.amount(&text, currency)?;
        let reference = name("reference", text(Field::Reference)?)?;
        let takes_a_name = matches!(kind, Kind::Payment | Kind::Payout | Kind::Refund);
        if reference.is_none() && takes_a_name {
            return Err(format!("a {} needs a reference", kind.as_str()));
        }
        Ok(Line {
            number,
            statement: 0,
            account: name("account", text(Field::Account)?)?.unwrap_or_default(),
            kind,
            reference,
            external_id: name("id", text(Field::Id)?)?,
            batch: name("batch", text(Field::Batch)?)?,
            currency,
            amount,
            fee,
            booked_at: value::time("the time", text(Field::Time)?)?,
            standing: self.standing(&status)?,
        })
    }

    fn kind(&self, text: &str) -> Result<Kind, String> {
        Ok(match (self.format, text) {
            (Format::PaystackTransactions, _) => Kind::Payment,
            (Format::PaystackTransfers, _) => Kind::Payout,
            (Format::BankCsv | Format::Camt053, _) => Kind::Other,
            (Format::PaystackBalance, "transfer") => Kind::Payout,
            (Format::PaystackBalance, "transfer_return") => Kind::PayoutReturn,
            (_, kind) => Kind::from_name(kind).ok_or_else(|| {
                let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
                format!("{kind:?} is none of {}", known.join(", "))
            })?,
        })
    }

    fn amount<'r>(
        &self,
        text: &dyn Fn(Field) -> Result<&'r str, String>,
        currency: Currency,
    ) -> Result<i64, String> {
        let amount = if self.at(Field::Minor).is_some() {
            value::minor("amount", text(Field::Minor)?)?
        } else if self.at(Field::Amount).is_some() {
            value::major("amount", text(Field::Amount)?, currency)?
        } else {
            let debit = column("debit", text(Field::Debit)?, currency)?;
            let credit = column("credit", text(Field::Credit)?, currency)?;
            match (debit, credit) {
                (Some(debit), None | Some(0)) => debit.saturating_neg(),
                (None | Some(0), Some(credit)) => credit,
                (None, None) => return Err("it has neither a debit nor a credit".to_owned()),
                _ => return Err("it has a debit and a credit: one of them is empty".to_owned()),
            }
        };
        match self.format {
            Format::PaystackTransfers => Ok(amount.saturating_neg()),
            _ => Ok(amount),
        }
    }

    fn standing(&self, status: &str) -> Result<Standing, String> {
        // A balance that was moved and moved back has a line for each.
        let both = self.format == Format::PaystackBalance;
        match status {
            "" | "booked" | "book" | "success" | "successful" | "processed" | "completed" => {
                Ok(Standing::Booked)
            }
            "reversed" if self.format != Format::PaystackTransfers => Ok(Standing::Booked),
            "failed" | "reversed" | "abandoned" if both => Ok(Standing::Booked),
            "pending" | "pdng" | "processing" | "ongoing" | "queued" | "otp" | "received"
            | "needs-attention" | "needs_attention" => Ok(Standing::Pending),
            "failed" | "reversed" | "abandoned" | "rejected" | "void" => Ok(Standing::Void),
            other => Err(format!("its status {other:?} is not known")),
        }
    }
}

/// What stands in the column of what went, or of what came: nothing, or an amount without a sign.
fn column(name: &str, text: &str, currency: Currency) -> Result<Option<i64>, String> {
    match text.trim() {
        "" => Ok(None),
        text => match value::major(name, text, currency)? {
            amount @ 0.. => Ok(Some(amount)),
            _ => Err(format!(
                "{name} {text:?} is below zero; the column says which way it went"
            )),
        },
    }
}

impl Field {
    const ALL: [Self; FIELDS] = [
        Self::Kind,
        Self::Reference,
        Self::Id,
        Self::Batch,
        Self::Currency,
        Self::Minor,
        Self::Amount,
        Self::Debit,
        Self::Credit,
        Self::Fee,
        Self::Status,
        Self::Time,
        Self::Account,
        Self::Psp,
    ];
}
