//! Allowed imports of each module, and of clock, environment and output.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The modules that each core module may import, lowest first: bytes (`store`) and words
/// (`partition`) are independent; `layout` joins them; `sink` and `state` are independent;
/// `open` and `env` are at the top.
const MAY_IMPORT: [(&str, &[&str]); 19] = [
    ("guarantees", &[]),
    ("error", &[]),
    ("runtime", &[]),
    ("internal", &[]),
    ("foreign", &[]),
    ("literal", &[]),
    ("small_file", &[]),
    ("secret", &["error", "small_file"]),
    ("tls", &["error", "small_file"]),
    ("partition", &["error", "foreign"]),
    ("store", &["error", "foreign", "internal", "literal", "runtime", "secret", "tls"]),
    ("layout", &["error", "partition", "store"]),
    ("sink", &["error", "layout", "partition", "runtime", "store"]),
    (
        "state",
        &["error", "literal", "partition", "internal", "runtime", "secret", "small_file", "tls"],
    ),
    ("validate", &["error", "layout", "partition", "sink", "state"]),
    ("consume", &["error", "layout", "partition", "sink", "state"]),
    ("open", &["error", "partition", "runtime", "sink", "state", "store"]),
    (
        "env",
        &[
            "error",
            "literal",
            "open",
            "partition",
            "secret",
            "sink",
            "small_file",
            "state",
            "store",
        ],
    ),
    (
        "blocking",
        &["consume", "error", "open", "partition", "runtime", "sink", "state", "store", "validate"],
    ),
];

/// Words that only the listed files may contain: clock, environment, output.
const RESERVED: [(&[&str], &[&str]); 4] = [
    (
        &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "getrandom::"],
        &["runtime.rs", "runtime/waits.rs"],
    ),
    (&["std::env::", "env::var", "temp_dir()", "current_dir()"], &["env.rs"]),
    (&["println!", "eprintln!", "print!", "eprint!", "dbg!", "io::stdout", "io::stderr"], &[]),
    (&["RAW_SINK"], &["env.rs", "env/parse.rs", "env/variables.rs"]),
];

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Returns every source file below `src` but tests, with its path below `src`.
fn sources() -> Vec<(String, String)> {
    let (mut ahead, mut found) = (vec![src()], Vec::new());
    while let Some(path) = ahead.pop() {
        if path.is_dir() && !path.ends_with("tests") {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(src()).unwrap().to_str().unwrap().to_owned();
            if !name.ends_with("tests.rs") {
                found.push((name, code(&fs::read_to_string(&path).unwrap())));
            }
        }
    }
    found.sort_unstable();
    found
}

