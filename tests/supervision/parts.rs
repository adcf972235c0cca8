//! Every part is needed: where one ends by itself, the supervisor starts the daemon anew.

use crate::common::TestDatabase;
use crate::support::daemon::Settings;

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_ends_by_itself_ends_the_daemon() {
    let database = TestDatabase::create().await;
    for part in ["settlement", "readiness", "gauges", "supervision"] {
        let armed = format!("{part}.turns=panic");
        let settings = Settings::new(database.url()).with("AEGIS_FAILPOINTS", &armed);
        let (code, spoken) = settings.spawn().last_words().await;
        assert_eq!(code, Some(1), "{part}: {spoken:?}");
        let said = format!("the {part} ended by itself; the log says why");
        assert_eq!(spoken, [said]);
    }
}
