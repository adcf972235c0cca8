//! Merchants.

use serde::Serialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::WalletView;
use crate::ledger::{Ledger, Wallet};
use crate::merchant::{AgreedTerms, Merchant};

/// A merchant with the terms in force in each of its currencies.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MerchantView {
    /// Its permanent name, a segment of its wallets' addresses.
    pub id: String,
    /// The ledger's name.
    pub ledger: String,
    /// As people call it.
    pub name: String,
    /// `active` or `frozen`.
    pub status: &'static str,
    /// Since when it is known, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// In order of currency.
    pub terms: Vec<AgreedTermsView>,
}

/// A merchant with its terms in force, and what it has.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MerchantDetailView {
    /// The merchant.
    #[serde(flatten)]
    pub merchant: MerchantView,
    /// Its wallets, in order of address and currency.
    pub wallets: Vec<WalletView>,
}

impl MerchantDetailView {
    /// The view of a merchant of this ledger with its wallets.
    #[must_use]
    pub fn new(ledger: &Ledger, merchant: MerchantView, wallets: &[Wallet]) -> Self {
        Self {
            merchant,
            wallets: wallets.iter().map(|w| WalletView::new(ledger, w)).collect(),
        }
    }
}

/// Terms as they were agreed on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AgreedTermsView {
    /// ISO 4217 code.
    pub currency: String,
    /// From 1 without gaps; the highest one is in force.
    pub version: i32,
    /// What was agreed on.
    #[schema(value_type = Object)]
    pub terms: Box<RawValue>,
    /// Since when, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub made_at: OffsetDateTime,
    /// By whom it was written down.
    pub made_by: String,
}

impl MerchantView {
    /// The view of a merchant of this ledger.
    #[must_use]
    pub fn new(ledger: &Ledger, merchant: &Merchant, terms: &[AgreedTerms]) -> Self {
        Self {
            id: merchant.id.to_string(),
            ledger: ledger.name.to_string(),
            name: merchant.name.clone(),
            status: merchant.status.as_str(),
            created_at: merchant.created_at,
            terms: terms.iter().map(AgreedTermsView::from).collect(),
        }
    }
}

impl From<&AgreedTerms> for AgreedTermsView {
    fn from(agreed: &AgreedTerms) -> Self {
        // Terms are written as canonical JSON.
        let terms = RawValue::from_string(agreed.terms.to_string()).unwrap_or_default();
        Self {
            currency: agreed.currency.to_string(),
            version: agreed.version,
            terms,
            made_at: agreed.made_at,
            made_by: agreed.made_by.clone(),
        }
    }
}
