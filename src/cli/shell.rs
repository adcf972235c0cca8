//! Command lines to paste into a shell.

/// The command of these words, the program's name first, wherever it lies.
pub(crate) fn command(words: &[String]) -> String {
    let mut words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    if let Some(program) = words.first_mut() {
        *program = "aegisctl".to_owned();
    }
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
