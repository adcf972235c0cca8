#![expect(clippy::unwrap_used, reason = "tests state what must hold")]

use super::super::row::Asked;
use super::*;

const HEADER: &str = "key,from,to,currency,minor,reference";

fn rows(text: &[u8], buffer: usize) -> Vec<(u64, Option<String>, &'static str)> {
    let input = io::BufReader::with_capacity(buffer, text);
    let mut records = CsvRecords::new(input).unwrap();
    let mut rows = Vec::new();
    while records.advance().unwrap() {
        let row = records.row();
        let code = match row.asked {
            Asked::Post(_) => "ok",
            Asked::Refused(rejection) => rejection.code.as_str(),
            Asked::Unreadable(problem) => problem.code,
        };
        rows.push((row.line, row.key, code));
    }
    assert_eq!(records.position(), text.len() as u64);
    rows
}

fn keyed(line: u64, key: &str, code: &'static str) -> (u64, Option<String>, &'static str) {
    (line, Some(key.to_owned()), code)
}

#[test]
fn a_record_has_the_line_on_which_it_begins() {
    let body = "k1,a,b,NGN,5,\n\n\nk2,a,b,NGN,5,\"one\ntwo\"\nk3,a,b,NGN,5,x";
    let expected = vec![
        keyed(2, "k1", "ok"),
        keyed(5, "k2", "field_invalid"),
        keyed(7, "k3", "ok"),
    ];
    for end in ["\n", "\r\n", "\r"] {
        let text = format!("{HEADER}\n{body}").replace('\n', end);
        if end == "\r" {
            // A quoted carriage return doesn't count as a line of its own.
            continue;
        }
        for buffer in [1, 2, 3, 7, 8_192] {
            assert_eq!(rows(text.as_bytes(), buffer), expected, "{end:?} {buffer}");
        }
    }
    let text = format!("{HEADER}\rk1,a,b,NGN,5,\r\rk2,a,b,NGN,5,");
    let expected = vec![keyed(2, "k1", "ok"), keyed(4, "k2", "ok")];
    for buffer in [1, 2, 8_192] {
        assert_eq!(rows(text.as_bytes(), buffer), expected, "{buffer}");
    }
}

#[test]
fn a_broken_record_leaves_the_others_alone() {
    let mut text = format!("{HEADER}\nk1,a,b,NGN,5,\nk2,a,b\nk3,a,b,NGN,5,").into_bytes();
    text.extend_from_slice(b"\xff\nk4,a,b,NGN,5,");
    let many = ",".repeat(RECORD_FIELDS_MAX);
    text.extend_from_slice(format!("\n{many}\nk6,a,b,NGN,5,").as_bytes());
    let expected = vec![
        keyed(2, "k1", "ok"),
        keyed(3, "k2", "record_malformed"),
        keyed(4, "k3", "not_utf8"),
        keyed(5, "k4", "ok"),
        (6, None, "record_malformed"),
        keyed(7, "k6", "ok"),
    ];
    for buffer in [1, 5, 8_192] {
        assert_eq!(rows(&text, buffer), expected, "{buffer}");
    }
}

#[test]
fn a_quote_that_is_never_closed_costs_its_own_line_only() {
    let rows_of = |text: &str| {
        let said: Vec<_> = rows(text.as_bytes(), 8_192);
        for buffer in [1, 3, 7] {
            assert_eq!(rows(text.as_bytes(), buffer), said, "{buffer}");
        }
        said
    };
    let good = |n: u64| keyed(n, &format!("k{n}"), "ok");
    let row = |n: u64| format!("k{n},a,b,NGN,5,\n");
    for end in ["\n", "\r\n", "\r"] {
        // The second row of them opens a quote, the last one another, which is the end.
        let text = format!(
            "{HEADER}\n{}k3,a,b,NGN,5,\"open\n{}{}k6,\"a",
            row(2),
            row(4),
            row(5)
        );
        let closed_by_the_last = [good(2), keyed(3, "k3", "field_invalid")];
        assert_eq!(
            rows_of(&text.replace('\n', end)),
            closed_by_the_last,
            "{end:?}"
        );
        let text = text.replace("k6,\"a", "k6,a,b,NGN,5,");
        let others_go_on = [
            good(2),
            keyed(3, "k3", "record_malformed"),
            good(4),
            good(5),
            good(6),
        ];
        assert_eq!(rows_of(&text.replace('\n', end)), others_go_on, "{end:?}");
    }
    let last = format!("{HEADER}\n{}\"k3,a", row(2));
    let expected = [good(2), (3, None, "record_malformed")];
    for end in ["", "\n", "\r\n", "\n\n"] {
        assert_eq!(rows_of(&format!("{last}{end}")), expected, "{end:?}");
    }
}

