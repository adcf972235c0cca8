//! What a run of a program said.

use std::process::Output;

use serde_json::Value;

/// What a run said.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Its standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its standard output as CSV: the rows with the header's names.
    pub fn csv(&self) -> Vec<Value> {
        rows_of_csv(&self.stdout)
    }

    /// The run, having ended with this code.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// The run, having said this to a person.
    pub fn says(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "{words:?} in {}", self.stderr);
        self
    }
}

/// The rows of a CSV with a header, as objects of texts.
pub fn rows_of_csv(text: &str) -> Vec<Value> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names = reader.headers().unwrap().clone();
    reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            let fields = names.iter().zip(record.iter());
            Value::Object(
                fields
                    .map(|(name, text)| (name.to_owned(), text.into()))
                    .collect(),
            )
        })
        .collect()
}
