//! Links lead somewhere.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::pages::{all, root};

#[test]
fn every_relative_link_and_anchor_leads_somewhere() {
    let pages = all();
    let anchors: HashMap<PathBuf, Vec<String>> = pages
        .iter()
        .map(|page| (root().join(&page.path), page.anchors()))
        .collect();
    let mut amiss = Vec::new();
    let mut seen = 0;
    for page in &pages {
        let from = root().join(&page.path);
        for (line, link) in page.links() {
            if link.starts_with("http://") || link.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => from.clone(),
                path => normal(&from.parent().unwrap().join(path)),
            };
            let leads = target.exists()
                && (anchor.is_empty()
                    || anchors
                        .get(&target)
                        .is_some_and(|anchors| anchors.iter().any(|known| known == anchor)));
            if !leads {
                amiss.push(format!("{}:{line}: {link}", page.path.display()));
            }
        }
    }
    assert!(seen > 50, "{seen} links: they were not read");
    assert!(amiss.is_empty(), "lead nowhere: {amiss:#?}");
}

/// A path without `..`, which looks nothing up.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => drop(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

#[test]
fn every_page_can_be_reached_from_the_readme() {
    let pages = all();
    let mut reached = vec![root().join("README.md")];
    let mut next = 0;
    while let Some(at) = reached.get(next).cloned() {
        next += 1;
        let page = pages.iter().find(|page| root().join(&page.path) == at);
        let links = page.map(|page| page.links()).unwrap_or_default();
        for (_, link) in links {
            let path = link.split('#').next().unwrap_or_default();
            let target = normal(&at.parent().unwrap().join(path));
            if target
                .extension()
                .is_some_and(|extension| extension == "md")
                && !reached.contains(&target)
            {
                reached.push(target);
            }
        }
    }
    let lost = pages
        .iter()
        .filter(|page| !reached.contains(&root().join(&page.path)));
    let lost: Vec<_> = lost.map(|page| page.path.display().to_string()).collect();
    assert!(lost.is_empty(), "nothing leads to {lost:?}");
}
