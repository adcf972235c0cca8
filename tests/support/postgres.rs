//! A PostgreSQL of a test's own that can be stopped, crashed, killed and started again, from the
//! system's binaries.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests state what must hold"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aegis::postgres::{Settings, migrate};
use sqlx::{Connection as _, PgConnection, PgPool};
use tempfile::TempDir;
use tokio::time::sleep;

use super::PATIENCE;
use super::daemon::{ended, signal};
use super::port::free_port;

/// Runs the server when the tests are root, which PostgreSQL refuses to be.
const USER: &str = "postgres";

/// A cluster in a folder of its own; gone when dropped.
pub(crate) struct Postgres {
    bin: PathBuf,
    data: PathBuf,
    port: u16,
    process: Option<Child>,
    _folder: TempDir,
}

impl Postgres {
    /// Makes a cluster and starts it.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self::made(folder, data).await
    }

    /// Makes a cluster whose data is on this disk, and its log on another, and starts it: without
    /// room for the log it would not go on at all.
    pub(crate) async fn on(disk: &SmallDisk) -> Self {
        Self::made(
            tempfile::tempdir().unwrap(),
            disk.folder.path().join("data"),
        )
        .await
    }

    async fn made(folder: TempDir, data: PathBuf) -> Self {
        let wal = folder.path().join("wal");
        if is_root() {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
            for folder in [&data, &wal] {
                fs::create_dir(folder).unwrap();
                fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
                chown(folder, Some(id_of_user()), None).unwrap();
            }
        }
        let bin = newest_bin();
        let made = as_server(&bin.join("initdb"))
            .args(["-U", "aegis", "--auth=trust", "--encoding=UTF8"])
            // The server syncs all it does; an empty cluster would simply be made again.
            .args(["--locale=C.UTF-8", "--no-sync", "--no-instructions"])
            .arg("--waldir")
            .arg(&wal)
            .arg("-D")
            .arg(&data)
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .expect("initdb runs");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let mut postgres = Self {
            bin,
            data,
            port: free_port(),
            process: None,
            _folder: folder,
        };
        postgres.revive().await;
        postgres
    }

    /// The migrated database that the cluster came with.
    pub(crate) async fn migrated(&self) -> PgPool {
        let settings = Settings::from_url(&self.url()).unwrap();
        migrate::up(&settings).await.expect("the migrations apply");
        settings.pool()
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://aegis@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        )
    }

    /// Where its programs are, `pg_dump` of the server's version among them.
    pub(crate) fn bin(&self) -> &Path {
        &self.bin
    }

    /// The server's address.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Clients are cut off, all is written.
    pub(crate) async fn stop_fast(&mut self) {
        self.stop("-INT").await;
    }

    /// Stopped without a shutdown: the next start recovers from the log.
    pub(crate) async fn stop_immediate(&mut self) {
        self.stop("-QUIT").await;
    }

    /// The postmaster is killed; its backends notice and go.
    pub(crate) async fn kill(&mut self) {
        self.stop("-KILL").await;
    }

    async fn stop(&mut self, how: &str) {
        let mut process = self.process.take().expect("it runs");
        signal(&process, how);
        ended(&mut process).await;
    }

    /// Starts it on the same data and waits until it takes connections.
    pub(crate) async fn revive(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        let started = Instant::now();
        loop {
            let mut process = self.spawn();
            loop {
                if PgConnection::connect(&self.url()).await.is_ok() {
                    self.process = Some(process);
                    return;
                }
                // Backends of a killed postmaster keep the next one off until they are gone.
                if process.try_wait().unwrap().is_some() {
                    break;
                }
                assert!(started.elapsed() < PATIENCE, "PostgreSQL does not start");
                sleep(Duration::from_millis(20)).await;
            }
            assert!(started.elapsed() < PATIENCE, "PostgreSQL does not start");
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn spawn(&self) -> Child {
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "shared_buffers=32MB",
            "max_connections=60",
            "timezone=UTC",
            // What a crash takes away must be seen to be taken away.
            "fsync=on",
            "synchronous_commit=on",
        ];
        as_server(&self.bin.join("postgres"))
            .arg("-D")
            .arg(&self.data)
            .args(["-p", &self.port.to_string()])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("PostgreSQL runs")
    }
}

/// A file system that is soon full; gone when dropped.
pub(crate) struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one, which only root can.
    pub(crate) fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96m,mode=755", "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self { folder })
    }

    /// Takes all the room there is, until it is dropped.
    pub(crate) fn fill(&self) -> Ballast {
        let path = self.folder.path().join("ballast");
        let mut file = fs::File::create(&path).unwrap();
        let block = vec![0; 64 * 1024];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&block[..512]).is_ok() {}
        Ballast(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        // Whoever is still in there goes with the test.
        drop(umount.arg("--lazy").arg(self.folder.path()).status());
    }
}

/// What takes the room.
pub(crate) struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal(&process, "-QUIT");
            let _ = process.wait();
        }
    }
}

fn is_root() -> bool {
    id(&["-u"]) == 0
}

fn id_of_user() -> u32 {
    id(&["-u", USER])
}

fn id(args: &[&str]) -> u32 {
    let output = Command::new("id").args(args).output().unwrap();
    let id = String::from_utf8(output.stdout).unwrap();
    id.trim()
        .parse()
        .unwrap_or_else(|_| panic!("id {args:?} gave {id:?}"))
}

/// A program under the server's user.
fn as_server(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command
            .args([
                format!("--reuid={USER}"),
                format!("--regid={USER}"),
                "--init-groups".to_owned(),
            ])
            .arg("--")
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    // The caller's PGDATA and the like are about another server.
    for (name, _) in std::env::vars() {
        if name.starts_with("PG") {
            command.env_remove(name);
        }
    }
    command
}

fn newest_bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let version = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|version| bin_of(*version).join("initdb").exists())
        .max();
    bin_of(version.expect("PostgreSQL is installed"))
}

fn bin_of(version: u32) -> PathBuf {
    Path::new("/usr/lib/postgresql")
        .join(version.to_string())
        .join("bin")
}
