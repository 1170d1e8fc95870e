//! The decisions that a seed makes before the start: server, settings, mishaps, processes.

mod cleaner;
mod mishap_plan;
mod repairer;
mod server;

use fake_s3::Behaviour;
use rawsink::{
    PartitionKey, RunId,
    layout::Place,
    store::{
        LeftoverPolicy,
        s3::{CompleteConditions, S3Config},
    },
};

pub(super) use self::{
    cleaner::{CLOCK_SKEW, PlannedCleaner},
    mishap_plan::{MishapPlan, RequestTrouble, SenderFate, WorldEvent},
    repairer::PlannedRepairer,
};
use super::{
    options::Options,
    random::Random,
    time::{HOUR, MILLISECOND, MINUTE, Micros, SECOND},
};

/// The prefix of every key.
pub(super) const PREFIX: &str = "raw/zone";
/// Size of a row with its line feed.
pub(super) const ROW_BYTES: usize = 32;
/// Rows of a part.
pub(super) const PART_ROWS: u64 = 4;

/// All decisions before the start.
#[derive(Debug)]
pub(super) struct SeedPlan {
    pub(super) behaviour: Behaviour,
    /// Offsets of the clocks of the server's gateways, plus an hour.
    pub(super) gateways: Vec<Micros>,
    pub(super) part_tags: PartTags,
    pub(super) settings: S3Config,
    /// The usual duration of a request.
    pub(super) tempo: Micros,
    pub(super) mishaps: MishapPlan,
    pub(super) runs: Vec<PlannedRun>,
    pub(super) writers: Vec<PlannedWriter>,
    pub(super) observers: Vec<PlannedObserver>,
    pub(super) cleaners: Vec<PlannedCleaner>,
    /// The cleaner at the end, which removes all old leftovers, also payloads.
    pub(super) last_cleaner: Option<PlannedCleaner>,
    pub(super) repairers: Vec<PlannedRepairer>,
    /// Whether a lone repairer repairs every run at the end.
    pub(super) repairs_at_the_end: bool,
    pub(super) events: Vec<(Micros, WorldEvent)>,
}

/// Which parts get the same tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartTags {
    /// Parts with the same content.
    Content,
    /// No two requests, as with some kinds of encryption.
    Sending,
}

/// A run of a logical partition.
#[derive(Debug, Clone)]
pub(super) struct PlannedRun {
    pub(super) key: PartitionKey,
    pub(super) id: RunId,
    /// The prefix of its keys.
    pub(super) prefix: String,
    /// The leftovers of an attempt that died before the start.
    pub(super) leftover: InitialLeftover,
}

/// The leftovers of an attempt that died before the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InitialLeftover {
    Nothing,
    Payload,
    Upload,
    Both,
}

/// A writer of a run, which tries again.
#[derive(Debug, Clone)]
pub(super) struct PlannedWriter {
    pub(super) run: usize,
    pub(super) start: Micros,
    pub(super) rows: u64,
    /// The longest time to extract a row.
    pub(super) row_gap: Micros,
    pub(super) ending: WriterEnding,
    pub(super) leftover: LeftoverPolicy,
    /// What its settings say about the server.
    pub(super) conditions: CompleteConditions,
    pub(super) restarts: u64,
}

/// How a writer plans to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriterEnding {
    Seal,
    Abort,
    /// Drops the writer.
    Drop,
    /// Drops the seal operation after this time.
    DropSealing(Micros),
    BadRow,
    /// Seals with the metadata of another run.
    BadMetadata,
}

