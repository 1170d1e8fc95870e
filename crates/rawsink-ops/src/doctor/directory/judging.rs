//! Evaluates the observations of a directory: pure functions.

use super::{FileRace, Held, LONGEST_NAME, Locking, Observed, Spelling, kinds};
use crate::doctor::finding::Finding;
use rawsink::{
    error::{Error, ErrorKind, Result},
    store::raw::{Access, FileSystem, Taken},
};

/// Less free space than this is a warning.
const MIN_FREE_BYTES: u64 = 1 << 30;
/// Fewer free inodes than this are a warning. A partition takes two, and its directories.
const MIN_FREE_INODES: u64 = 10_000;
/// Permission of all users to create entries, and the bit that keeps them from deleting those of others.
const OTHERS_WRITE: u32 = 0o003;
const STICKY: u32 = 0o1000;
const ADVICE: &str = "use another file system, or RAW_SINK=object";

pub(super) fn findings(observed: &Observed) -> Vec<Finding> {
    vec![
        root(observed),
        access(&observed.access),
        file_system(&observed.file_system),
        space(&observed.file_system),
        race("create-link", "link", &observed.links),
        race("create-exclusive", "creation", &observed.creations),
        lock(&observed.lock),
        sync(&observed.synced_file, &observed.synced_directory),
        case(&observed.other_case),
        unicode(&observed.unicode),
        long_names(&observed.long_name),
    ]
}

fn root(observed: &Observed) -> Finding {
    let (id, path) = ("root", observed.root.display());
    Finding::ok(id, format!("{path} is writable"))
}

fn access(found: &Result<Access>) -> Finding {
    let id = "access";
    let Access { own, owner, mode } = match found {
        Ok(found) => *found,
        Err(error) => return failed(id, error),
    };
    let others_write = mode & OTHERS_WRITE == OTHERS_WRITE;
    if others_write && mode & STICKY == 0 {
        let seen = format!("mode {mode:04o}: every user can rename or delete partitions");
        return Finding::fault(id, seen).advise("run: chmod o-w on the root");
    }
    if others_write {
        let seen = format!("mode {mode:04o}: every user can create partitions");
        return Finding::warning(id, seen).advise("run: chmod o-w on the root");
    }
    if owner != own && owner != 0 && own != 0 {
        let seen = format!("the root belongs to user {owner}, and this is user {own}");
        return Finding::warning(id, seen).advise(
            "the owner can rename or delete partitions: make sure that this is the user who lands them",
        );
    }
    Finding::ok(id, format!("mode {mode:04o}, owner {owner}"))
}

fn file_system(found: &Result<FileSystem>) -> Finding {
    let id = "file-system";
    let number = match found {
        Ok(found) => found.kind,
        Err(error) => return failed(id, error),
    };
    let Some((name, kind)) = kinds::of(number) else {
        return Finding::note(id, format!("unknown type, {number:#010x}"));
    };
    match kind {
        kinds::Kind::Local => Finding::ok(id, format!("{name}, local")),
        kinds::Kind::Memory => Finding::warning(id, format!("{name}, in memory"))
            .advise("a power failure, and on some systems a restart, deletes all partitions"),
        kinds::Kind::Layer => Finding::warning(id, format!("{name}, a layer of a container"))
            .advise("partitions are deleted with the container: mount a volume"),
        kinds::Kind::Network => Finding::warning(id, format!("{name}, over the network")).advise(
            "write from one machine only: others may not see its lock; or use RAW_SINK=object",
        ),
        kinds::Kind::UserSpace => Finding::warning(id, format!("{name}, a user-space file system"))
            .advise("durability depends on its daemon: make sure that it keeps synced data"),
    }
}

fn space(found: &Result<FileSystem>) -> Finding {
    let id = "space";
    match found {
        Err(error) => failed(id, error),
        Ok(found) => {
            let inodes = found.free_inodes.map(|free| format!(", {free} inodes"));
            let inodes = inodes.unwrap_or_default();
            let seen = format!("{} MiB{inodes} free", found.free_bytes >> 20);
            let few_inodes = found.free_inodes.is_some_and(|free| free < MIN_FREE_INODES);
            if found.free_bytes < MIN_FREE_BYTES || few_inodes {
                return Finding::warning(id, seen)
                    .advise("free some space: a full disk refuses new partitions, but loses none");
            }
            Finding::ok(id, seen)
        }
    }
}

