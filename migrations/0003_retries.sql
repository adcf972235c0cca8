-- Indexes that hold whatever arrives and however much of it.

-- A message's key may be longer than an entry of an index.
DROP INDEX consumer_retries_lane_idx;
CREATE INDEX consumer_retries_lane_idx ON consumer_retries (consumer, topic, sha256(key), id);

-- BRIN is read by bitmap scans alone, which sessions that go by keys don't make; and as pages are
-- used again, its ranges would grow old.
DROP INDEX consumed_events_consumed_at_idx;
CREATE INDEX consumed_events_consumed_at_idx ON consumed_events (consumed_at);
