//! What the README has one try by hand.

use std::time::Duration;

use crate::common::TestDatabase;
use crate::pages::page;
use crate::session::Session;
use crate::support::daemon::Settings;

#[tokio::test]
async fn the_readmes_commands_work_as_written() {
    let database = TestDatabase::create().await;
    let aegisd = Settings::new(database.url()).start().await;
    let port = aegisd.address.rsplit(':').next().unwrap();
    let session = Session::new(database.url()).instead("8080", port);
    let running = move || session.run(&page("README.md"), Duration::from_secs(120));
    let said = tokio::task::spawn_blocking(running).await.unwrap();
    // One transfer by the tool, one over HTTP.
    assert!(said.contains("hash_chain  yes"), "{said}");
    assert!(said.contains("2500.00"), "{said}");
}
