//! What a seed decides before anything happens: server, settings, weather, and who does what.

mod cleaner;
mod weather;

use rawsink::{
    PartitionKey, RunId,
    config::{Addressing, CompleteConditions, LeftoverPolicy, ObjectSettings, Provider, Secret},
    layout::Place,
};

pub(super) use self::{
    cleaner::{CLOCK_SKEW, Cleaner},
    weather::{Happening, Then, Trouble, Weather},
};
use super::{
    options::{Lateness, Lie, Options},
    random::Random,
    time::{HOUR, MILLISECOND, MINUTE, Micros, SECOND},
};
use crate::server::{AbortMeetingComplete, Behaviour, Conditions, LatePart, SecondComplete};

/// What stands before every key.
pub(super) const PREFIX: &str = "raw/zone";
/// Bytes of a row with its line feed.
pub(super) const ROW_BYTES: usize = 32;
/// Rows of a part.
pub(super) const PART_ROWS: u64 = 4;

/// Everything that is decided before the start.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) behaviour: Behaviour,
    /// What the clocks of the server's gateways say, an hour being right.
    pub(super) gateways: Vec<Micros>,
    /// What decides the tag of a part.
    pub(super) part_tags: PartTags,
    pub(super) settings: ObjectSettings,
    /// How long a request usually takes.
    pub(super) tempo: Micros,
    pub(super) weather: Weather,
    pub(super) runs: Vec<Run>,
    pub(super) writers: Vec<Writer>,
    pub(super) observers: Vec<Observer>,
    pub(super) cleaners: Vec<Cleaner>,
    /// Who removes everything that is old, payloads too, when nobody lives any more.
    pub(super) last_cleaner: Option<Cleaner>,
    pub(super) happenings: Vec<(Micros, Happening)>,
}

/// What decides the tag of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartTags {
    /// Its bytes.
    Content,
    /// Nothing: each sending has another one, as with some kinds of encryption.
    Sending,
}

/// A run of a logical partition.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) key: PartitionKey,
    pub(super) id: RunId,
    /// What its keys start with.
    pub(super) prefix: String,
    /// Whether an attempt that is dead by now left something.
    pub(super) left: Left,
}

/// What an attempt left before the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Payload,
    Upload,
    Both,
}

/// Somebody who writes a run, and tries again.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub(super) run: usize,
    pub(super) start: Micros,
    pub(super) rows: u64,
    /// How long it takes to extract a row, at most.
    pub(super) row_gap: Micros,
    pub(super) ending: Ending,
    pub(super) leftover: LeftoverPolicy,
    /// What it is told of the server.
    pub(super) conditions: CompleteConditions,
    pub(super) restarts: u64,
}

/// How a writer means to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Seal,
    Abort,
    /// Forgets the writer.
    Drop,
    /// Forgets the sealing after so long.
    DropSealing(Micros),
    BadRow,
    /// Seals with metadata of another run.
    BadMetadata,
}

/// Somebody who writes no run.
#[derive(Debug, Clone)]
pub(super) struct Observer {
    pub(super) role: Role,
    pub(super) start: Micros,
    pub(super) times: u64,
    pub(super) gap: Micros,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Reader,
    Validator,
    Consumer,
}

impl Plan {
    pub(super) fn draw(random: &mut Random, options: Options) -> Self {
        let behaviour = behaviour(random, options);
        let settings = settings(random, &behaviour, options);
        let tempo = random.pick(&[5 * MILLISECOND, 100 * MILLISECOND, 2 * SECOND, 12 * SECOND]);
        let runs = runs(random);
        let spread = random.pick(&[0, 20 * tempo, MINUTE, 10 * MINUTE]);
        let refuse = random.happens(150);
        let writers: Vec<_> = (0..random.between(1, 5))
            .map(|_| Writer {
                leftover: if refuse || random.happens(200) {
                    LeftoverPolicy::Refuse
                } else {
                    LeftoverPolicy::Replace
                },
                conditions: if random.happens(200) {
                    CompleteConditions::Ignored
                } else {
                    settings.complete_conditions
                },
                ..writer(random, runs.len(), spread, tempo)
            })
            .collect();
        let observers =
            (0..random.between(0, 3)).map(|_| observer(random, spread, tempo)).collect();
        let weather = Weather::draw(random);
        let gateways =
            random.pick(&[&[HOUR][..], &[HOUR, HOUR + 2 * SECOND], &[0, HOUR, 2 * HOUR]]);
        let mut plan = Self {
            behaviour,
            gateways: gateways.to_vec(),
            part_tags: random.pick(&[PartTags::Content, PartTags::Sending]),
            settings,
            tempo,
            weather,
            runs,
            writers,
            observers,
            cleaners: Vec::new(),
            last_cleaner: None,
            happenings: weather::happenings(random),
        };
        plan.draw_cleaners(random);
        plan
    }

    /// Tells whether every writer refuses leftovers.
    pub(super) fn refuses(&self) -> bool {
        self.writers.iter().all(|writer| writer.leftover == LeftoverPolicy::Refuse)
    }
}

/// Returns the time at the start, which is late enough for clocks that are behind.
pub(super) fn start() -> Micros {
    2 * HOUR
}