/// A process that reads, validates or consumes.
#[derive(Debug, Clone)]
pub(super) struct PlannedObserver {
    pub(super) role: ObserverRole,
    pub(super) start: Micros,
    pub(super) times: u64,
    pub(super) gap: Micros,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObserverRole {
    Reader,
    Validator,
    Consumer,
}

impl SeedPlan {
    pub(super) fn draw(random: &mut Random, options: Options) -> Self {
        let behaviour = server::behaviour(random, options);
        let settings = server::settings(random, &behaviour, options);
        let tempo = random.pick(&[5 * MILLISECOND, 100 * MILLISECOND, 2 * SECOND, 12 * SECOND]);
        let runs = runs(random);
        let spread = random.pick(&[0, 20 * tempo, MINUTE, 10 * MINUTE]);
        let refuse = random.happens(150);
        let writers: Vec<_> = (0..random.between(1, 5))
            .map(|_| PlannedWriter {
                leftover: if refuse || random.happens(200) {
                    LeftoverPolicy::Refuse
                } else {
                    LeftoverPolicy::Replace
                },
                conditions: if random.happens(200) {
                    CompleteConditions::Ignored
                } else {
                    settings.complete_conditions()
                },
                ..writer(random, runs.len(), spread, tempo)
            })
            .collect();
        let observers =
            (0..random.between(0, 3)).map(|_| observer(random, spread, tempo)).collect();
        let mishaps = MishapPlan::draw(random);
        let gateways =
            random.pick(&[&[HOUR][..], &[HOUR, HOUR + 2 * SECOND], &[0, HOUR, 2 * HOUR]]);
        let mut plan = Self {
            behaviour,
            gateways: gateways.to_vec(),
            part_tags: random.pick(&[PartTags::Content, PartTags::Sending]),
            settings,
            tempo,
            mishaps,
            runs,
            writers,
            observers,
            cleaners: Vec::new(),
            last_cleaner: None,
            repairers: Vec::new(),
            repairs_at_the_end: false,
            events: mishap_plan::events(random),
        };
        plan.draw_cleaners(random);
        plan.draw_repairers(random);
        plan
    }

    /// Returns whether every writer refuses leftovers.
    pub(super) fn refuses(&self) -> bool {
        self.writers.iter().all(|writer| writer.leftover == LeftoverPolicy::Refuse)
    }
}

/// Returns the time at the start. It leaves room for clocks that are behind.
pub(super) fn start() -> Micros {
    2 * HOUR
}

fn runs(random: &mut Random) -> Vec<PlannedRun> {
    let lefts = [
        InitialLeftover::Nothing,
        InitialLeftover::Nothing,
        InitialLeftover::Nothing,
        InitialLeftover::Payload,
        InitialLeftover::Upload,
        InitialLeftover::Both,
    ];
    let mut runs = Vec::new();
    for customer in 0..random.pick(&[1, 1, 1, 2]) {
        for day in 0..random.pick(&[1, 1, 2, 3]) {
            let customer = format!("{customer}");
            let key = PartitionKey::new("source", &customer, "query", "2024-06-01");
            let key = key.expect("a legal key");
            let id: RunId = format!("2024-06-0{}T00:00:00.000Z", day + 2).parse().expect("legal");
            let prefix = format!("{PREFIX}/{}/", Place::of_run(&key, &id));
            runs.push(PlannedRun { key, id, prefix, leftover: random.pick(&lefts) });
        }
    }
    runs
}

fn writer(random: &mut Random, runs: usize, spread: Micros, tempo: Micros) -> PlannedWriter {
    // Most writers write the same run.
    let run = if random.happens(700) { 0 } else { random.below(runs as u64) };
    let some = random.between(1, 3 * PART_ROWS);
    let rows = random.pick(&[0, 1, 2, PART_ROWS - 1, PART_ROWS, 2 * PART_ROWS, some]);
    let forgets = WriterEnding::DropSealing(random.up_to(10 * MINUTE));
    let rare = random.pick(&[
        WriterEnding::Abort,
        WriterEnding::Drop,
        forgets,
        WriterEnding::BadRow,
        WriterEnding::BadMetadata,
    ]);
    let gap = random.pick(&[0, tempo, 30 * SECOND]);
    PlannedWriter {
        run: usize::try_from(run).expect("an index"),
        start: random.between(0, spread),
        rows,
        row_gap: gap,
        ending: if random.happens(200) { rare } else { WriterEnding::Seal },
        leftover: LeftoverPolicy::Replace,
        conditions: CompleteConditions::Ignored,
        restarts: random.pick(&[0, 1, 2, 3]),
    }
}

fn observer(random: &mut Random, spread: Micros, tempo: Micros) -> PlannedObserver {
    PlannedObserver {
        role: random.pick(&[
            ObserverRole::Reader,
            ObserverRole::Reader,
            ObserverRole::Validator,
            ObserverRole::Validator,
            ObserverRole::Consumer,
        ]),
        start: random.between(0, spread),
        times: random.between(1, 4),
        gap: random.pick(&[10 * tempo, MINUTE, 10 * MINUTE]),
    }
}
