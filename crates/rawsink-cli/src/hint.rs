//! Hints: the command to run or the variable to set after an error.

use rawsink::{
    Error, ErrorKind, env::variable_of, layout::Place, partition::row::RefusedRow,
    state::StateFault,
};

use rawsink_ops::singer::UnusableName;

use crate::shell::{path_argument, quoted};

const DAMAGED: &str = "do not use this partition before rawsink copy --repair, with the settings of a backup and \
                       this store as the destination, has replaced the damage";
const ISSUES: &str = "https://github.com/rawsink/rawsink/issues";

/// How far a command had come when an error stopped it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The command does not write rows.
    NotWriting,
    /// The command reads the run that has authority.
    Consuming,
    /// The command compares the run with its seal.
    Verifying,
    /// The command reads one run, and its path names many.
    NamingManyRuns,
    /// The command opens the sink that it copies to.
    OpeningDestination,
    /// The command lists runs that have authority, for other programs to read.
    Listing,
    /// The run was not sealed, or may not be.
    BeforeSeal,
    /// Not all streams of a tap are sealed.
    LandingStreams,
    /// The run was sealed; the validation after it failed.
    AfterSeal,
}

/// Returns what to do about an error of a run or partition, if a command or a variable helps.
pub(crate) fn hint(error: &Error, place: Option<&str>, stage: Stage) -> Option<String> {
    if let Some(hint) = error.setting().and_then(of_setting) {
        return Some(hint);
    }
    let place = place.and_then(|place| Place::parse(place, "").ok());
    if stage == Stage::NamingManyRuns && error.kind() == ErrorKind::Invalid {
        let path = place.map(|place| format!(" {}", path_argument(&place))).unwrap_or_default();
        return Some(format!(r#"run "rawsink scrub{path}" to verify all of its runs"#));
    }
    let run = place.as_ref().filter(|place| place.run().is_some());
    let partition = place.as_ref().and_then(Place::partition).map(|key| Place::of_partition(&key));
    if stage == Stage::AfterSeal && error.kind() != ErrorKind::Internal {
        return Some(format!(r#"run "rawsink validate {}""#, path_argument(run?)));
    }
    if stage == Stage::LandingStreams
        && let Some(hint) = of_stream(error, run)
    {
        return Some(hint);
    }
    if RefusedRow::of(error).is_some() {
        return Some(
            "correct the source, or accept refused lines with --rejects FILE --max-rejects N"
                .to_owned(),
        );
    }
    if let Some(fault) = StateFault::of(error) {
        return of_state(fault, run);
    }
    of_kind(error.kind(), run, partition.as_ref(), stage)
}

/// Returns what to do about a kind of error.
fn of_kind(
    kind: ErrorKind,
    run: Option<&Place>,
    partition: Option<&Place>,
    stage: Stage,
) -> Option<String> {
    match kind {
        ErrorKind::NotFound => {
            Some(format!(r#"run "rawsink list {}" to see its runs"#, path_argument(partition?)))
        }
        ErrorKind::NotSealed => Some(format!(
            r#"run "rawsink show {}" to see what was written, or write the same run again"#,
            path_argument(run?)
        )),
        ErrorKind::AlreadySealed => Some(format!(
            r#"a sealed run never changes; run "rawsink write {} -- COMMAND" to write the data under a new run id"#,
            path_argument(partition?)
        )),
        ErrorKind::Conflict => Some(format!(
            r#"run "rawsink show {}" to see whether the other writer has sealed it"#,
            path_argument(run?)
        )),
        ErrorKind::Denied => {
            Some(r#"run "rawsink config" to see which paths, key and bucket are used; "rawsink doctor" finds a wrong clock and missing rights"#.to_owned())
        }
        ErrorKind::Unsupported => {
            Some(r#"run "rawsink doctor" to see what the store supports"#.to_owned())
        }
        ErrorKind::Invalid if stage == Stage::Listing => {
            let path = path_argument(partition?);
            Some(format!(r#"run "rawsink read {path} --current" to read its rows"#))
        }
        ErrorKind::Corrupt if matches!(stage, Stage::Consuming | Stage::Listing) => {
            let path = path_argument(partition?);
            Some(format!(
                r#"run "rawsink coverage {path} --plan" to see the next step, or restore the run from a backup with rawsink copy, or rawsink copy --repair if it differs"#
            ))
        }
        ErrorKind::Corrupt if stage == Stage::Verifying => Some(DAMAGED.to_owned()),
        ErrorKind::Corrupt => Some(of_damage(run, partition)?),
        ErrorKind::Unavailable if stage == Stage::OpeningDestination => Some(
            "check the path, and that its file system is mounted; create the directory if it is new"
                .to_owned(),
        ),
        ErrorKind::Unavailable => Some(again(run, stage)),
        ErrorKind::Unknown => Some(of_unknown(run, partition, stage)),
        ErrorKind::Internal => Some(format!("report this bug with the command line at {ISSUES}")),
        _ => None,
    }
}

/// Returns what to do about a stream of a tap, if it differs from a run that is written alone.
fn of_stream(error: &Error, run: Option<&Place>) -> Option<String> {
    if let Some(UnusableName { stream }) = UnusableName::of(error) {
        return Some(format!("add --rename {}", quoted(&format!("{stream}=NAME"))));
    }
    match error.kind() {
        ErrorKind::AlreadySealed => Some(
            "a sealed run never changes; run the same command without --run-id to land all streams in a new run"
                .to_owned(),
        ),
        kind if kind.is_retryable() => Some(again(run, Stage::BeforeSeal)),
        _ => None,
    }
}

/// Returns how to see what became of a change.
fn of_unknown(run: Option<&Place>, partition: Option<&Place>, stage: Stage) -> String {
    match (run, partition) {
        (Some(run), _) => {
            format!(r#"run "rawsink show {}" to see whether it is sealed"#, path_argument(run))
        }
        (None, Some(partition)) => {
            let partition = path_argument(partition);
            format!(r#"run "rawsink state show {partition}" to see what is recorded"#)
        }
        (None, None) => again(None, stage),
    }
}

/// Returns what to do about a state that cannot be changed as asked.
fn of_state(fault: StateFault, run: Option<&Place>) -> Option<String> {
    Some(match fault {
        StateFault::RunWithdrawn => {
            let run = path_argument(run?);
            format!(r#"run "rawsink state restore {run}" to end the withdrawal"#)
        }
        StateFault::NoLog => {
            "let an administrator run the statements of the warning above".to_owned()
        }
    })
}

/// Returns what to do about a setting, by its field in the configuration types.
fn of_setting(field: &str) -> Option<String> {
    let variable = variable_of(field)?;
    Some(match field {
        "max_row_bytes" => format!("set {variable} to allow longer rows"),
        "max_run_ahead" => {
            format!("check --run-id and this host's clock, or set {variable} to allow it")
        }
        "leftover" => format!("set {variable}=replace to replace the leftover"),
        "ca_file" => format!("set {variable} to the CA certificates (PEM) of a private authority"),
        "part_bytes" => format!("raise {variable}"),
        "root" => {
            format!("check {variable}, and that its file system is mounted; create it if it is new")
        }
        "mounted" => format!("mount the file system, or set {variable}=0"),
        "links" => format!("replace the link by what it leads to, or set {variable}=1"),
        _ => format!("check {variable}"),
    })
}

fn of_damage(run: Option<&Place>, partition: Option<&Place>) -> Option<String> {
    let command = match (run, partition) {
        (Some(run), _) => format!("rawsink verify {}", path_argument(run)),
        (None, Some(partition)) => format!("rawsink verify {} --current", path_argument(partition)),
        (None, None) => return None,
    };
    Some(format!(r#"run "{command}" to see the difference, and {DAMAGED}"#))
}

fn again(run: Option<&Place>, stage: Stage) -> String {
    match run.and_then(Place::run) {
        Some(run) if stage == Stage::BeforeSeal => {
            format!("run the same command again later with --run-id {run}")
        }
        _ => "run the same command again later".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: &str = "ads/customer_id=1/query_name=q/logical_date=2024-06-01";
    const RUN: &str = "ads/customer_id=1/query_name=q/logical_date=2024-06-01/run_id=r1";

    fn of(error: &Error) -> String {
        hint(error, error.place(), Stage::NotWriting).unwrap_or_default()
    }

    #[test]
    fn a_known_setting_is_named_by_its_variable() {
        let long = |field| Error::invalid("no").by_setting(field);
        assert_eq!(of(&long("max_row_bytes")), "set RAW_SINK_MAX_ROW_BYTES to allow longer rows");
        assert_eq!(of(&long("leftover")), "set RAW_SINK_LEFTOVER=replace to replace the leftover");
        assert_eq!(of(&long("part_bytes")), "raise RAW_SINK_PART_BYTES");
        let authority = "set RAW_SINK_CA_FILE to the CA certificates (PEM) of a private authority";
        assert_eq!(of(&long("ca_file")), authority);
        assert_eq!(of(&long("region")), "check RAW_SINK_REGION");
    }

    #[test]
    fn a_damaged_run_is_named_in_the_command() {
        let verify =
            format!(r#"run "rawsink verify {RUN}" to see the difference, and do not use this"#);
        assert!(of(&Error::corrupt("no").at(RUN)).starts_with(&verify));
        assert!(of(&Error::corrupt("no").at(PARTITION)).contains("--current"));
        assert_eq!(of(&Error::corrupt("no")), "");
    }

    #[test]
    fn a_path_of_many_runs_is_for_scrub() {
        let error = Error::invalid("no").at("ads/customer_id=1");
        let scrub = r#"run "rawsink scrub ads/customer_id=1" to verify all of its runs"#;
        let of = |error: &Error| hint(error, error.place(), Stage::NamingManyRuns);
        assert_eq!(of(&error).unwrap(), scrub);
        let whole = of(&Error::invalid("no")).unwrap();
        assert_eq!(whole, r#"run "rawsink scrub" to verify all of its runs"#);
        assert_eq!(hint(&error, error.place(), Stage::NotWriting), None);
    }

    #[test]
    fn the_hint_of_a_write_depends_on_the_seal() {
        let error = Error::new(ErrorKind::Unavailable, "no").at(RUN);
        let of = |stage| hint(&error, error.place(), stage).unwrap_or_default();
        assert_eq!(of(Stage::NotWriting), "run the same command again later");
        assert_eq!(of(Stage::BeforeSeal), "run the same command again later with --run-id r1");
        assert_eq!(of(Stage::AfterSeal), format!(r#"run "rawsink validate {RUN}""#));
    }
}
