//! The DLQ consumer: indexes what arrives on the `.dlq` topics, so that it can be found and decided
//! on. Offsets move only after the rows are committed.

use sqlx::{Connection as _, PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::bus::topics::original_of;
use crate::bus::{Arrived, Handled, Handler};
use crate::event::{DeadLetter, Envelope, brief, digest_id};
use crate::postgres::dead_letters::index::{self, NewLetter};
use crate::postgres::{Failure, STEP_MAX, classify, in_time};
use crate::resilience::failpoint;

/// How often a claim is indexed again after another process indexed the same letters.
const RACES_MAX: u32 = 5;

/// Indexes dead letters; fed by [`crate::bus::feed()`].
#[derive(Debug)]
pub struct Indexer {
    pool: PgPool,
}

impl Handler for Indexer {
    async fn handle(&self, claim: &[Arrived]) -> Handled {
        match self.index(claim, OffsetDateTime::now_utc()).await {
            Ok(_) => Handled {
                done: claim.len(),
                held: None,
            },
            Err(error) => Handled {
                done: 0,
                held: Some(format!("dead letters can't be indexed: {error}")),
            },
        }
    }
}

impl Indexer {
    /// An indexer into this database.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Counts what arrives on these topics, from 0 on: the first that arrives is seen as a rise.
    #[must_use]
    pub fn counting(self, topics: &[&str]) -> Self {
        for topic in topics {
            metrics::counter!("aegis_dead_letters_indexed_total", "topic" => (*topic).to_owned())
                .absolute(0);
        }
        self
    }

    /// Indexes a claim as a whole: how many letters were new.
    ///
    /// # Errors
    /// Where the database fails; nothing is indexed then.
    pub async fn index(&self, claim: &[Arrived], now: OffsetDateTime) -> sqlx::Result<usize> {
        let letters: Vec<NewLetter> = claim.iter().map(|one| new_letter(one, now)).collect();
        let mut races = 0;
        let added = loop {
            match self.try_once(&letters, now).await {
                Err(error) if classify(&error) == Failure::Unique && races < RACES_MAX => {
                    races += 1
                }
                done => break done?,
            }
        };
        failpoint::reach(failpoint::LETTERS_INDEXED);
        for (id, letter) in &added {
            metrics::counter!(
                "aegis_dead_letters_indexed_total", "topic" => letter.topic.clone()
            )
            .increment(1);
            tracing::error!(
                dead_letter = id,
                topic = letter.original_topic,
                error = brief(letter.error.clone()),
                event_id = letter.event_id.map(tracing::field::display),
                correlation_id = letter.correlation_id,
                replay_count = letter.replay_count,
                "a dead letter arrived"
            );
        }
        Ok(added.len())
    }

    async fn try_once<'l>(
        &self,
        letters: &'l [NewLetter],
        now: OffsetDateTime,
    ) -> sqlx::Result<Vec<(i64, &'l NewLetter)>> {
        let mut conn = self.pool.acquire().await?;
        let added = in_time(STEP_MAX, add(&mut conn, letters, now)).await;
        if added.is_err() {
            conn.close_on_drop();
        }
        added
    }
}

async fn add<'l>(
    conn: &mut PgConnection,
    letters: &'l [NewLetter],
    now: OffsetDateTime,
) -> sqlx::Result<Vec<(i64, &'l NewLetter)>> {
    let mut transaction = conn.begin().await?;
    let mut added = Vec::new();
    for letter in letters {
        if let Some(id) = index::add(&mut transaction, letter, now).await? {
            added.push((id, letter));
        }
    }
    transaction.commit().await?;
    Ok(added)
}

/// What the index keeps of a record. One that is no dead letter is kept, too: nothing is lost, and
/// a person sees it.
fn new_letter(arrived: &Arrived, now: OffsetDateTime) -> NewLetter {
    let record = &arrived.record;
    let place = arrived.place.map(|place| (place.partition, place.offset));
    // Other services give a letter its event's id, which the letters of its next lives share.
    let own_id = Envelope::id_of(&record.headers).filter(is_digest);
    let letter_id = match place {
        Some(_) => own_id,
        // Without a place, its bytes are all there is to know it by.
        None => own_id.or_else(|| Some(letter_digest(&record.topic, &record.payload))),
    };
    let mut letter = NewLetter {
        topic: record.topic.clone(),
        place,
        letter_id,
        letter: record.payload.clone(),
        original_topic: original_of(&record.topic)
            .unwrap_or(&record.topic)
            .to_owned(),
        event_id: None,
        ledger: None,
        error: String::new(),
        retry_count: 0,
        failed_at: now,
        correlation_id: Envelope::correlation_id_of(&record.headers).map(str::to_owned),
        replay_count: 0,
        replayed_from: None,
    };
    match DeadLetter::from_json(&record.payload) {
        Ok(read) => {
            letter.event_id = read.event_id();
            letter.ledger = read.ledger().map(str::to_owned);
            letter.replay_count = read.replay_count();
            letter.replayed_from = read.replayed_from();
            letter.original_topic = read.original_topic;
            letter.error = read.error;
            letter.retry_count = read.retry_count;
            letter.failed_at = read.failed_at;
            letter.correlation_id = read.correlation_id.or(letter.correlation_id);
        }
        Err(error) => letter.error = brief(format!("not_a_dead_letter: {error}")),
    }
    letter
}

/// Whether an id is one that [`digest_id`] makes.
fn is_digest(id: &Uuid) -> bool {
    id.get_version() == Some(uuid::Version::Custom)
}

fn letter_digest(topic: &str, payload: &[u8]) -> Uuid {
    digest_id(&[topic.as_bytes(), payload])
}
