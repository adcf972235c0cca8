//! Which formats there are, and whose statements each may be.

use std::fmt;

/// How a statement is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Format {
    /// The documented CSV of Aegis's own, for any PSP or bank.
    Plain,
    /// Every movement of a Paystack balance, in minor units.
    PaystackBalance,
    /// Paystack's export of transactions, or of a payout's transactions.
    PaystackTransactions,
    /// Paystack's export of transfers.
    PaystackTransfers,
    /// A bank statement as CSV.
    BankCsv,
    /// A bank statement as ISO 20022 camt.053 XML.
    Camt053,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Plain,
        Self::PaystackBalance,
        Self::PaystackTransactions,
        Self::PaystackTransfers,
        Self::BankCsv,
        Self::Camt053,
    ];

    /// The name in the schema, on the command line and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::PaystackBalance => "paystack-balance",
            Self::PaystackTransactions => "paystack-transactions",
            Self::PaystackTransfers => "paystack-transfers",
            Self::BankCsv => "bank-csv",
            Self::Camt053 => "camt053",
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// Which of the ledger's transactions the other side would have in such a file: those whose key
    /// is like this.
    #[must_use]
    pub const fn covers(self) -> &'static str {
        match self {
            Self::PaystackTransactions => "aegis:payment:%",
            Self::PaystackTransfers => "aegis:payout:%",
            _ => "%",
        }
    }

    /// Whether a statement of this PSP, or where there is none of a bank, may be written so.
    pub(super) fn check(self, psp: Option<&str>) -> Result<(), String> {
        let is_paystacks = matches!(
            self,
            Self::PaystackBalance | Self::PaystackTransactions | Self::PaystackTransfers
        );
        let is_a_banks = matches!(self, Self::BankCsv | Self::Camt053);
        match psp {
            Some(psp) if is_paystacks && psp != "paystack" => Err(format!(
                "it is an export of Paystack's ({self}), not of {psp}: name the PSP that it is of"
            )),
            Some(psp) if is_a_banks => Err(format!(
                "it is a bank statement ({self}), not of the PSP {psp}: name the bank instead"
            )),
            None if is_paystacks => Err(format!(
                "it is an export of Paystack's ({self}), not a bank statement: name the PSP \
                 paystack instead"
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why nothing of a file is taken.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is of another PSP or another format, or none that is known.
    #[error("{0}")]
    Refused(String),
    /// It can't be read to its end.
    #[error("it can't be read: {0}")]
    Io(#[from] std::io::Error),
    /// It is no well-formed CSV.
    #[error("it can't be read as CSV: {0}")]
    Csv(#[from] csv::Error),
    /// It is no well-formed XML.
    #[error("it can't be read as XML, at line {line}: {problem}")]
    Xml {
        /// Where.
        line: u64,
        /// What is wrong.
        problem: String,
    },
}