#[test]
fn rows_that_were_read_anew_may_run_over_lines_and_be_broken_off_themselves() {
    let odd = "x\"y,\"z\n".repeat(600);
    let metadata = "{\"\"a\"\":\n\n1}";
    let text = format!(
        "key,from,to,currency,minor,metadata\n{odd}\"\nk603,a,b,NGN,5,\"{metadata}\"\n\
         \u{feff}k606,a,b,NGN,5,\n"
    );
    for buffer in [1, 8_192] {
        let rows = rows(text.as_bytes(), buffer);
        let (broken, last) = rows.split_at(rows.len() - 2);
        assert!(broken.iter().all(|row| row.2 == "record_malformed"));
        let lines: Vec<u64> = broken.iter().map(|row| row.0).take(3).collect();
        assert_eq!(lines, [2, 3, 4], "each by itself");
        let bom = keyed(606, "\u{feff}k606", "ok");
        assert_eq!(last, [keyed(603, "k603", "ok"), bom], "{buffer}");
    }
}

#[test]
fn a_record_that_is_invalid_tells_over_how_many_lines_it_runs() {
    let detail = |body: &str| {
        let text = format!("{HEADER}\n{body}");
        let mut records = CsvRecords::new(text.as_bytes()).unwrap();
        assert!(records.advance().unwrap());
        match records.row().asked {
            Asked::Unreadable(problem) => problem.detail,
            asked => unreachable!("{asked:?}"),
        }
    };
    let hint = "the record runs over 3 lines: is a quote not closed?";
    for body in [
        "k2,a,b,NGN,5,\"x\ny\nz\"\n",
        "k2,a,b,NGN,5,\"x\r\ny\r\nz\"\r\n",
        "k2,a,b,NGN,\"5\n\nk4,a\",b,NGN,5,",
        "k2,a,b,NGN,\"5\n\nk4,a\"",
    ] {
        assert!(detail(body).ends_with(hint), "{}", detail(body));
    }
    let many = ",".repeat(RECORD_FIELDS_MAX);
    let too_many = detail(&format!("\"\n\n\"{many}"));
    assert!(too_many.ends_with(hint), "{too_many}");
    let single = detail("k2,a,b,NGN,5\r\n");
    assert_eq!(single, "has 5 fields, the header has 6");
    let open = detail("k2,a,b,NGN,5,\"x\ny\n");
    assert_eq!(open, "a quote is opened on this line and never closed");
}

#[test]
fn a_record_beyond_the_limit_ends_with_its_line_in_bounded_memory() {
    let long = "x".repeat(3 * RECORD_BYTES_MAX);
    let within = "k5,a,b,NGN,5,\n".repeat(RECORD_BYTES_MAX / 8);
    let text = format!(
        "{HEADER}\nk1,a,b,NGN,5,{long}\nk2,a,b,NGN,5,\nk3,a,b,NGN,5,\"{long}\n\
         k4,a,b,NGN,5,\"\n{within}"
    );
    let input = io::BufReader::new(text.as_bytes());
    let mut records = CsvRecords::new(input).unwrap();
    let mut codes = Vec::new();
    while records.advance().unwrap() {
        let code = match records.row().asked {
            Asked::Post(_) => "ok",
            Asked::Refused(rejection) => rejection.code.as_str(),
            Asked::Unreadable(problem) => problem.code,
        };
        codes.push((records.line(), code));
        assert!(records.text.len() <= 2 * RECORD_BYTES_MAX);
        assert!(records.input.held() <= 2 * RECORD_BYTES_MAX);
    }
    let (first, others) = codes.split_at(4);
    let expected = [
        (2, "record_too_long"),
        (3, "ok"),
        (4, "record_too_long"),
        (5, "record_malformed"),
    ];
    assert_eq!(first, expected);
    assert_eq!(others.len(), RECORD_BYTES_MAX / 8);
    assert!(others.iter().all(|(_, code)| *code == "ok"));
    assert_eq!(records.position(), text.len() as u64);
}
