//! The scratch directory for raw operations.

use std::fs::{create_dir, write};

use super::*;

fn make(world: &World, token: u128) -> Result<DirectoryScratch> {
    DirectoryScratch::make(&FsConfig::new(world.root()), &WriterToken::new(token))
}

#[test]
fn a_missing_root_is_refused_and_stays_missing() {
    let world = World::new(Before::Nothing);
    assert_eq!(make(&world, 1).unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(!world.root().exists());
}

#[test]
fn two_scratches_do_not_share_a_directory_and_each_deletes_its_own() {
    let world = World::new(Before::Nothing);
    create_dir(world.root()).unwrap();
    let (mut one, other) = (make(&world, 1).unwrap(), make(&world, 2).unwrap());
    write(one.path().join("file"), "bytes").unwrap();
    let (first, second) = (one.path().to_owned(), other.path().to_owned());
    assert_eq!(one.clear(), Vec::<String>::new());
    assert!(!first.exists() && second.is_dir());
    drop(other);
    assert!(!second.exists() && world.root().is_dir());
}
