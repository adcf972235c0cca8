//! `docs/reliability.md` and `docs/regressions.md` say which test shows what; here they are held to
//! that.
#![expect(clippy::unwrap_used, reason = "tests state what must hold")]

use std::collections::BTreeSet;
use std::path::Path;

/// Both pages.
fn pages() -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let pages = ["reliability.md", "regressions.md"];
    let texts = pages.map(|page| std::fs::read_to_string(docs.join(page)).unwrap());
    texts.join("\n")
}

/// The tests that the tables name: the names in their last column.
fn named() -> Vec<String> {
    let text = pages();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let last = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    let names = last.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned));
    names.collect()
}

/// Every test function under `tests` and `src`.
fn there() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("tests"), root.join("src")];
    let mut there = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                there.extend(tests_in(&std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    there
}

fn tests_in(code: &str) -> Vec<String> {
    let mut is_test = false;
    let mut found = Vec::new();
    for line in code.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ") {
            let name = rest.split('(').next().unwrap_or_default();
            if std::mem::take(&mut is_test) {
                found.push(name.to_owned());
            }
        }
    }
    found
}

#[test]
fn every_test_that_the_table_names_exists() {
    let (named, there) = (named(), there());
    assert!(named.len() > 30, "the table was not read: {named:?}");
    let missing: Vec<_> = named.iter().filter(|name| !there.contains(*name)).collect();
    assert!(missing.is_empty(), "no such test: {missing:#?}");
}

#[test]
fn every_row_names_a_test() {
    let text = pages();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let mut rows = rows.filter(|row| !row.starts_with("| fault "));
    let bare = rows.find(|row| !row.trim_end().ends_with("` |"));
    assert_eq!(bare, None, "it shows nothing");
}