fn race(id: &str, what: &str, races: &[FileRace]) -> Finding {
    let won = |race: &FileRace| {
        race.results.iter().filter(|taken| matches!(taken, Ok(Taken::ByThis))).count()
    };
    let is_replaced = |race: &FileRace| {
        let winner = race.results.iter().position(|taken| matches!(taken, Ok(Taken::ByThis)));
        matches!(&race.survivor, Ok(survivor) if *survivor != winner)
    };
    if let Some(error) =
        races.iter().flat_map(|race| &race.results).find_map(|taken| taken.as_ref().err())
    {
        return failed(id, error);
    }
    let width = races.first().map_or(0, |race| race.results.len());
    let rounds = races.len();
    let several = races.iter().filter(|race| won(race) > 1).count();
    let none = races.iter().filter(|race| won(race) == 0).count();
    let wrong = races.iter().filter(|race| won(race) == 1 && is_replaced(race)).count();
    let seen = format!("{rounds} rounds of {width}");
    if several + none > 0 {
        let seen = format!("{seen}: in {several} more than one {what} succeeded, in {none} none");
        return Finding::fault(id, seen).advise(ADVICE);
    }
    if wrong > 0 {
        return Finding::fault(id, format!("{seen}: in {wrong} the winner's bytes were lost"))
            .advise(ADVICE);
    }
    if let Some(error) = races.iter().find_map(|race| race.survivor.as_ref().err()) {
        return failed(id, error);
    }
    Finding::ok(id, format!("{seen}: one winner each, with its bytes"))
}

fn lock(found: &Result<Locking>) -> Finding {
    let id = "lock";
    match found {
        Err(error) => failed(id, error),
        Ok(Locking { first: Held::Yes, second: Held::No, third: Held::Yes }) => {
            Finding::ok(id, "excluded a second holder until it was released")
        }
        Ok(Locking { second: Held::Yes, .. }) => {
            Finding::fault(id, "two holders had the lock at the same time").advise(ADVICE)
        }
        Ok(_) => Finding::fault(id, "a free lock could not be acquired").advise(ADVICE),
    }
}

fn sync(file: &Result<()>, directory: &Result<()>) -> Finding {
    let id = "sync";
    match file.as_ref().and(directory.as_ref()) {
        Ok(()) => Finding::ok(id, "a file and a directory were synced"),
        Err(error) => failed(id, error),
    }
}

fn case(found: &Result<bool>) -> Finding {
    let id = "case";
    match found {
        Err(error) => failed(id, error),
        Ok(false) => Finding::ok(id, "case-sensitive"),
        Ok(true) => Finding::fault(id, "not case-sensitive: customers A and a share one partition")
            .advise("use a case-sensitive directory"),
    }
}

fn unicode(found: &Result<Spelling>) -> Finding {
    let id = "unicode";
    match found {
        Err(error) => failed(id, error),
        Ok(Spelling::Unchanged) => Finding::ok(id, "stored unchanged"),
        Ok(Spelling::Merged) => {
            Finding::fault(id, "two encodings of one letter name the same file").advise(ADVICE)
        }
        Ok(Spelling::Changed) => {
            Finding::fault(id, "listed in another encoding than created").advise(ADVICE)
        }
    }
}

fn long_names(found: &Result<Taken>) -> Finding {
    let id = "long-names";
    match found {
        Ok(_) => Finding::ok(id, format!("{LONGEST_NAME} bytes are allowed")),
        Err(error) if error.kind() == ErrorKind::Invalid => {
            Finding::warning(id, format!("{LONGEST_NAME} bytes are refused: {}", error.message()))
                .advise("keep the parts of a key and run ids short")
        }
        Err(error) => failed(id, error),
    }
}