/// Returns a file's text without comments and unit tests.
fn code(text: &str) -> String {
    let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = shipped.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the module path of a file: `store/fs/lock.rs` is `store`, `fs`, `lock`.
fn module(file: &str) -> Vec<&str> {
    let path: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    if path == ["lib"] { Vec::new() } else { path }
}

/// Returns the modules at the top of the crate that a file's code names.
fn imports(file: &str, code: &str, reexports: &[(String, String)]) -> BTreeSet<String> {
    let climbs = "super::".repeat(module(file).len());
    let mut named = BTreeSet::new();
    for prefix in ["crate::", climbs.as_str()].into_iter().filter(|prefix| !prefix.is_empty()) {
        for (at, _) in code.match_indices(prefix) {
            let is_longer_path = code[..at].ends_with("super::") || code[..at].ends_with('$');
            if !is_longer_path {
                named.extend(first_names(&code[at + prefix.len()..]));
            }
        }
    }
    let resolve = |name: String| {
        reexports.iter().find(|(item, _)| *item == name).map_or(name, |(_, module)| module.clone())
    };
    named.into_iter().map(resolve).collect()
}

/// Returns the first name of each path that follows: one, or those of a group in braces.
fn first_names(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()];
    };
    let (mut names, mut depth, mut expected) = (Vec::new(), 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            c if expected && c.is_alphanumeric() => {
                names.extend(first_names(&group[at..]));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

/// Returns the items that the crate's root takes from its modules.
fn reexports(lib: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for line in lib.lines().filter_map(|line| line.strip_prefix("pub use ")) {
        let (module, items) = line.split_once("::").unwrap();
        let items = items.trim_matches(['{', '}', ';']);
        found.extend(items.split(", ").map(|item| (item.to_owned(), module.to_owned())));
    }
    found
}

fn lib() -> String {
    fs::read_to_string(src().join("lib.rs")).unwrap()
}

#[test]
fn a_module_imports_only_modules_below_it() {
    let reexports = reexports(&lib());
    let mut seen = BTreeSet::new();
    for (file, code) in sources() {
        let path = module(&file);
        let Some((module, may_import)) =
            MAY_IMPORT.iter().find(|(name, _)| path.first() == Some(name))
        else {
            assert_eq!(file, "lib.rs", "{file} has no place in the picture");
            continue;
        };
        for import in imports(&file, &code, &reexports) {
            let fine = import == *module || may_import.contains(&import.as_str());
            assert!(fine, "{file} imports {import}, {module} may import {may_import:?}");
            seen.insert((*module, import));
        }
    }
    for (module, may_import) in MAY_IMPORT {
        for import in may_import {
            assert!(seen.contains(&(module, (*import).to_owned())), "{module} needs no {import}");
        }
    }
}

#[test]
fn the_diagram_shows_every_module_in_import_order() {
    let lib = lib();
    let mut modules: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod ")))
        .map(|line| line.trim_end_matches([';', ' ', '{', '}']))
        .collect();
    modules.sort_unstable();
    let mut pictured = MAY_IMPORT.map(|(module, _)| module);
    for (at, (module, may_import)) in MAY_IMPORT.iter().enumerate() {
        for import in *may_import {
            let below = MAY_IMPORT[..at].iter().any(|(name, _)| name == import);
            assert!(below, "{module} imports {import}, which does not stand below it");
        }
    }
    pictured.sort_unstable();
    assert_eq!(modules, pictured);
}

#[test]
fn clock_environment_and_output_are_used_only_in_listed_files() {
    let mut met = BTreeSet::new();
    for (file, code) in sources() {
        for (words, files) in RESERVED {
            for word in words.iter().filter(|word| code.contains(**word)) {
                assert!(files.contains(&file.as_str()), "{file} says {word}, only {files:?} may");
                met.insert(file.clone());
            }
        }
    }
    let expected = ["env.rs", "env/parse.rs", "env/variables.rs", "runtime.rs", "runtime/waits.rs"];
    assert_eq!(met.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn backends_are_named_only_where_one_is_selected() {
    let backends = ["FsStore", "MemoryStore", "FaultyStore", "SqliteState", "PostgresState"];
    for (file, code) in sources() {
        let is_choice = ["open.rs", "state.rs", "store.rs"].contains(&file.as_str());
        let is_backend = file.starts_with("store/") || file.starts_with("state/");
        let named = backends.iter().find(|backend| code.contains(**backend));
        assert!(named.is_none() || is_choice || is_backend, "{file} names {named:?}");
    }
}

#[test]
fn imports_are_found_in_every_form() {
    let reexports = reexports("pub use error::{Error, Result};\npub use runtime::Clock;\n");
    let found = |file: &str, code: &str| {
        imports(file, code, &reexports).into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("sink.rs", "use crate::key::RunId;"), "key");
    assert_eq!(
        found("sink.rs", "use crate::{\n    key::{A, b::C},\n    layout::{self},\n};"),
        "key layout"
    );
    assert_eq!(found("sink.rs", "let x = crate::store::f(); crate::Error::new()"), "error store");
    assert_eq!(found("sink.rs", "use super::{state, store::S};"), "state store");
    assert_eq!(found("sink/writer.rs", "use super::{state, store::S};"), "");
    assert_eq!(
        found("store/fs/lock.rs", "super::super::super::state::X; super::super::f()"),
        "state"
    );
    assert_eq!(code("a\n// crate::b\n    //! crate::c\nd // e"), "a\nd // e");
}

/// The crate's own documentation and the page say the same.
#[test]
fn the_guarantees_of_the_crate_are_those_of_the_semantics_page() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| G")?.split(" | ");
        Some((cells.next()?.to_owned(), cells.next()?.trim_end_matches(" |").to_owned()))
    };
    let rows = |path: &str| -> Vec<_> {
        let page = fs::read_to_string(crates.join(path)).unwrap();
        page.lines().filter_map(row).collect()
    };
    let of_the_crate = rows("rawsink/src/guarantees.md");
    assert_eq!(of_the_crate, rows("../docs/semantics.md"));
    assert_eq!(of_the_crate.len(), 20);
}

/// A guarantee without a test is only a wish.
#[test]
fn every_guarantee_on_the_semantics_page_has_a_test_with_its_number() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(crates.join("../docs/semantics.md")).unwrap();
    let promised: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| G")?.get(..2))
        .map(|number| format!("g{number}_"))
        .collect();
    assert_eq!(promised.len(), 20, "{promised:?}");
    let (mut ahead, mut tests) = (vec![crates], String::new());
    while let Some(path) = ahead.pop() {
        if path.is_dir() {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            tests.extend(
                fs::read_to_string(&path).unwrap().lines().filter(|line| line.contains("fn ")),
            );
        }
    }
    let unshown: Vec<_> =
        promised.iter().filter(|number| !tests.contains(number.as_str())).collect();
    assert!(unshown.is_empty(), "no test carries {unshown:?}");
}
