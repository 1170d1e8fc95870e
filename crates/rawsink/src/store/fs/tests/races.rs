//! Other processes act between the steps of an attempt.

use std::{fs, path::Path, sync::mpsc, time::Duration};

use super::*;

#[tokio::test]
async fn g09_a_directory_deleted_before_the_lock_is_held_is_created_again() {
    for (step, moment) in [
        (Step::OpenDirectory, Moment::Before),
        (Step::Lock, Moment::Before),
        (Step::CompareDirectory, Moment::Before),
    ] {
        let world = World::new(Before::Nothing);
        let dir = world.dir();
        let hook = Once::new(step, moment, move || {
            fs::remove_dir(&dir).unwrap();
            Ok(())
        });
        write(&world.probed(hook.clone()), 1).await.unwrap();
        assert!(hook.done.load(Ordering::Relaxed));
        world.assert_sealed_by(1, &format!("{step:?}")).await;
    }
}

#[tokio::test]
async fn g09_a_directory_created_and_deleted_by_another_process_is_created_again() {
    let world = World::new(Before::Nothing);
    let dir = world.dir();
    // A dangling link: creating a directory finds it, opening a directory does not.
    fs::create_dir_all(dir.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("nowhere", &dir).unwrap();
    let hook = Once::new(Step::MakeDirectories, Moment::After, move || {
        fs::remove_file(&dir).unwrap();
        Ok(())
    });
    let config = FsConfig::new(world.root()).links(Links::Followed);
    let store = FsStore { probe: Probe::new(hook), ..FsStore::new(&config).unwrap() };
    write(&store, 1).await.unwrap();
    world.assert_sealed_by(1, "created again").await;
}

#[tokio::test]
async fn g04_a_directory_replaced_before_the_lock_is_held_is_locked_again() {
    let world = World::new(Before::Nothing);
    let dir = world.dir();
    // The new directory is created while the old one is open, so it has another inode.
    let hook = Once::new(Step::Lock, Moment::After, move || {
        fs::remove_dir(&dir).unwrap();
        fs::create_dir(&dir).unwrap();
        Ok(())
    });
    let script = Script::new(None);
    let both: Arc<dyn Hook> = Arc::new(Both(hook.clone(), script.clone()));
    write(&world.probed(both), 1).await.unwrap();
    world.assert_sealed_by(1, "replaced").await;
    let locks = script.steps().iter().filter(|step| **step == Step::Lock).count();
    assert_eq!(locks, 2);
}

struct Both(Arc<dyn Hook>, Arc<dyn Hook>);

impl Hook for Both {
    fn at(&self, step: Step, moment: Moment) -> Result<(), Errno> {
        self.0.at(step, moment).and(self.1.at(step, moment))
    }

    fn is_dead(&self) -> bool {
        self.0.is_dead() || self.1.is_dead()
    }
}

#[tokio::test]
async fn a_directory_that_is_always_deleted_is_unavailable() {
    struct Vanish;
    impl Hook for Vanish {
        fn at(&self, step: Step, _: Moment) -> Result<(), Errno> {
            if step == Step::Lock { Err(Errno::NOENT) } else { Ok(()) }
        }

        fn is_dead(&self) -> bool {
            false
        }
    }
    let refused = write(&World::new(Before::Nothing).probed(Arc::new(Vanish)), 1).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn g04_an_object_that_appears_before_the_link_keeps_its_bytes() {
    for (step, object, kind) in [
        (Step::LinkPayload, Object::Payload, ErrorKind::Conflict),
        (Step::LinkSeal, Object::Seal, ErrorKind::AlreadySealed),
    ] {
        let world = World::new(Before::Nothing);
        let file = world.dir().join(object.file_name());
        let hook = Once::new(step, Moment::Before, move || {
            fs::write(&file, "another's").unwrap();
            Ok(())
        });
        let refused = write(&world.probed(hook), 1).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
        assert_eq!(world.content(object).await.as_deref(), Some("another's"));
        let staged = |name: &String| name.starts_with('.');
        assert!(!world.names().unwrap().iter().any(staged), "its own staging files are deleted");
    }
}

/// Blocks an attempt inside a step until the test resumes it.
fn blocked_at(step: Step) -> (Arc<dyn Hook>, mpsc::Sender<()>) {
    let (resume, wait) = mpsc::channel();
    let wait = Mutex::new(wait);
    let hook = Once::new(step, Moment::Before, move || {
        wait.lock().unwrap().recv_timeout(Duration::from_secs(10)).map_err(|_| Errno::TIMEDOUT)
    });
    (hook, resume)
}

async fn vanished(dir: &Path) -> bool {
    for _ in 0..5000 {
        if !dir.exists() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    false
}

#[tokio::test]
async fn g04_g08_a_step_of_a_dropped_upload_ends_under_the_lock_and_is_rolled_back() {
    let world = World::new(Before::Nothing);
    let (hook, resume) = blocked_at(Step::Append);
    let mut upload = world.probed(hook).start(&run(), options(1)).await.unwrap();
    upload.append(Bytes::from_static(b"a part")).await.unwrap();
    drop(upload);
    let refused = write(&world.fresh(), 2).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "the lock is held while the step runs");
    resume.send(()).unwrap();
    assert!(vanished(&world.dir()).await);
    write(&world.fresh(), 3).await.unwrap();
    world.assert_sealed_by(3, "after the step has ended").await;
}

#[tokio::test]
async fn a_seal_whose_future_was_dropped_finishes_in_the_background() {
    let world = World::new(Before::Nothing);
    let (hook, resume) = blocked_at(Step::LinkSeal);
    let mut upload = world.probed(hook).start(&run(), options(1)).await.unwrap();
    upload.complete(Bytes::from(payload_of(1))).await.unwrap();
    let document = |token: &WriterToken| Bytes::from(format!("sealed by {token}"));
    let sealing = upload.seal(&document);
    assert!(tokio::time::timeout(Duration::from_millis(5), sealing).await.is_err());
    assert_eq!(world.content(Object::Seal).await, None);
    resume.send(()).unwrap();
    while world.content(Object::Seal).await.is_none() {
        tokio::task::yield_now().await;
    }
    world.assert_sealed_by(1, "sealed in the background").await;
}
