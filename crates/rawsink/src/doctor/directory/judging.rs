//! Findings of what was seen of a directory: looks at nothing else.

use super::{Held, LONGEST_NAME, Locking, Observed, Race, Spelling, kinds};
use crate::{
    doctor::finding::Finding,
    error::{Error, ErrorKind, Result},
    store::scratch::{FileSystem, Taken},
};

/// Less free space than this is worth a warning.
const LITTLE: u64 = 1 << 30;
const USELESS: &str = "use another file system, or RAW_SINK=object";

pub(super) fn findings(observed: &Observed) -> Vec<Finding> {
    vec![
        root(observed),
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
    if observed.made_root {
        return Finding::note(id, format!("{path} is not there; the first writer can make it"));
    }
    Finding::ok(id, format!("{path} can be written"))
}

fn file_system(found: &Result<FileSystem>) -> Finding {
    let id = "file-system";
    let number = match found {
        Ok(found) => found.kind,
        Err(error) => return failed(id, error),
    };
    let Some((name, kind)) = kinds::of(number) else {
        return Finding::note(id, format!("of a type that is not known, {number:#010x}"));
    };
    match kind {
        kinds::Kind::Local => Finding::ok(id, format!("{name}, on this machine")),
        kinds::Kind::Memory => Finding::warning(id, format!("{name}, in memory"))
            .advise("a power failure, and on some systems a restart, takes all partitions"),
        kinds::Kind::Layer => Finding::warning(id, format!("{name}, a layer of a container"))
            .advise("partitions end with the container: mount a volume"),
        kinds::Kind::Network => Finding::warning(id, format!("{name}, over the network"))
            .advise("let one machine write, whose lock others may not see; or RAW_SINK=object"),
        kinds::Kind::UserSpace => Finding::warning(id, format!("{name}: a program answers"))
            .advise("make sure that it keeps what it has synced"),
    }
}

fn space(found: &Result<FileSystem>) -> Finding {
    let id = "space";
    match found {
        Err(error) => failed(id, error),
        Ok(found) => {
            let seen = format!("{} MiB are free", found.free_bytes >> 20);
            if found.free_bytes < LITTLE {
                return Finding::warning(id, seen)
                    .advise("a full disk refuses a partition, and loses none");
            }
            Finding::ok(id, seen)
        }
    }
}

fn race(id: &str, what: &str, races: &[Race]) -> Finding {
    let won =
        |race: &Race| race.told.iter().filter(|told| matches!(told, Ok(Taken::ByThis))).count();
    let others = |race: &Race| {
        let winner = race.told.iter().position(|told| matches!(told, Ok(Taken::ByThis)));
        matches!(&race.there, Ok(there) if *there != winner)
    };
    if let Some(error) =
        races.iter().flat_map(|race| &race.told).find_map(|told| told.as_ref().err())
    {
        return failed(id, error);
    }
    let width = races.first().map_or(0, |race| race.told.len());
    let rounds = races.len();
    let several = races.iter().filter(|race| won(race) > 1).count();
    let none = races.iter().filter(|race| won(race) == 0).count();
    let wrong = races.iter().filter(|race| won(race) == 1 && others(race)).count();
    let seen = format!("{rounds} rounds of {width}");
    if several + none > 0 {
        let seen = format!("{seen}: in {several} more than one {what} won, in {none} none");
        return Finding::fault(id, seen).advise(USELESS);
    }
    if wrong > 0 {
        return Finding::fault(id, format!("{seen}: in {wrong} not the winner's bytes were there"))
            .advise(USELESS);
    }
    if let Some(error) = races.iter().find_map(|race| race.there.as_ref().err()) {
        return failed(id, error);
    }
    Finding::ok(id, format!("{seen}: one winner each, whose bytes were there"))
}

fn lock(found: &Result<Locking>) -> Finding {
    let id = "lock";
    match found {
        Err(error) => failed(id, error),
        Ok(Locking { first: Held::Yes, second: Held::No, third: Held::Yes }) => {
            Finding::ok(id, "a second holder was kept out until the first let go")
        }
        Ok(Locking { second: Held::Yes, .. }) => {
            Finding::fault(id, "two had the lock at once").advise(USELESS)
        }
        Ok(_) => Finding::fault(id, "a lock that nobody has could not be had").advise(USELESS),
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
        Ok(false) => Finding::ok(id, "two names"),
        Ok(true) => Finding::fault(id, "one name: customers A and a would be one partition")
            .advise("use a directory that tells upper from lower case"),
    }
}

fn unicode(found: &Result<Spelling>) -> Finding {
    let id = "unicode";
    match found {
        Err(error) => failed(id, error),
        Ok(Spelling::AsGiven) => Finding::ok(id, "as given"),
        Ok(Spelling::Merged) => {
            Finding::fault(id, "two encodings of one letter are one name").advise(USELESS)
        }
        Ok(Spelling::Changed) => {
            Finding::fault(id, "listed in another encoding than given").advise(USELESS)
        }
    }
}

fn long_names(found: &Result<Taken>) -> Finding {
    let id = "long-names";
    match found {
        Ok(_) => Finding::ok(id, format!("{LONGEST_NAME} bytes were accepted")),
        Err(error) if error.kind() == ErrorKind::Invalid => {
            Finding::warning(id, format!("{LONGEST_NAME} bytes were refused: {}", error.message()))
                .advise("keep the parts of a key and run ids short")
        }
        Err(error) => failed(id, error),
    }
}

/// A finding of an operation that a writer needs: not there, or failing now.
fn failed(id: &str, error: &Error) -> Finding {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Internal => {
            Finding::unknown(id, error.to_string()).advise("run doctor again")
        }
        _ => Finding::fault(id, error.to_string()).advise(USELESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{
        checks,
        finding::{Diagnosis, Outcome, Soundness},
    };

    const EXT4: FileSystem = FileSystem { kind: 0xef53, free_bytes: 2 << 30 };

    fn won(by: &[bool], there: Option<usize>) -> Race {
        let told = |won: &bool| Ok(if *won { Taken::ByThis } else { Taken::Before });
        Race { told: by.iter().map(told).collect(), there: Ok(there) }
    }

    fn fine() -> Observed {
        Observed {
            root: "/raw".into(),
            made_root: false,
            file_system: Ok(EXT4),
            links: vec![won(&[false, true], Some(1))],
            creations: vec![won(&[true, false], Some(0))],
            lock: Ok(Locking { first: Held::Yes, second: Held::No, third: Held::Yes }),
            synced_file: Ok(()),
            synced_directory: Ok(()),
            other_case: Ok(false),
            unicode: Ok(Spelling::AsGiven),
            long_name: Ok(Taken::ByThis),
        }
    }

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "no")
    }

    /// Asserts that a change makes this one finding of another outcome.
    fn assert_found(change: impl FnOnce(&mut Observed), id: &str, outcome: Outcome) {
        let mut observed = fine();
        change(&mut observed);
        for finding in findings(&observed) {
            let expected = if finding.id() == id { outcome } else { Outcome::Ok };
            assert_eq!(finding.outcome, expected, "{finding:?} with {observed:?}");
        }
    }

    #[test]
    fn a_good_directory_is_sound_and_every_check_has_a_finding() {
        let found = findings(&fine());
        let ids: Vec<&str> = found.iter().map(Finding::id).collect();
        assert_eq!(ids, checks::DIRECTORY.iter().map(|check| check.id).collect::<Vec<_>>());
        assert!(found.iter().all(|finding| finding.outcome == Outcome::Ok), "{found:?}");
        let diagnosis = Diagnosis::new("/raw".into(), found, Vec::new());
        assert_eq!(diagnosis.soundness, Soundness::Sound);
    }

    #[test]
    fn a_race_has_one_winner_whose_bytes_are_there() {
        let link = |race: Race| move |seen: &mut Observed| seen.links.push(race);
        assert_found(link(won(&[true, true], Some(0))), "create-link", Outcome::Fault);
        assert_found(link(won(&[false, false], None)), "create-link", Outcome::Fault);
        assert_found(link(won(&[true, false], Some(1))), "create-link", Outcome::Fault);
        assert_found(link(won(&[true, false], None)), "create-link", Outcome::Fault);
        let create = |race: Race| move |seen: &mut Observed| seen.creations.push(race);
        assert_found(create(won(&[true, true], Some(0))), "create-exclusive", Outcome::Fault);
    }

    #[test]
    fn a_file_system_without_links_or_locks_is_a_fault_and_a_full_one_is_open() {
        for (kind, outcome) in
            [(ErrorKind::Unsupported, Outcome::Fault), (ErrorKind::Unavailable, Outcome::Unknown)]
        {
            let told = || Race { told: vec![Err(error(kind))], there: Ok(None) };
            assert_found(|seen| seen.links = vec![told()], "create-link", outcome);
            assert_found(|seen| seen.creations = vec![told()], "create-exclusive", outcome);
            assert_found(|seen| seen.lock = Err(error(kind)), "lock", outcome);
            assert_found(|seen| seen.synced_file = Err(error(kind)), "sync", outcome);
            assert_found(|seen| seen.synced_directory = Err(error(kind)), "sync", outcome);
            assert_found(|seen| seen.other_case = Err(error(kind)), "case", outcome);
            assert_found(|seen| seen.unicode = Err(error(kind)), "unicode", outcome);
        }
    }

    #[test]
    fn a_lock_that_two_hold_or_nobody_gets_is_a_fault() {
        for (first, second, third) in [
            (Held::Yes, Held::Yes, Held::Yes),
            (Held::Yes, Held::No, Held::No),
            (Held::No, Held::No, Held::No),
        ] {
            let lock = Locking { first, second, third };
            assert_found(|seen| seen.lock = Ok(lock), "lock", Outcome::Fault);
        }
    }

    #[test]
    fn names_that_are_merged_or_changed_are_a_fault() {
        assert_found(|seen| seen.other_case = Ok(true), "case", Outcome::Fault);
        for spelling in [Spelling::Merged, Spelling::Changed] {
            assert_found(|seen| seen.unicode = Ok(spelling), "unicode", Outcome::Fault);
        }
        let refused = Err(error(ErrorKind::Invalid));
        assert_found(|seen| seen.long_name = refused, "long-names", Outcome::Warning);
    }

    #[test]
    fn file_systems_are_known_by_their_numbers() {
        for (kind, outcome, said) in [
            (0x6969, Outcome::Warning, "nfs, over the network"),
            (0xff53_4d42, Outcome::Warning, "cifs, over the network"),
            (0x6573_5546, Outcome::Warning, "fuse: a program answers"),
            (0x0102_1994, Outcome::Warning, "tmpfs, in memory"),
            (0x794c_7630, Outcome::Warning, "overlayfs, a layer of a container"),
            (0x5846_5342, Outcome::Ok, "xfs, on this machine"),
            (0x1234_5678, Outcome::Note, "not known, 0x12345678"),
        ] {
            let found = file_system(&Ok(FileSystem { kind, ..EXT4 }));
            assert_eq!(found.outcome, outcome, "{found:?}");
            assert!(found.seen.contains(said), "{found:?}");
        }
    }

    #[test]
    fn little_space_is_a_warning() {
        let little = FileSystem { free_bytes: (1 << 30) - 1, ..EXT4 };
        assert_found(|seen| seen.file_system = Ok(little), "space", Outcome::Warning);
    }

    #[test]
    fn a_root_that_was_made_for_this_is_a_note() {
        assert_found(|seen| seen.made_root = true, "root", Outcome::Note);
    }
}
