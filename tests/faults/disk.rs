//! The database's disk full, for real: a small file system of its own, which takes root.

use crate::check::assert_all_is_well;
use crate::load::Load;
use crate::scene::Scene;
use crate::support::postgres::{Postgres, SmallDisk};
use crate::{rounds, seed};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_disk_is_full_turns_postings_away_until_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not root: no disk can be made small; a trigger stands in for it in tests/api");
        return;
    };
    let seed = seed();
    let postgres = Postgres::on(&disk).await;
    let scene = Scene::on(&postgres).await;
    let mut daemon = scene.daemon().start().await;
    let load = Load::start(4, seed, &[&daemon]);
    for _ in 0..rounds(1) {
        load.answers(100).await;
        let ballast = disk.fill();
        load.unavailable(20).await;
        assert!(daemon.runs());
        drop(ballast);
        load.answers(100).await;
    }
    let log = load.finish().await;
    let odd = log.first_but(&[Some(200), Some(201), Some(422), Some(503)]);
    assert!(odd.is_none(), "{odd:?}");
    let full = log.calls.iter().filter(|call| call.status == Some(503));
    for call in full {
        assert!(call.retry_after, "{call:?}");
        let told = call.problem.as_deref().unwrap_or_default();
        assert!(told.contains("database_exhausted"), "{told}");
    }
    scene.all_published().await;
    assert_eq!(daemon.stop().await, Some(0));
    let found = assert_all_is_well(&scene, &log).await;
    eprintln!("{found}; {} answers of 503", log.count(503));
}
