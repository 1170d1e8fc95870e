//! Every `.rs` file of every crate is a module, so that no test and no code is left out unnoticed.

#![expect(clippy::unwrap_used, reason = "a test ends at the first unexpected answer")]

use std::{fs, path::Path};

/// Returns the `.rs` files below `dir` that their parent module does not name.
fn unused(dir: &Path, parent: &Path) -> Vec<String> {
    let declared = fs::read_to_string(parent).unwrap_or_default();
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("src/bin") {
            continue;
        }
        if path.is_dir() {
            found.extend(unused(&path, &path.with_extension("rs")));
        } else if path != parent && path.extension().is_some_and(|extension| extension == "rs") {
            let declaration = format!("mod {};", path.file_stem().unwrap().to_str().unwrap());
            let is_declared =
                |line: &str| line.starts_with(['m', 'p']) && line.contains(&declaration);
            if !declared.lines().any(is_declared) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[test]
fn every_file_is_a_module() {
    let mut roots = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap() {
        let package = entry.unwrap().path();
        for root in ["src/lib.rs", "src/main.rs", "tests/it/main.rs"] {
            let root = package.join(root);
            if root.exists() {
                roots += 1;
                assert_eq!(unused(root.parent().unwrap(), &root), Vec::<String>::new());
            }
        }
    }
    assert_eq!(roots, 10, "a crate was added or removed");
}
