//! The place for raw operations, and others who make and take away the same directories.

use std::{
    fs::{create_dir_all, remove_dir},
    sync::Barrier,
    thread,
};

use super::*;

fn make(world: &World) -> Result<DirectoryScratch> {
    DirectoryScratch::make(&world.root(), &WriterToken::new(1))
}

#[test]
fn directories_that_another_makes_and_takes_away_meanwhile_are_made_again() {
    for round in 0..50 {
        let world = World::new(Before::Nothing);
        let (root, place) = (world.root(), world.root().join("_doctor"));
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                // Fewer removals than a scratch has patience for.
                for _ in 0..40 {
                    // Refused where there is something in it.
                    let _ = create_dir_all(&place);
                    let _ = remove_dir(&place).and_then(|()| remove_dir(&root));
                }
            });
            start.wait();
            let scratch = make(&world).unwrap_or_else(|error| panic!("round {round}: {error}"));
            assert!(scratch.path().is_dir(), "round {round}");
        });
    }
}

#[test]
fn a_scratch_that_was_cleared_takes_nothing_away_that_another_made_since() {
    let world = World::new(Before::Nothing);
    let mut scratch = make(&world).unwrap();
    assert!(scratch.has_made(&world.root()));
    assert_eq!(scratch.clear(), Vec::<String>::new());
    assert!(!world.root().exists());

    let place = world.root().join("_doctor");
    create_dir_all(&place).unwrap();
    drop(scratch);
    assert!(place.is_dir(), "another's, and empty still");
}
