//! The connection of a daemon under load cut around its commits.

use std::collections::HashMap;

use fastrand::Rng;

use crate::check::assert_all_is_well;
use crate::commit::{cuts_by, name_of};
use crate::load::Load;
use crate::scene::Scene;
use crate::support::wire::Wire;
use crate::{rounds, seed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_connection_is_cut_around_its_commits_never_answers_wrongly() {
    let seed = seed();
    let scene = Scene::new().await;
    let wire = Wire::before(&scene.server(), cuts_by(Rng::with_seed(seed), 2)).await;
    let daemon = scene.daemon_through(&wire.address).start().await;
    let load = Load::start(8, seed, &[&daemon]);
    load.answers(rounds(400)).await;
    // How many commits that takes depends on how many share one.
    while kinds_of(&wire).len() < 4 {
        load.answers(25).await;
    }
    wire.decide_by(Box::new(|| None));
    load.answers(50).await;
    let log = load.finish().await;
    let odd = log.first_but(&[Some(200), Some(201), Some(422), Some(503)]);
    assert!(odd.is_none(), "{odd:?}");
    scene.all_published().await;
    assert_eq!(daemon.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}; {:?}", kinds_of(&wire));
}

/// How many cuts of each kind took place.
fn kinds_of(wire: &Wire) -> HashMap<&'static str, usize> {
    let mut kinds = HashMap::new();
    for cut in wire.cuts() {
        *kinds.entry(name_of(cut)).or_default() += 1;
    }
    kinds
}