fn behaviour(random: &mut Random, options: Options) -> Behaviour {
    let conditions = random.pick(&[Conditions::Ignored, Conditions::Enforced]);
    // No server that enforces conditions ruins objects. On one that does nothing holds for requests
    // that are applied later than the grace.
    let ruins = conditions == Conditions::Ignored && random.happens(400);
    let ruins = ruins && options.lateness == Lateness::Assumed;
    let mut behaviour = Behaviour {
        conditions,
        abort_meeting_complete: if ruins {
            AbortMeetingComplete::Ruins
        } else {
            AbortMeetingComplete::EndsIt
        },
        second_complete: random.pick(&[
            SecondComplete::NoSuchUpload,
            SecondComplete::SameTag,
            SecondComplete::EmptyTag,
            if conditions == Conditions::Ignored {
                SecondComplete::TagOfWhatIsThere
            } else {
                SecondComplete::NoSuchUpload
            },
        ]),
        late_part: random.pick(&[LatePart::Refused, LatePart::ListsUploadAgain]),
        page_keys: random.pick(&[1, 2, 1000]),
        // Drawn with the cleaners, who alone ask for it.
        ..Behaviour::default()
    };
    if options.lie == Some(Lie::ConditionsIgnored) {
        behaviour.conditions = Conditions::Ignored;
    }
    behaviour
}

fn settings(random: &mut Random, behaviour: &Behaviour, options: Options) -> ObjectSettings {
    let known = behaviour.conditions == Conditions::Enforced && random.happens(700);
    let known = known || options.lie == Some(Lie::ConditionsIgnored);
    let (grace, deadline, timeout, complete) =
        random.pick(&[(90, 60, 20, 600), (90, 60, 20, 600), (20, 5, 10, 200), (600, 60, 20, 300)]);
    let ruins = behaviour.abort_meeting_complete == AbortMeetingComplete::Ruins;
    let mut settings = ObjectSettings {
        endpoint_url: "http://s3.test".to_owned(),
        provider: Provider::of_host("s3.test"),
        region: "us-east-1".to_owned(),
        bucket: "landing".to_owned(),
        prefix: PREFIX.to_owned(),
        access_key_id: Secret::value("key"),
        secret_access_key: Secret::value("secret"),
        session_token: None,
        addressing: Addressing::Path,
        ca_file: None,
        // Less than a real server takes, so that a few rows are several parts.
        part_bytes: ROW_BYTES * usize::try_from(PART_ROWS).expect("a few rows"),
        uploads_in_flight: random.pick(&[1, 4]),
        complete_conditions: if known {
            CompleteConditions::Enforced
        } else {
            CompleteConditions::Ignored
        },
        leftover_grace_s: if ruins { complete + 60 } else { grace },
        seal_deadline_s: deadline,
        seal_timeout_s: timeout,
        complete_deadline_s: complete,
    };
    if options.lie == Some(Lie::GraceTooShort) {
        settings.leftover_grace_s = 1;
    }
    settings
}

fn runs(random: &mut Random) -> Vec<Run> {
    let lefts =
        [Left::Nothing, Left::Nothing, Left::Nothing, Left::Payload, Left::Upload, Left::Both];
    let mut runs = Vec::new();
    for customer in 0..random.pick(&[1, 1, 1, 2]) {
        for day in 0..random.pick(&[1, 1, 2, 3]) {
            let customer = format!("{customer}");
            let key = PartitionKey::new("source", &customer, "query", "2024-06-01");
            let key = key.expect("a legal key");
            let id: RunId = format!("2024-06-0{}T00:00:00.000Z", day + 2).parse().expect("legal");
            let prefix = format!("{PREFIX}/{}/", Place::of_run(&key, &id));
            runs.push(Run { key, id, prefix, left: random.pick(&lefts) });
        }
    }
    runs
}

fn writer(random: &mut Random, runs: usize, spread: Micros, tempo: Micros) -> Writer {
    // Most of them want the same run.
    let run = if random.happens(700) { 0 } else { random.below(runs as u64) };
    let some = random.between(1, 3 * PART_ROWS);
    let rows = random.pick(&[0, 1, 2, PART_ROWS - 1, PART_ROWS, 2 * PART_ROWS, some]);
    let forgets = Ending::DropSealing(random.up_to(10 * MINUTE));
    let rare =
        random.pick(&[Ending::Abort, Ending::Drop, forgets, Ending::BadRow, Ending::BadMetadata]);
    let gap = random.pick(&[0, tempo, 30 * SECOND]);
    Writer {
        run: usize::try_from(run).expect("an index"),
        start: random.between(0, spread),
        rows,
        row_gap: gap,
        ending: if random.happens(200) { rare } else { Ending::Seal },
        leftover: LeftoverPolicy::Replace,
        conditions: CompleteConditions::Ignored,
        restarts: random.pick(&[0, 1, 2, 3]),
    }
}

fn observer(random: &mut Random, spread: Micros, tempo: Micros) -> Observer {
    Observer {
        role: random.pick(&[
            Role::Reader,
            Role::Reader,
            Role::Validator,
            Role::Validator,
            Role::Consumer,
        ]),
        start: random.between(0, spread),
        times: random.between(1, 4),
        gap: random.pick(&[10 * tempo, MINUTE, 10 * MINUTE]),
    }
}
