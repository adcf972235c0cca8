//! Imports that were killed, interrupted or cut off, and went on.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::proxy::Proxy;
use crate::support::{Tool, rows_of_csv};

const ROWS: i64 = 4_000;

fn input() -> String {
    let rows: String = (1..=ROWS)
        .map(|n| format!("k{n},world,merchant:a,NGN,{n}\n"))
        .collect();
    format!("key,from,to,currency,minor\n{rows}")
}

/// Waits until the outcomes have so many lines.
fn wait_for_lines(tool: &Tool, name: &str, lines: usize) {
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(tool.path(name)).unwrap_or_default();
        if text.lines().count() >= lines {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "only {}",
            text.lines().count()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn signal(child: &Child, name: &str) {
    let done = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(done.success());
}

async fn check_complete(tool: &Tool, name: &str) {
    let outcomes = rows_of_csv(&tool.read(name));
    assert_eq!(outcomes.len(), usize::try_from(ROWS).unwrap());
    for (n, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome["line"], (n + 2).to_string());
        assert!(
            outcome["status"] == "posted" || outcome["status"] == "replayed",
            "{outcome}"
        );
        assert_ne!(outcome["transaction_id"], "");
    }
    assert_eq!(tool.transactions().await, ROWS);
    assert_eq!(tool.balance("merchant:a"), ROWS * (ROWS + 1) / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_killed_goes_on_and_posts_nothing_twice() {
    let tool = Tool::with_wallets("NGN").await;
    tool.file("in.csv", input());
    let import = [
        "-o",
        "json",
        "transfer",
        "import",
        "in.csv",
        "--outcomes",
        "out.csv",
        "--batch",
        "50",
    ];
    let resume: Vec<&str> = import.iter().copied().chain(["--resume"]).collect();
    for lines in [1, 300, 700] {
        let mut child = tool
            .command(&resume)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for_lines(&tool, "out.csv", lines);
        signal(&child, "-KILL");
        child.wait().unwrap();
    }
    let mut torn = tool.read("out.csv");
    assert!(
        torn.lines().count() < usize::try_from(ROWS).unwrap(),
        "it was killed too late"
    );
    torn.push_str("999,k99");
    tool.file("out.csv", torn);
    let summary = tool.run(&resume).exits(0).json();
    assert_eq!(summary["read"], ROWS);
    let effect = summary["posted"].as_i64().unwrap() + summary["replayed"].as_i64().unwrap();
    assert_eq!(effect, ROWS);
    check_complete(&tool, "out.csv").await;
    let whole = tool.read("out.csv");
    tool.run(&resume).exits(0);
    assert_eq!(tool.read("out.csv"), whole, "nothing is left to do");
    let again = tool.run(&import).exits(0).json();
    assert_eq!(
        (&again["posted"], &again["replayed"]),
        (&0.into(), &ROWS.into())
    );
    check_complete(&tool, "out.csv").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_stops_after_the_batch_and_says_how_to_go_on() {
    let tool = Tool::with_wallets("NGN").await;
    let args = [
        "transfer",
        "import",
        "-",
        "--outcomes",
        "out.csv",
        "--batch",
        "100",
    ];
    for name in ["-INT", "-TERM"] {
        // The tool hears signals once it works.
        drop(std::fs::remove_file(tool.path("out.csv")));
        let mut child = tool
            .command(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // More may come: the input stays open.
        let mut stdin = child.stdin.take().unwrap();
        let input = input();
        let begin: String = input.split_inclusive('\n').take(1_051).collect();
        stdin.write_all(begin.as_bytes()).unwrap();
        wait_for_lines(&tool, "out.csv", 1_001);
        signal(&child, name);
        let mut said = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
        let go_on = "aegisctl transfer import - --outcomes out.csv --batch 100 --resume";
        assert!(said.contains(go_on), "{said}");
        assert!(said.contains("1,000 rows"), "{said}");
        assert_eq!(tool.read("out.csv").lines().count(), 1_001);
    }
    let resume: Vec<&str> = args.iter().copied().chain(["--resume"]).collect();
    tool.run_with_input(&resume, &input()).exits(0);
    check_complete(&tool, "out.csv").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_behind_every_line_around_an_open_quote() {
    let tool = Tool::with_wallets("NGN").await;
    let rows: String = (2..=6)
        .map(|n| match n {
            3 => "k3,world,merchant:a,NGN,1,\"open\n".to_owned(),
            n => format!("k{n},world,merchant:a,NGN,1,\n"),
        })
        .collect();
    tool.file(
        "in.csv",
        format!("key,from,to,currency,minor,reference\n{rows}"),
    );
    let import = ["transfer", "import", "in.csv", "--outcomes", "out.csv"];
    tool.run(&import).exits(5);
    let line_and_key = |text: &str| {
        let outcomes = rows_of_csv(text);
        let one = |outcome: &serde_json::Value| (outcome["line"].clone(), outcome["key"].clone());
        outcomes.iter().map(one).collect::<Vec<_>>()
    };
    let whole = tool.read("out.csv");
    let resume: Vec<&str> = import.iter().copied().chain(["--resume"]).collect();
    for lines in 1..=whole.lines().count() {
        let part: String = whole.split_inclusive('\n').take(lines).collect();
        tool.file("out.csv", part);
        tool.run(&resume).exits(5);
        let resumed = tool.read("out.csv");
        assert_eq!(line_and_key(&resumed), line_and_key(&whole), "{lines}");
    }
    assert_eq!(tool.transactions().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_of_another_input_are_not_gone_on_with() {
    let tool = Tool::with_wallets("NGN").await;
    tool.file(
        "in.csv",
        "key,from,to,currency,minor\na,world,merchant:a,NGN,1\n",
    );
    tool.file(
        "other.csv",
        "key,from,to,currency,minor\nb,world,merchant:a,NGN,1\n",
    );
    tool.file("shorter.csv", "key,from,to,currency,minor\n");
    let import = |file| {
        tool.run(&[
            "transfer",
            "import",
            file,
            "--outcomes",
            "out.csv",
            "--resume",
        ])
    };
    import("in.csv").exits(0);
    let nowhere = [
        "transfer",
        "import",
        "in.csv",
        "--outcomes",
        "-",
        "--resume",
    ];
    tool.run(&nowhere).exits(2);
    let whole = tool.read("out.csv");
    for file in ["other.csv", "shorter.csv"] {
        let refused = import(file).exits(2);
        assert!(
            refused.stderr.contains("another input"),
            "{}",
            refused.stderr
        );
        assert_eq!(tool.read("out.csv"), whole);
    }
    // What was appended to the same input is posted.
    let mut longer = tool.read("in.csv");
    longer.push_str("c,world,merchant:a,NGN,1\n");
    tool.file("in.csv", longer);
    import("in.csv").exits(0);
    assert_eq!(tool.read("out.csv").lines().count(), 3);
    assert_eq!(tool.balance("merchant:a"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_outcomes_nobody_reads_stops_and_can_be_run_again() {
    let tool = Tool::with_wallets("NGN").await;
    tool.file("in.csv", input());
    let args = ["transfer", "import", "in.csv", "--batch", "50"];
    let mut child = tool
        .command(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut stdout = BufReader::with_capacity(16, child.stdout.take().unwrap());
    stdout.read_line(&mut first).unwrap();
    drop(stdout);
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(said.contains("run the same command again"), "{said}");
    assert!(
        !said.contains("panic") && !said.contains("Broken pipe"),
        "{said}"
    );
    assert!(tool.transactions().await < ROWS);
    let outcomes = tool.run(&args).exits(0);
    tool.file("out.csv", outcomes.stdout);
    check_complete(&tool, "out.csv").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_ends_with_7_and_says_how_to_go_on() {
    let tool = Tool::with_wallets("NGN").await;
    let (proxy, url) = Proxy::before(tool.database.url());
    let args = [
        "transfer",
        "import",
        "-",
        "--outcomes",
        "out.csv",
        "--batch",
        "100",
    ];
    let mut child = tool
        .command(&args)
        .env("DATABASE_URL", url)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input();
    let lines: Vec<&str> = input.split_inclusive('\n').collect();
    stdin.write_all(lines[..201].concat().as_bytes()).unwrap();
    wait_for_lines(&tool, "out.csv", 201);
    proxy.cut();
    stdin
        .write_all(lines[201..].concat().as_bytes())
        .unwrap_or_default();
    drop(stdin);
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7), "{said}");
    assert!(said.contains("--resume"), "{said}");
    let resume: Vec<&str> = args.iter().copied().chain(["--resume"]).collect();
    tool.run_with_input(&resume, &input).exits(0);
    check_complete(&tool, "out.csv").await;
}
