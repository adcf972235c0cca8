//! Query parameters that are wrong.

use crate::support::TestApi;

#[tokio::test]
async fn a_wrong_parameter_is_refused_by_name() {
    let api = TestApi::new().await;
    let lists = [
        "/v1/ledgers?",
        "/v1/ledgers/main/wallets?",
        "/v1/ledgers/main/wallets/shop/entries?",
        "/v1/ledgers/main/transactions?reference=r&",
    ];
    let limits = ["", "0", "-1", "1001", "1.5", "x", "99999999999999999999"];
    for list in lists {
        for limit in limits {
            refused(
                &api,
                &format!("{list}limit={limit}"),
                "fields_invalid",
                "limit",
            )
            .await;
        }
        for after in ["", "%00", "x", "!!!", "_w"] {
            refused(
                &api,
                &format!("{list}after={after}"),
                "fields_invalid",
                "after",
            )
            .await;
        }
        refused(&api, &format!("{list}limmit=5"), "fields_invalid", "limmit").await;
        refused(
            &api,
            &format!("{list}limit=5&limit=6"),
            "fields_invalid",
            "limit",
        )
        .await;
    }
    for path in [
        "/v1/ledgers/main/wallets",
        "/v1/ledgers/main/wallets/shop",
        "/v1/ledgers/main/wallets/shop/entries",
    ] {
        for currency in ["", "ngn", "XXX", "NAIRA"] {
            let path = format!("{path}?currency={currency}");
            refused(&api, &path, "currency_unknown", "currency").await;
        }
    }
    for (path, name) in [
        ("/v1/ledgers/main/wallets/shop", "at"),
        ("/v1/ledgers/main/wallets/shop/entries", "from"),
        ("/v1/ledgers/main/wallets/shop/entries", "to"),
    ] {
        // A bare plus sign is a space in a query.
        for time in [
            "",
            "yesterday",
            "2026-01-01",
            "2026-01-01T00:00:00+01:00",
            "9999-01-01T00:00:00Z",
        ] {
            refused(
                &api,
                &format!("{path}?{name}={time}"),
                "fields_invalid",
                name,
            )
            .await;
        }
    }
    for prefix in ["%00", "A", "a%20b", &"a".repeat(256)] {
        let path = format!("/v1/ledgers/main/wallets?prefix={prefix}");
        refused(&api, &path, "fields_invalid", "prefix").await;
    }
    for path in ["/v1/ledgers/main", "/v1/ledgers/main/balances"] {
        refused(&api, &format!("{path}?x=1"), "fields_invalid", "x").await;
    }
}

#[tokio::test]
async fn a_search_for_transactions_needs_exactly_one_thing_to_search_by() {
    let api = TestApi::new().await;
    let path = "/v1/ledgers/main/transactions";
    refused(&api, path, "fields_invalid", "reference").await;
    let both = format!("{path}?reference=a&correlation_id=b");
    refused(&api, &both, "fields_invalid", "correlation_id").await;
    for name in ["reference", "correlation_id"] {
        for value in ["%00", "a%0Ab", &"x".repeat(256)] {
            refused(
                &api,
                &format!("{path}?{name}={value}"),
                "fields_invalid",
                name,
            )
            .await;
        }
    }
}

async fn refused(api: &TestApi, path: &str, code: &str, field: &str) {
    let answer = api.get(path).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (422, code),
        "{path}: {}",
        answer.body
    );
    assert_eq!(answer.fields(), [field], "{path}: {}", answer.body);
}
