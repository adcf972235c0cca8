//! Transfers whose answer never came: told with the key under which to repeat them.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use crate::proxy::Proxy;
use crate::support::Tool;

const POST: [&str; 10] = [
    "transfer",
    "post",
    "--from",
    "world",
    "--to",
    "merchant:a",
    "--currency",
    "NGN",
    "--minor",
    "7",
];

/// Posts through `url` against a locked wallet, breaks off, and gives the key that was told.
async fn broken_off(tool: &Tool, url: &str, code: i32, break_off: impl Fn(&Child)) -> String {
    let mut locked = tool.database.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM wallets FOR UPDATE")
        .execute(&mut *locked)
        .await
        .unwrap();
    let mut child = tool
        .command(&POST)
        .env("DATABASE_URL", url)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tool.database.wait_until_blocked().await;
    break_off(&child);
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(code), "{said}");
    locked.rollback().await.unwrap();
    let last = said.lines().last().unwrap();
    assert!(last.contains("unknown: repeat it with --key "), "{said}");
    last.rsplit(' ').next().unwrap().to_owned()
}

fn repeat(tool: &Tool, key: &str) {
    let args: Vec<&str> = POST.iter().copied().chain(["--key", key]).collect();
    let status = tool.json(&args)["status"].clone();
    assert!(status == "posted" || status == "replayed", "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_while_posting_leaves_the_key_to_repeat_with() {
    let tool = Tool::with_wallets("NGN").await;
    let (proxy, url) = Proxy::before(tool.database.url());
    let key = broken_off(&tool, &url, 7, |_| proxy.cut()).await;
    repeat(&tool, &key);
    assert_eq!(tool.balance("merchant:a"), 7);
    assert_eq!(tool.transactions().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_while_posting_leaves_the_key_to_repeat_with() {
    let tool = Tool::with_wallets("NGN").await;
    let url = tool.database.url().to_owned();
    let key = broken_off(&tool, &url, 130, |child| {
        let pid = child.id().to_string();
        let done = Command::new("kill").args(["-INT", &pid]).status();
        assert!(done.unwrap().success());
    })
    .await;
    repeat(&tool, &key);
    assert_eq!(tool.balance("merchant:a"), 7);
    assert_eq!(tool.transactions().await, 1);
}
