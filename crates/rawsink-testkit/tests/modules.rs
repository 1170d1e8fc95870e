//! No module imports a sibling that imports it, directly or through others.
//!
//! Imports are compared between siblings: an import of `plan::cleaner` by `auditor::runs` counts as one
//! of `plan` by `auditor`. A module and its own children may import each other.

#![expect(clippy::unwrap_used, reason = "a test ends at the first unexpected answer")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// The modules of a crate: the path of each with its code.
type Modules = BTreeMap<Vec<String>, String>;

/// The imports between siblings, by their parent.
type SiblingImports = BTreeMap<Vec<String>, BTreeMap<String, BTreeSet<String>>>;

fn modules(src: &Path) -> Modules {
    let (mut ahead, mut found) = (vec![src.to_owned()], Modules::new());
    while let Some(path) = ahead.pop() {
        if path.is_dir() {
            let skipped = path.ends_with("tests") || path.ends_with("bin");
            let entries = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            ahead.extend(entries.filter(|_| !skipped));
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let below = path.strip_prefix(src).unwrap().with_extension("");
        let module: Vec<_> = below.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
        if module.last().unwrap() != "tests" {
            let module = if module == ["lib"] || module == ["main"] { Vec::new() } else { module };
            found.insert(module, code(&fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// Returns a file's text without comments and unit tests.
fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = shipped.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the paths that follow: one, or those of a group in braces.
fn paths(rest: &str) -> Vec<Vec<String>> {
    let rest = rest.trim_start();
    if let Some(group) = rest.strip_prefix('{') {
        return items(group).into_iter().flat_map(paths).collect();
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    match rest.strip_prefix("::") {
        _ if name.is_empty() => Vec::new(),
        Some(rest) if rest.starts_with(|c: char| c == '{' || c == '_' || c.is_alphabetic()) => {
            let tails = paths(rest).into_iter();
            tails.map(|tail| [vec![name.to_owned()], tail].concat()).collect()
        }
        _ => vec![vec![name.to_owned()]],
    }
}

/// Returns the items of a group up to its closing brace.
fn items(group: &str) -> Vec<&str> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

/// Returns the absolute paths that the code of a module names.
fn named(module: &[String], code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for climbs in 0..=module.len() + 1 {
        let (prefix, base) = match climbs {
            0 => ("crate::".to_owned(), &[][..]),
            1 => ("self::".to_owned(), module),
            _ => ("super::".repeat(climbs - 1), &module[..module.len() + 1 - climbs]),
        };
        for (at, _) in code.match_indices(&prefix) {
            let is_inner =
                code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            let rest = &code[at + prefix.len()..];
            if !is_inner && !rest.starts_with("super::") {
                found.extend(paths(rest).into_iter().map(|path| [base.to_vec(), path].concat()));
            }
        }
    }
    found
}

/// Returns the module that a path names, through re-exports of its children.
fn target(modules: &Modules, path: &[String]) -> Vec<String> {
    let depth = (0..=path.len()).rev().find(|depth| modules.contains_key(&path[..*depth])).unwrap();
    let (module, item) = path.split_at(depth);
    let Some(item) = item.first() else { return module.to_vec() };
    for (at, keyword) in modules[module].match_indices("use ") {
        let line = modules[module][..at].rsplit('\n').next().unwrap();
        let rest = modules[module][at + keyword.len()..].trim_start_matches("self::");
        for reexport in paths(rest).into_iter().filter(|_| line.trim_start().starts_with("pub")) {
            let child = [module, &reexport[..1]].concat();
            if reexport.last() == Some(item) && modules.contains_key(&child) {
                return target(modules, &[module, &reexport[..]].concat());
            }
        }
    }
    module.to_vec()
}

fn sibling_imports(modules: &Modules) -> SiblingImports {
    let mut imports = SiblingImports::new();
    for (module, code) in modules {
        for path in named(module, code) {
            let imported = target(modules, &path);
            let common =
                module.iter().zip(&imported).take_while(|(one, other)| one == other).count();
            if let (Some(from), Some(to)) = (module.get(common), imported.get(common)) {
                let siblings = imports.entry(module[..common].to_vec()).or_default();
                siblings.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    imports
}

/// Returns the modules that import each other in a cycle.
fn cyclic(modules: &Modules) -> Vec<String> {
    let mut found = Vec::new();
    for (parent, imports) in sibling_imports(modules) {
        for start in imports.keys() {
            let (mut ahead, mut reached) = (vec![start], BTreeSet::new());
            while let Some(from) = ahead.pop() {
                let next = imports.get(from).into_iter().flatten();
                ahead.extend(next.filter(|to| reached.insert(*to)));
            }
            if reached.contains(start) {
                found.push([&parent[..], std::slice::from_ref(start)].concat().join("::"));
            }
        }
    }
    found
}

/// The crates of the workspace whose modules are compared.
const CRATES: [&str; 7] = [
    "fake-s3",
    "rawsink",
    "rawsink-cli",
    "rawsink-ops",
    "rawsink-proof",
    "rawsink-py",
    "rawsink-testkit",
];

fn modules_of(name: &str) -> Modules {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    modules(&crates.join(name).join("src"))
}

#[test]
fn no_module_imports_a_sibling_that_imports_it() {
    for name in CRATES {
        assert_eq!(cyclic(&modules_of(name)), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_crate_is_compared() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found: Vec<_> = fs::read_dir(crates)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(found, CRATES);
}

#[test]
fn imports_are_found_in_the_real_crates() {
    let imports = sibling_imports(&modules_of("rawsink-proof"));
    let simulation = &imports[&vec!["simulation".to_owned()]];
    assert!(simulation["auditor"].contains("plan") && simulation["actors"].contains("handle"));
    let bucket = &sibling_imports(&modules_of("fake-s3"))[&vec!["bucket".to_owned()]];
    assert!(bucket["uploads"].contains("upload_listing"), "through a re-export of the crate");
}

fn planted(files: &[(&str, &str)]) -> Vec<String> {
    let mut modules = Modules::new();
    for (path, text) in files {
        let names = path.split("::").filter(|name| !name.is_empty());
        modules.insert(names.map(str::to_owned).collect(), code(text));
    }
    cyclic(&modules)
}

#[test]
fn a_cycle_is_found_however_it_is_written() {
    let root = ("", "pub mod a;\npub mod b;\npub use self::b::{Thing, c::Deep};\n");
    for (a, b, is_cycle) in [
        ("use crate::b::X;", "use crate::a::Y;", true),
        ("use super::{x, b::{X, Z}};", "fn f() { super::a::f() }", true),
        ("use crate::{Thing};", "use crate::a;", true),
        ("// use crate::b::X;", "use crate::a;", false),
        ("use self::inner::X;", "use crate::a;", false),
        ("use crate::b::X;", "#[cfg(test)]\nmod tests { use crate::a; }", false),
    ] {
        let found = planted(&[root, ("a", a), ("b", b), ("b::c", "use super::Thing;")]);
        assert_eq!(!found.is_empty(), is_cycle, "{a} / {b}: {found:?}");
    }
    let below = planted(&[
        root,
        ("a", ""),
        ("b", ""),
        ("b::c", "use super::d;"),
        ("b::d", "use super::c;"),
    ]);
    assert_eq!(below, ["b::c", "b::d"]);
}
