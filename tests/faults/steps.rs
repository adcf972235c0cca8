//! `kill -9` at each step of a posting and of the relay, by the fail points of a debug build.

use crate::check::{Findings, assert_all_is_well};
use crate::load::{BULK_BYTES, Load};
use crate::scene::Scene;
use crate::seen::Log;
use crate::support::daemon::Daemon;
use crate::support::topic::DaemonTopic;
use crate::{long, rounds, seed};

/// By small claims the relay is always at one.
const CLAIM_ROWS: (&str, &str) = ("RELAY_CLAIM_ROWS_MAX", "8");

/// Has a daemon die at that place over and over, the n-th time that it gets there.
async fn killed_at(place: &str) -> (Findings, Log) {
    let seed = seed();
    let mut rng = fastrand::Rng::with_seed(seed);
    let scene = Scene::new().await;
    let settings = scene.daemon().with(CLAIM_ROWS.0, CLAIM_ROWS.1);
    let load = Load::start(8, seed, &[]);
    for _ in 0..rounds(3) {
        let fails = format!("{place}=kill@{}", rng.u8(1..30));
        let mut daemon = settings
            .clone()
            .with("AEGIS_FAILPOINTS", &fails)
            .start()
            .await;
        load.aim(&[&daemon]);
        dies(&mut daemon).await;
    }
    let daemon = settings.start().await;
    load.aim(&[&daemon]);
    load.answers(100).await;
    let log = load.finish().await;
    let odd = log.first_but(&[None, Some(200), Some(201), Some(422)]);
    assert!(odd.is_none(), "{odd:?}");
    scene.all_published().await;
    assert_eq!(daemon.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{place}: {found}; {} calls broken", log.broken());
    (found, log)
}

async fn dies(daemon: &mut Daemon) {
    let ended = daemon.ended().await;
    assert_eq!(ended.code(), None, "by a signal, not by itself");
    daemon.logged("a fail point is reached").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_it_commits_nothing_of_it_is_there_until_it_is_sent_again() {
    let (_, log) = killed_at("posting.commits").await;
    assert!(log.broken() > 0, "no request was under way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_it_committed_the_same_key_tells_what_was_posted() {
    let (found, log) = killed_at("posting.committed").await;
    assert!(log.broken() > 0, "no request was under way");
    assert!(found.replayed > 0, "what was committed was never told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_with_a_claim_in_hand_its_events_go_out_later() {
    let (found, _) = killed_at("relay.claimed").await;
    assert_eq!(found.repeats, 0, "they had not gone out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_kafka_acknowledged_the_events_go_out_again_under_their_ids() {
    let (found, _) = killed_at("relay.published").await;
    assert!(found.repeats > 0, "they had gone out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_a_dead_letter_and_its_event_the_letter_comes_again_under_its_id() {
    let (found, bulky, deaths) = refused_events_are_buried(true).await;
    assert_eq!(found.letters, bulky + deaths, "each death buried one again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kafka_refuses_becomes_a_dead_letter_while_others_pass() {
    let (found, bulky, _) = refused_events_are_buried(false).await;
    assert_eq!(found.letters, bulky);
}

/// Some events are too large for their topic. What was found, how many were too large, and how
/// often the daemon was killed as it had buried one.
async fn refused_events_are_buried(killed: bool) -> (Findings, usize, usize) {
    let seed = seed();
    let bytes_max = u32::try_from(BULK_BYTES * 3 / 4).unwrap();
    let scene = Scene::with_topic(DaemonTopic::narrow(bytes_max).await).await;
    // In the long form each of a few takes its 31 s, one of a key behind the other.
    let hurry = (killed || !long()).then(|| scene.hurry());
    let settings = scene.daemon().with(CLAIM_ROWS.0, CLAIM_ROWS.1);
    let load = Load::bulky(1, seed, &[]);
    let deaths = if killed { rounds(2) } else { 0 };
    for _ in 0..deaths {
        let fails = settings
            .clone()
            .with("AEGIS_FAILPOINTS", "relay.buried=kill");
        let mut daemon = fails.start().await;
        load.aim(&[&daemon]);
        dies(&mut daemon).await;
    }
    let daemon = settings.start().await;
    load.aim(&[&daemon]);
    load.answers(20).await;
    if !killed {
        scene.some_refused().await;
    }
    let log = load.finish().await;
    scene.all_published().await;
    drop(hurry);
    assert_eq!(daemon.stop().await, Some(0));
    let bulky = log
        .sent
        .iter()
        .filter(|sent| sent.bulky && sent.is_posted());
    let bulky = bulky.count();
    assert!(bulky > 0, "none was too large");
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}; {bulky} were too large");
    (found, bulky, usize::try_from(deaths).unwrap())
}
