//! Reading wallets, entries, transactions and balances, page by page.

use std::collections::HashSet;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::TestApi;

async fn transfers(api: &TestApi, count: usize, extra: Value) {
    let transfers: Vec<Value> = (0..count)
        .map(|n| {
            let mut item = json!({
                "idempotency_key": format!("{extra}-{n}"), "source": "world", "destination": "shop",
                "currency": "NGN", "amount": n + 1,
            });
            item.as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            item
        })
        .collect();
    let body = json!({"transfers": transfers});
    let answer = api
        .post("/v1/ledgers/main/transfers/batch", "k", body)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// All items of a list, read by pages of this size.
async fn all(api: &TestApi, list: &str, limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let mut after = String::new();
    loop {
        let answer = api.get(&format!("{list}limit={limit}{after}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page = answer.body["items"].as_array().unwrap();
        assert!(page.len() <= limit);
        items.extend(page.iter().cloned());
        match answer.body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return items,
        }
    }
}

#[tokio::test]
async fn pages_of_every_size_give_the_same_list() {
    let api = TestApi::new().await;
    transfers(&api, 7, json!({"reference": "r", "correlation_id": "c"})).await;
    for n in 0..4 {
        api.post("/v1/ledgers", "k", json!({"name": format!("l{n}")}))
            .await;
        let body = json!({"address": format!("m:{n}"), "currency": "NGN"});
        api.post("/v1/ledgers/main/wallets", "k", body).await;
    }
    for (list, count) in [
        ("/v1/ledgers?", 5),
        ("/v1/ledgers/main/wallets?", 7),
        ("/v1/ledgers/main/wallets?prefix=m:&", 4),
        ("/v1/ledgers/main/wallets?currency=USD&", 0),
        ("/v1/ledgers/main/wallets/shop/entries?", 7),
        ("/v1/ledgers/main/transactions?reference=r&", 7),
        ("/v1/ledgers/main/transactions?correlation_id=c&", 7),
        ("/v1/ledgers/main/transactions?reference=none&", 0),
    ] {
        let whole = all(&api, list, 1_000).await;
        assert_eq!(whole.len(), count, "{list}");
        let distinct: HashSet<String> = whole.iter().map(Value::to_string).collect();
        assert_eq!(distinct.len(), count, "{list}");
        for limit in 1..=8 {
            assert_eq!(all(&api, list, limit).await, whole, "{list} by {limit}");
        }
    }
}

#[tokio::test]
async fn a_wallet_is_found_by_address_and_by_id() {
    let api = TestApi::new().await;
    let by_address = api.get("/v1/ledgers/main/wallets/shop").await;
    assert_eq!(by_address.status, 200);
    let id = by_address.body["id"].as_str().unwrap();
    for path in [
        id.to_owned(),
        format!("{id}?currency=NGN"),
        "shop?currency=NGN".to_owned(),
    ] {
        let found = api.get(&format!("/v1/ledgers/main/wallets/{path}")).await;
        assert_eq!(found.body, by_address.body, "{path}");
    }
}

#[tokio::test]
async fn an_address_of_several_wallets_needs_its_currency() {
    let api = TestApi::new().await;
    let body = json!({"address": "shop", "currency": "USD"});
    api.post("/v1/ledgers/main/wallets", "k", body).await;
    for path in [
        "/v1/ledgers/main/wallets/shop",
        "/v1/ledgers/main/wallets/shop/entries",
    ] {
        let answer = api.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (422, "currency_needed")
        );
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains("NGN, USD"), "{detail}");
        assert_eq!(api.get(&format!("{path}?currency=USD")).await.status, 200);
    }
}

#[tokio::test]
async fn a_wallets_balance_is_known_at_any_time() {
    let api = TestApi::new().await;
    let transfer =
        json!({"source": "world", "destination": "shop", "currency": "NGN", "amount": 5});
    let mut times = Vec::new();
    for key in ["a", "b"] {
        let posted = api
            .post("/v1/ledgers/main/transfers", key, transfer.clone())
            .await;
        let at = posted.body["recorded_at"].as_str().unwrap();
        times.push(OffsetDateTime::parse(at, &Rfc3339).unwrap());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let millisecond = time::Duration::MILLISECOND;
    for (at, balance, version) in [
        (times[0], 0, 0),
        (times[0] + millisecond, 5, 1),
        (times[1], 5, 1),
        (times[1] + millisecond, 10, 2),
    ] {
        let text = at.format(&Rfc3339).unwrap();
        let answer = api
            .get(&format!("/v1/ledgers/main/wallets/shop?at={text}"))
            .await;
        assert_eq!(answer.body["balance"], balance, "{}", answer.body);
        assert_eq!(answer.body["version"], version, "{}", answer.body);
        let from = api
            .get(&format!(
                "/v1/ledgers/main/wallets/shop/entries?from={text}"
            ))
            .await;
        assert_eq!(from.body["items"].as_array().unwrap().len(), 2 - version);
        let to = api
            .get(&format!("/v1/ledgers/main/wallets/shop/entries?to={text}"))
            .await;
        assert_eq!(to.body["items"].as_array().unwrap().len(), version);
    }
}

#[tokio::test]
async fn entries_carry_the_chain() {
    let api = TestApi::new().await;
    transfers(&api, 2, json!({"reference": "r"})).await;
    let answer = api.get("/v1/ledgers/main/wallets/shop/entries").await;
    let entries = answer.body["items"].as_array().unwrap();
    assert_eq!(
        (&entries[1]["version"], &entries[1]["balance_after"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(
        (&entries[1]["kind"], &entries[1]["reference"]),
        (&json!("transfer"), &json!("r"))
    );
    assert_eq!(entries[1]["hash"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn balances_sum_to_zero_in_every_currency() {
    let api = TestApi::new().await;
    transfers(&api, 3, json!({})).await;
    let answer = api.get("/v1/ledgers/main/balances").await;
    assert_eq!(answer.body["balanced"], true);
    let ngn = &answer.body["currencies"][0];
    assert_eq!(
        (&ngn["currency"], &ngn["wallets"]),
        (&json!("NGN"), &json!(3))
    );
    assert_eq!((&ngn["balance"], &ngn["held"]), (&json!(0), &json!(0)));
    let shop = json!({"segment": "shop", "wallets": 1, "balance": 6, "held": 0});
    assert_eq!(ngn["segments"][1], shop);
}
