//! Which payout money left with: first in, first out.

use aegis::psp::TransferStatus;
use aegis::trace::Thing;

use crate::scene::{Scene, tells_of};

#[tokio::test]
async fn money_leaves_first_in_first_out() {
    let scene = Scene::new().await;
    let (first, second) = (scene.paid(1_000, 0).await, scene.paid(500, 1).await);
    let settled = scene.settle(3).await;
    assert_eq!(settled.len(), 2);
    // 800 of the first; 200 of it with 100 of the second; the rest stays.
    let (one, two) = (scene.pay_out(800).await, scene.pay_out(300).await);
    for (payment, payouts) in [(first, vec![one, two]), (second, vec![two])] {
        let trace = scene.trace(&payment.to_string()).await;
        for payout in [one, two] {
            assert_eq!(
                tells_of(&trace, &Thing::Payout(payout)),
                payouts.contains(&payout)
            );
        }
    }
    for (payout, settlements) in [(one, &settled[..1]), (two, &settled[..])] {
        let trace = scene.trace(&payout.to_string()).await;
        for settlement in &settled {
            assert_eq!(
                tells_of(&trace, &Thing::Settlement(*settlement)),
                settlements.contains(settlement)
            );
        }
        // What it was made of, and not what that was made of, nor what else became of that.
        assert!(!tells_of(&trace, &Thing::Payment(first)));
        let other = if payout == one { two } else { one };
        assert!(!tells_of(&trace, &Thing::Payout(other)));
    }
}

#[tokio::test]
async fn money_that_came_back_is_followed_to_the_payout_that_took_it_again() {
    let scene = Scene::new().await;
    let payment = scene.paid(1_000, 0).await;
    scene.settle(2).await;
    let failed = scene.pay_out(1_000).await;
    scene.told(failed, 1_000, TransferStatus::Failed).await;
    let again = scene.pay_out(600).await;
    let trace = scene.trace(&payment.to_string()).await;
    for payout in [failed, again] {
        assert!(tells_of(&trace, &Thing::Payout(payout)));
    }
    let back = scene.trace(&again.to_string()).await;
    assert!(tells_of(&back, &Thing::Payout(failed)));
}
