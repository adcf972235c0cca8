//! The pages, as far as they are looked at here: blocks of code, headings, links.

use std::path::{Path, PathBuf};

/// Before a block that no test runs.
const NOT_RUN: &str = "<!-- not run: ";

/// Before a block that other tests run than those of the pages.
const RUN_ELSEWHERE: &str = "<!-- run by ";

/// A page of the documentation.
pub(crate) struct Page {
    /// From the root of the repository.
    pub(crate) path: PathBuf,
    lines: Vec<String>,
}

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    /// Of its first fence.
    pub(crate) line: usize,
    /// As behind the fence.
    pub(crate) language: String,
    pub(crate) text: String,
    /// Why it is not run, or by which tests it is.
    pub(crate) not_run: Option<String>,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page: at the root and under `docs`.
pub(crate) fn all() -> Vec<Page> {
    let mut paths = Vec::new();
    markdown_in(root(), false, &mut paths);
    markdown_in(&root().join("docs"), true, &mut paths);
    paths.sort();
    assert!(paths.len() > 20, "{paths:?}");
    let relative = paths.iter().map(|path| path.strip_prefix(root()).unwrap());
    relative.map(|path| page(path.to_str().unwrap())).collect()
}

fn markdown_in(folder: &Path, deep: bool, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && deep {
            markdown_in(&path, deep, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// One of them, by its path from the root.
pub(crate) fn page(path: &str) -> Page {
    let text = std::fs::read_to_string(root().join(path)).expect(path);
    Page {
        path: path.into(),
        lines: text.lines().map(str::to_owned).collect(),
    }
}

impl Page {
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut open = false;
        let mut before = "";
        for (number, line) in self.lines.iter().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (fence, open) {
                (Some(_), true) => open = false,
                (Some(language), false) => {
                    let marks = [NOT_RUN, RUN_ELSEWHERE].into_iter();
                    let mut marks = marks.filter_map(|mark| before.strip_prefix(mark));
                    blocks.push(Block {
                        line: number + 1,
                        language: language.to_owned(),
                        text: String::new(),
                        not_run: marks
                            .next()
                            .map(|reason| reason.trim_end_matches(" -->").to_owned()),
                    });
                    open = true;
                }
                (None, true) => {
                    let block = blocks.last_mut().unwrap();
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, false) => {}
            }
            before = line;
        }
        assert!(!open, "{}: a block has no end", self.path.display());
        blocks
    }

    /// The blocks for a shell.
    pub(crate) fn shell(&self) -> Vec<Block> {
        let blocks = self.blocks().into_iter();
        blocks.filter(|block| block.language == "sh").collect()
    }

    /// What stands outside of blocks, by line.
    pub(crate) fn prose(&self) -> Vec<(usize, &str)> {
        let mut open = false;
        let lines = self.lines.iter().enumerate().filter(|(_, line)| {
            let fence = line.trim_start().starts_with("```");
            open ^= fence;
            !open && !fence
        });
        lines
            .map(|(number, line)| (number + 1, line.as_str()))
            .collect()
    }

    /// Headings with their number of `#`.
    pub(crate) fn headings(&self) -> Vec<(usize, String)> {
        let lines = self.prose().into_iter();
        let headings = lines.filter_map(|(_, line)| {
            let text = line.trim_start_matches('#');
            let depth = line.len() - text.len();
            (depth > 0 && text.starts_with(' ')).then(|| (depth, text.trim().to_owned()))
        });
        headings.collect()
    }

    /// The anchors that GitHub gives the headings.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for (_, heading) in self.headings() {
            let plain = heading.to_lowercase().replace(' ', "-");
            let kept = |c: &char| c.is_alphanumeric() || *c == '-' || *c == '_';
            let plain: String = plain.chars().filter(kept).collect();
            let repeats = (1..).map(|n| format!("{plain}-{n}"));
            let mut names = std::iter::once(plain.clone()).chain(repeats);
            let free = names.find(|name| !anchors.contains(name));
            anchors.extend(free);
        }
        anchors
    }

    /// Where links lead, by line.
    pub(crate) fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in self.prose() {
            for piece in line.split("](").skip(1) {
                let target = piece.split(')').next().unwrap_or_default();
                links.push((number, target.to_owned()));
            }
        }
        links
    }
}
