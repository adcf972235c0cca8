//! A definite no, and what is no less definite.

use aegis::psp::{Psp, PspError};
use aegis::simulator::Fault;

use crate::scene::{Scene, ada, payment, refund, transfer};

fn code(error: &PspError) -> &str {
    match error {
        PspError::Refused { code, .. } => code,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_reference_that_was_used_is_told_apart_from_a_no() {
    let scene = Scene::new().await;
    let recipient = scene.recipient().await;
    let sent = transfer("po_1", 90_000, &recipient);
    scene.psp.transfer(&sent).await.unwrap();
    let again = scene.psp.transfer(&sent).await.unwrap_err();
    assert_eq!(
        again,
        PspError::ReferenceTaken {
            reference: "po_1".to_owned()
        }
    );
    assert!(again.may_have_happened(), "the first one did");
    scene
        .psp
        .initialize(&payment("pay-1", 5_000))
        .await
        .unwrap();
    let again = scene
        .psp
        .initialize(&payment("pay-1", 5_000))
        .await
        .unwrap_err();
    assert_eq!(
        again,
        PspError::ReferenceTaken {
            reference: "pay-1".to_owned()
        }
    );
    scene
        .simulator
        .with_books(|books| assert_eq!(books.transfers().count(), 1));
}

#[tokio::test]
async fn a_no_is_definite_and_has_a_code() {
    let scene = Scene::new().await;
    let recipient = scene.recipient().await;
    let psp = &scene.psp;
    let too_much = psp
        .transfer(&transfer("po_1", 900_000_000, &recipient))
        .await
        .unwrap_err();
    assert_eq!(code(&too_much), "insufficient_balance");
    assert!(!too_much.may_have_happened());
    scene.arm(Fault::LowBalance);
    let low = psp
        .transfer(&transfer("po_2", 1_000, &recipient))
        .await
        .unwrap_err();
    assert_eq!(code(&low), "insufficient_balance");
    let nobody = psp
        .transfer(&transfer("po_3", 1_000, "RCP_nobody"))
        .await
        .unwrap_err();
    assert_eq!(code(&nobody), "invalid_transfer_recipient");
    let unpaid = psp.initialize(&payment("pay-1", 5_000)).await.unwrap();
    let unpaid = psp
        .refund(&refund(&unpaid.reference, 5_000, "n"))
        .await
        .unwrap_err();
    assert_eq!(code(&unpaid), "transaction_not_successful");
    let mut nameless = payment("pay-2", 5_000);
    nameless.email = "nobody".to_owned();
    assert_eq!(
        code(&psp.initialize(&nameless).await.unwrap_err()),
        "invalid_params"
    );
    scene
        .simulator
        .with_books(|books| assert_eq!(books.transfers().count(), 0));
}

#[tokio::test]
async fn a_wrong_key_is_a_no_to_everything() {
    let scene = Scene::new().await;
    let psp = crate::scene::adapter(&scene.simulator.base_url(), |options| {
        options.secret_key = aegis::config::Secret::new("sk_test_wrong");
    });
    assert_eq!(code(&psp.verify("pay-1").await.unwrap_err()), "invalid_Key");
    assert_eq!(
        code(&psp.verify_transfer("po_1").await.unwrap_err()),
        "invalid_Key"
    );
    assert_eq!(
        code(&psp.create_recipient(&ada()).await.unwrap_err()),
        "invalid_Key"
    );
}

#[tokio::test]
async fn what_paystack_would_not_take_is_not_sent() {
    let scene = Scene::new().await;
    let psp = crate::scene::adapter("http://127.0.0.1:1", |_| ());
    let code_of = |error: PspError| code(&error).to_owned();
    assert_eq!(
        code_of(psp.verify("../balance").await.unwrap_err()),
        "reference_not_allowed"
    );
    assert_eq!(
        code_of(psp.verify_transfer("PO-1").await.unwrap_err()),
        "reference_not_allowed"
    );
    let zero = psp
        .transfer(&transfer("po_1", 0, "RCP_a"))
        .await
        .unwrap_err();
    assert_eq!(code_of(zero), "amount_not_positive");
    let negative = psp.initialize(&payment("pay-1", -1)).await.unwrap_err();
    assert_eq!(code_of(negative), "amount_not_positive");
    assert_eq!(
        code_of(psp.refunds_of("1&perPage=1").await.unwrap_err()),
        "id_not_allowed"
    );
    drop(scene);
}
