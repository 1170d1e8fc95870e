//! The links of the documentation.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn pages() -> Vec<PathBuf> {
    let (mut ahead, mut found) = (vec![root().join("docs")], Vec::new());
    while let Some(path) = ahead.pop() {
        if path.is_dir() {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found.extend(
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
            .map(|name| root().join(name)),
    );
    found.sort_unstable();
    found
}

/// Returns a page's lines outside code blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        is_code ^= fence;
        !is_code && !fence && !line.starts_with("    ")
    })
}

/// Returns the targets of `[text](target)` and `[label]: target`.
fn targets(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(page) {
        let inline = line.match_indices("](").map(|(at, _)| &line[at + 2..]);
        found.extend(inline.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())));
        if let Some((_, target)) = definition(line) {
            found.push(target.to_owned());
        }
    }
    found
}

fn definition(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("]: ")
}

/// Returns the anchors of a page, as GitHub derives them from its headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let slug = |heading: &str| -> String {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        heading.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    let heading = |line: &str| Some(line.strip_prefix('#')?.trim_start_matches('#').to_owned());
    prose(page).filter_map(heading).map(|heading| slug(&heading)).collect()
}

#[test]
fn every_link_points_to_a_file_and_a_heading() {
    let (mut dead, mut followed) = (Vec::new(), 0);
    for path in pages() {
        let page = fs::read_to_string(&path).unwrap();
        for target in targets(&page).iter().filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to =
                if file.is_empty() { path.clone() } else { path.with_file_name("").join(file) };
            let is_there = to.exists()
                && (anchor.is_empty()
                    || anchors(&fs::read_to_string(&to).unwrap()).contains(anchor));
            followed += 1;
            if !is_there {
                dead.push(format!("{}: {target}", path.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(followed > 50, "only {followed} links were found");
    assert!(dead.is_empty(), "{dead:#?}");
}

/// A reference without its definition is shown as plain text.
#[test]
fn every_reference_on_the_semantics_page_has_a_definition() {
    let page = fs::read_to_string(root().join("docs/semantics.md")).unwrap();
    let defined: BTreeSet<&str> =
        page.lines().filter_map(|line| Some(definition(line)?.0)).collect();
    let mut used = BTreeSet::new();
    for row in page.lines().filter(|line| line.starts_with("| G")) {
        // `[text][label]`, or `[label]`.
        let mut rest = row;
        while let Some((_, behind)) = rest.split_once('[') {
            let (text, behind) = behind.split_once(']').unwrap();
            rest = behind;
            if !behind.starts_with('[') {
                used.insert(text);
            }
        }
    }
    assert_eq!(used, defined);
}

/// The lints compile the example; its line breaks may differ.
#[test]
fn the_readme_code_matches_the_example() {
    let flat = |text: &str| text.split_whitespace().collect::<String>();
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let (page, example) = (read("README.md"), flat(&read("crates/rawsink/examples/land.rs")));
    let (_, code) = page.split_once("```rust\n").unwrap();
    let (code, _) = code.split_once("```").unwrap();
    let paragraphs: Vec<String> = code.split("\n\n").map(flat).collect();
    assert_eq!(paragraphs.len(), 2, "imports, and what is done with them");
    for paragraph in paragraphs {
        assert!(example.contains(&paragraph), "not in examples/land.rs: {paragraph}");
    }
}
