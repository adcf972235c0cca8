//! Architecture decisions: all in the index, each with its parts.

use crate::pages::{Page, all, page};

fn decisions() -> Vec<Page> {
    let pages = all().into_iter();
    pages
        .filter(|page| page.path.starts_with("docs/adr") && !page.path.ends_with("README.md"))
        .collect()
}

fn number(page: &Page) -> String {
    let name = page.path.file_name().unwrap().to_str().unwrap();
    name.split('-').next().unwrap().to_owned()
}

#[test]
fn every_decision_is_in_the_index_under_its_number_and_title() {
    let index = page("docs/adr/README.md");
    let index: Vec<&str> = index.prose().into_iter().map(|(_, line)| line).collect();
    for decision in decisions() {
        let (depth, title) = decision.headings().remove(0);
        let (number, file) = (number(&decision), decision.path.file_name().unwrap());
        let title = title.strip_prefix(&format!("{number} ")).map(str::to_owned);
        let title = title.unwrap_or_else(|| panic!("{file:?} does not begin with its number"));
        assert_eq!(depth, 1);
        let row = format!("| [{number}]({}) | {title} |", file.to_str().unwrap());
        assert!(index.contains(&row.as_str()), "missing in the index: {row}");
    }
}

#[test]
fn no_number_is_given_twice_or_left_out() {
    let mut numbers: Vec<usize> = decisions()
        .iter()
        .map(|page| number(page).parse().unwrap())
        .collect();
    numbers.sort_unstable();
    let expected: Vec<usize> = (1..=numbers.len()).collect();
    assert!(numbers.len() >= 14);
    assert_eq!(numbers, expected);
}

#[test]
fn every_decision_tells_context_decision_evidence_consequences_and_alternatives() {
    for decision in decisions() {
        let headings = decision.headings();
        let sections: Vec<&str> = headings[1..]
            .iter()
            .filter(|(depth, _)| *depth == 2)
            .map(|(_, text)| text.as_str())
            .collect();
        let parts = [
            "Context",
            "Decision",
            "What was ",
            "Consequences",
            "Alternatives",
        ];
        for part in parts {
            let found = sections.iter().any(|section| section.starts_with(part));
            assert!(
                found,
                "{}: {part:?} is missing in {sections:?}",
                decision.path.display()
            );
        }
    }
}
