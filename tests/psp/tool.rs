//! `aegisctl simulator run` as people meet it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use aegis::config::Secret;
use aegis::psp::Psp;
use serde_json::Value;

use crate::scene::{adapter, payment};

fn aegisctl(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aegisctl"));
    command
        .env_clear()
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn it_says_where_it_serves_and_ends_on_ctrl_c_with_a_summary() {
    let directory = tempfile::tempdir().unwrap();
    let args = [
        "-o",
        "jsonl",
        "simulator",
        "run",
        "--port",
        "0",
        "--balance",
        "NGN=5000",
    ];
    let mut child = aegisctl(&args)
        .current_dir(directory.path())
        .env("PAYSTACK_SECRET_KEY", "sk_test_hidden")
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    let serving: Value = serde_json::from_str(&first).unwrap();
    let psp = adapter(serving["base_url"].as_str().unwrap(), |options| {
        options.secret_key = Secret::new("sk_test_hidden");
    });
    psp.initialize(&payment("pay-1", 125_000)).await.unwrap();
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let mut told = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{told}");
    assert!(
        told.contains("1 payments (0 paid)") && told.contains("NGN 50.00"),
        "{told}"
    );
    assert!(!told.contains("sk_test_hidden"), "{told}");
}

#[test]
fn a_wrong_command_line_or_a_taken_port_ends_with_2_and_says_so() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (args, said) in [
        (vec!["--fault", "time-out=1"], "one of timeout"),
        (vec!["--fault", "timeout=2"], "from 0 to 1"),
        (vec!["--balance", "NGN"], "CURRENCY=N"),
        (
            vec!["--webhook-url", "localhost:8080", "--port", "0"],
            "http://host/path",
        ),
        (vec!["--webhook-retries", "soon"], "paystack"),
        (
            vec!["--secret-key", "", "--port", "0"],
            "the secret key is empty",
        ),
        (
            vec!["--hold", "--settle-after-ms", "1"],
            "cannot be used with",
        ),
        (vec!["--port", &port], "choose another --port"),
    ] {
        let args: Vec<&str> = ["simulator", "run"].into_iter().chain(args).collect();
        let ran = aegisctl(&args).output().unwrap();
        let told = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(2), "{args:?}: {told}");
        assert!(told.contains(said), "{args:?}: {told}");
        assert!(ran.stdout.is_empty());
    }
}
