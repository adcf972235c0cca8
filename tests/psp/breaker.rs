//! What counts against the provider, and what does not.

use aegis::psp::{Psp, PspError};
use aegis::resilience::breaker::BreakerState;
use aegis::simulator::{Armed, Fault};

use crate::scene::{Scene, transfer};

#[tokio::test]
async fn five_unknown_outcomes_in_a_row_open_it_and_the_next_call_is_not_made() {
    let scene = Scene::new().await;
    scene.simulator.arm(Armed {
        times: 5,
        ..Armed::next(Fault::ServerError)
    });
    for _ in 0..5 {
        let answered = scene.psp.verify("pay-1").await;
        assert!(
            matches!(answered, Err(PspError::Unknown { .. })),
            "{answered:?}"
        );
    }
    let turned_away = scene.psp.verify("pay-1").await.unwrap_err();
    assert!(
        matches!(turned_away, PspError::TurnedAway(_)),
        "{turned_away}"
    );
    assert!(!turned_away.may_have_happened());
    let report = scene.psp.breaker();
    assert_eq!(
        (report.name, report.state),
        ("paystack", BreakerState::Open)
    );
}

#[tokio::test]
async fn four_unknown_outcomes_and_an_answer_leave_it_closed() {
    let scene = Scene::new().await;
    for _ in 0..3 {
        scene.simulator.arm(Armed {
            times: 4,
            ..Armed::next(Fault::Garbage)
        });
        for _ in 0..4 {
            scene.psp.verify("pay-1").await.unwrap_err();
        }
        scene.psp.verify("pay-1").await.unwrap();
    }
    assert_eq!(scene.psp.breaker().state, BreakerState::Closed);
}

#[tokio::test]
async fn a_no_and_too_many_calls_do_not_open_it() {
    let scene = Scene::new().await;
    let recipient = scene.recipient().await;
    for n in 0..10 {
        let reference = format!("po_{n}");
        scene.arm(Fault::LowBalance);
        let no = scene
            .psp
            .transfer(&transfer(&reference, 1_000, &recipient))
            .await;
        assert!(matches!(no, Err(PspError::Refused { .. })), "{no:?}");
        scene.arm(Fault::RateLimit);
        let later = scene
            .psp
            .transfer(&transfer(&reference, 1_000, &recipient))
            .await;
        assert!(
            matches!(later, Err(PspError::RateLimited { .. })),
            "{later:?}"
        );
    }
    let report = scene.psp.breaker();
    assert_eq!((report.state, report.failures), (BreakerState::Closed, 0));
}
