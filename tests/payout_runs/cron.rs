//! What cron and systemd are given.