/// Returns a finding for an operation that writers need: unsupported, or failing now.
fn failed(id: &str, error: &Error) -> Finding {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Internal => {
            Finding::inconclusive(id, error.to_string())
        }
        _ => Finding::fault(id, error.to_string()).advise(ADVICE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{
        checks,
        finding::{Diagnosis, Severity, Soundness},
    };

    const EXT4: FileSystem =
        FileSystem { kind: 0xef53, free_bytes: 2 << 30, free_inodes: Some(MIN_FREE_INODES) };

    fn won(by: &[bool], survivor: Option<usize>) -> FileRace {
        let taken = |won: &bool| Ok(if *won { Taken::ByThis } else { Taken::Before });
        FileRace { results: by.iter().map(taken).collect(), survivor: Ok(survivor) }
    }

    fn fine() -> Observed {
        Observed {
            root: "/raw".into(),
            access: Ok(Access { own: 1000, owner: 1000, mode: 0o750 }),
            file_system: Ok(EXT4),
            links: vec![won(&[false, true], Some(1))],
            creations: vec![won(&[true, false], Some(0))],
            lock: Ok(Locking { first: Held::Yes, second: Held::No, third: Held::Yes }),
            synced_file: Ok(()),
            synced_directory: Ok(()),
            other_case: Ok(false),
            unicode: Ok(Spelling::Unchanged),
            long_name: Ok(Taken::ByThis),
        }
    }

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "no")
    }

    /// Asserts that a change gives only this finding another severity.
    fn assert_found(change: impl FnOnce(&mut Observed), id: &str, outcome: Severity) {
        let mut observed = fine();
        change(&mut observed);
        for finding in findings(&observed) {
            let expected = if finding.id() == id { outcome } else { Severity::Ok };
            assert_eq!(finding.outcome, expected, "{finding:?} with {observed:?}");
        }
    }

    #[test]
    fn a_good_directory_is_sound_and_every_check_has_a_finding() {
        let found = findings(&fine());
        let ids: Vec<&str> = found.iter().map(Finding::id).collect();
        assert_eq!(ids, checks::DIRECTORY.iter().map(|check| check.id).collect::<Vec<_>>());
        assert!(found.iter().all(|finding| finding.outcome == Severity::Ok), "{found:?}");
        let diagnosis = Diagnosis::new("/raw".into(), found, Vec::new());
        assert_eq!(diagnosis.soundness, Soundness::Sound);
    }

    #[test]
    fn a_race_must_have_one_winner_with_its_bytes() {
        let link = |race: FileRace| move |seen: &mut Observed| seen.links.push(race);
        assert_found(link(won(&[true, true], Some(0))), "create-link", Severity::Fault);
        assert_found(link(won(&[false, false], None)), "create-link", Severity::Fault);
        assert_found(link(won(&[true, false], Some(1))), "create-link", Severity::Fault);
        assert_found(link(won(&[true, false], None)), "create-link", Severity::Fault);
        let create = |race: FileRace| move |seen: &mut Observed| seen.creations.push(race);
        assert_found(create(won(&[true, true], Some(0))), "create-exclusive", Severity::Fault);
    }

    #[test]
    fn unsupported_operations_are_faults_and_unavailable_ones_unknown() {
        for (kind, outcome) in
            [(ErrorKind::Unsupported, Severity::Fault), (ErrorKind::Unavailable, Severity::Unknown)]
        {
            let failed = || FileRace { results: vec![Err(error(kind))], survivor: Ok(None) };
            assert_found(|seen| seen.links = vec![failed()], "create-link", outcome);
            assert_found(|seen| seen.creations = vec![failed()], "create-exclusive", outcome);
            assert_found(|seen| seen.lock = Err(error(kind)), "lock", outcome);
            assert_found(|seen| seen.synced_file = Err(error(kind)), "sync", outcome);
            assert_found(|seen| seen.synced_directory = Err(error(kind)), "sync", outcome);
            assert_found(|seen| seen.other_case = Err(error(kind)), "case", outcome);
            assert_found(|seen| seen.unicode = Err(error(kind)), "unicode", outcome);
        }
    }

    #[test]
    fn a_shared_or_unavailable_lock_is_a_fault() {
        for (first, second, third) in [
            (Held::Yes, Held::Yes, Held::Yes),
            (Held::Yes, Held::No, Held::No),
            (Held::No, Held::No, Held::No),
        ] {
            let lock = Locking { first, second, third };
            assert_found(|seen| seen.lock = Ok(lock), "lock", Severity::Fault);
        }
    }

    #[test]
    fn merged_or_changed_names_are_a_fault() {
        assert_found(|seen| seen.other_case = Ok(true), "case", Severity::Fault);
        for spelling in [Spelling::Merged, Spelling::Changed] {
            assert_found(|seen| seen.unicode = Ok(spelling), "unicode", Severity::Fault);
        }
        let refused = Err(error(ErrorKind::Invalid));
        assert_found(|seen| seen.long_name = refused, "long-names", Severity::Warning);
    }

    #[test]
    fn file_systems_are_recognized() {
        for (kind, outcome, said) in [
            (0x6969, Severity::Warning, "nfs, over the network"),
            (0xff53_4d42, Severity::Warning, "cifs, over the network"),
            (0x6573_5546, Severity::Warning, "fuse, a user-space file system"),
            (0x0102_1994, Severity::Warning, "tmpfs, in memory"),
            (0x794c_7630, Severity::Warning, "overlayfs, a layer of a container"),
            (0x5846_5342, Severity::Ok, "xfs, local"),
            (0x1234_5678, Severity::Note, "unknown type, 0x12345678"),
        ] {
            let found = file_system(&Ok(FileSystem { kind, ..EXT4 }));
            assert_eq!(found.outcome, outcome, "{found:?}");
            assert!(found.seen.contains(said), "{found:?}");
        }
    }

    #[test]
    fn little_space_is_a_warning() {
        let little = FileSystem { free_bytes: (1 << 30) - 1, ..EXT4 };
        assert_found(|seen| seen.file_system = Ok(little), "space", Severity::Warning);
        let few = FileSystem { free_inodes: Some(MIN_FREE_INODES - 1), ..EXT4 };
        assert_found(|seen| seen.file_system = Ok(few), "space", Severity::Warning);
        let unlimited = FileSystem { free_inodes: None, ..EXT4 };
        assert_found(|seen| seen.file_system = Ok(unlimited), "space", Severity::Ok);
    }

    #[test]
    fn a_root_that_others_can_change_is_reported() {
        for (owner, mode, outcome) in [
            (1000, 0o750, Severity::Ok),
            (1000, 0o775, Severity::Ok),
            (0, 0o755, Severity::Ok),
            (1001, 0o775, Severity::Warning),
            (1000, 0o1777, Severity::Warning),
            (1000, 0o777, Severity::Fault),
            (1001, 0o773, Severity::Fault),
            (1000, 0o772, Severity::Ok),
        ] {
            let access = Access { own: 1000, owner, mode };
            assert_found(|seen| seen.access = Ok(access), "access", outcome);
        }
        let by_root = Access { own: 0, owner: 1000, mode: 0o750 };
        assert_found(|seen| seen.access = Ok(by_root), "access", Severity::Ok);
    }
}
