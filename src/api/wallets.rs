//! Wallets: making, finding and listing them. Only posting changes their balances.

use axum::extract::State;
use axum::response::Response;

use super::ApiState;
use super::body::JsonBody;
use super::extract::{InLedger, WalletSegment};
use super::fields::Object;
use super::kinds;
use super::problem::Problem;
use super::query::Params;
use super::respond;
use super::schema::{Page, WalletAnswer, WalletRequest};
use super::state::database;
use super::values::Minor;
use crate::ledger::{Address, Currency, Ledger, Wallet, WalletRef};
use crate::postgres::{transactions, wallets};
use crate::view::{PastWalletView, WalletView};

struct Wanted {
    address: Address,
    currency: Currency,
    min_balance: Option<i64>,
}

/// Make a wallet
///
/// A wallet of the same address, currency and minimum balance is answered as a repeat, as it stands.
#[utoipa::path(post, path = "/v1/ledgers/{ledger}/wallets", tag = "wallets",
    request_body = WalletRequest,
    responses(
        (status = 201, description = "Made, now or before.", body = WalletView),
    ),
)]
pub(super) async fn create(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    body: JsonBody,
) -> Result<Response, Problem> {
    let Wanted {
        address,
        currency,
        min_balance,
    } = body.read(wanted)?;
    let (wallet, made_now) = database!(state, |conn| wallets::create(
        conn,
        ledger.id,
        &address,
        currency,
        min_balance
    ));
    if wallet.min_balance != min_balance {
        let bound = |bound: Option<i64>| bound.map_or("null".to_owned(), |b| b.to_string());
        let detail = format!(
            "The wallet {address} in {currency} exists with min_balance {} instead of {}.",
            bound(wallet.min_balance),
            bound(min_balance)
        );
        return Err(Problem::new(kinds::WALLET_EXISTS, detail));
    }
    respond::made(made_now, &WalletView::new(&ledger, &wallet))
}

fn wanted(object: &mut Object<'_, '_>) -> Option<Wanted> {
    let address = object.required("address");
    let currency = object.required("currency");
    let min_balance = match object.nullable("min_balance") {
        None => Some(0),
        Some(bound) => bound.map(|Minor(bound)| bound),
    };
    if let Some(bound) = min_balance.filter(|bound| *bound > 0) {
        let problem = format!(
            "is {bound}, and a wallet starts with 0: write 0, a negative integer, or null for no \
             bound"
        );
        object.wrong("min_balance", problem);
    }
    Some(Wanted {
        address: address?,
        currency: currency?,
        min_balance,
    })
}

/// List wallets
///
/// In order of address and currency.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/wallets", tag = "wallets",
    params(
        ("prefix" = Option<String>, Query, description = "Only addresses that begin so."),
        ("currency" = Option<String>, Query, description = "Only this currency."),
        ("limit" = Option<i64>, Query),
        ("after" = Option<String>, Query),
    ),
    responses((status = 200, description = "A page of wallets.", body = Page<WalletView>)),
)]
pub(super) async fn list(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    mut params: Params,
) -> Result<Response, Problem> {
    let prefix = params.text("prefix");
    let is_prefix = |prefix: &str| {
        prefix.len() <= 255
            && prefix
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b':'))
    };
    if prefix.as_deref().is_some_and(|prefix| !is_prefix(prefix)) {
        params.wrong(
            "prefix",
            "is no beginning of an address: write such as merchant:acme:",
        );
    }
    let currency = params.currency();
    let limit = params.limit();
    let after = params.after(|position| {
        let (address, currency) = position.split_once(' ')?;
        let (address, currency): (Address, Currency) =
            (address.parse().ok()?, currency.parse().ok()?);
        Some((address.to_string(), currency.to_string()))
    });
    params.finish()?;
    let filter = wallets::Filter {
        prefix,
        currency,
        after,
        limit: limit.saturating_add(1),
    };
    let rows = database!(state, |conn| wallets::list(conn, ledger.id, &filter));
    let page = Page::cut(rows, limit, |last| {
        format!("{} {}", last.address, last.currency)
    });
    respond::ok(&page.map(|wallet| WalletView::new(&ledger, &wallet)))
}

/// Get a wallet
///
/// By its id, or by its address and currency. With `at`, its balance as it stood then.
#[utoipa::path(get, path = "/v1/ledgers/{ledger}/wallets/{wallet}", tag = "wallets",
    params(
        ("wallet" = String, Path, description = "Address or id.", example = "merchant:acme:available"),
        ("currency" = Option<String>, Query, description = "Needed where the address has wallets in several currencies."),
        ("at" = Option<String>, Query, description = "RFC 3339: the balance after all that was recorded before this time."),
    ),
    responses(
        (status = 200, description = "The wallet; with `at`, its balance then.", body = WalletAnswer),
    ),
)]
pub(super) async fn show(
    State(state): State<ApiState>,
    InLedger(ledger): InLedger,
    WalletSegment(name): WalletSegment,
    mut params: Params,
) -> Result<Response, Problem> {
    let currency = params.currency();
    let at = params.time("at");
    params.finish()?;
    let wallet = named(&state, &ledger, &name, currency).await?;
    let Some(at) = at else {
        return respond::ok(&WalletAnswer::Now(WalletView::new(&ledger, &wallet)));
    };
    let (balance, version) = database!(state, |conn| transactions::balance_before(
        conn, ledger.id, wallet.id, at
    ));
    let past = PastWalletView::new(&ledger, &wallet, at, balance, version);
    respond::ok(&WalletAnswer::Past(past))
}

/// The one wallet that an address or id, and perhaps a currency, name.
pub(super) async fn named(
    state: &ApiState,
    ledger: &Ledger,
    name: &str,
    currency: Option<Currency>,
) -> Result<Wallet, Problem> {
    let wallet: WalletRef = name
        .parse()
        .map_err(|problem: String| Problem::new(kinds::WALLET_NOT_FOUND, problem))?;
    let found = database!(state, |conn| wallets::find(
        conn, ledger.id, &wallet, currency
    ));
    if let [_, _, ..] = found.as_slice() {
        let currencies: Vec<&str> = found.iter().map(|wallet| wallet.currency.code()).collect();
        let detail = format!(
            "The address {wallet} has wallets in {}: add ?currency= with one of them.",
            currencies.join(", ")
        );
        return Err(Problem::new(kinds::CURRENCY_NEEDED, detail));
    }
    found.into_iter().next().ok_or_else(|| {
        let suffix = currency.map_or(String::new(), |currency| format!(" in {currency}"));
        let detail = format!(
            "There is no wallet {wallet}{suffix} in ledger {}.",
            ledger.name
        );
        Problem::new(kinds::WALLET_NOT_FOUND, detail)
    })
}
