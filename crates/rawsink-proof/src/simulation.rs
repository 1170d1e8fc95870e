//! The real writers, readers, validators and cleaners, over a server as data, in virtual time.
//!
//! One seed decides everything: the server's behaviour, the settings, who does what, what goes wrong
//! and in which order requests are applied. After every step an auditor who knows everything looks
//! whether the guarantees hold.
//!
//! | file | what it is |
//! |---|---|
//! | `options` | what is simulated, and assumptions that the server may break |
//! | `plan` | what a seed decides before anything happens |
//! | `faults` | what can go wrong with a request, as a table |
//! | `world`, `time` | everything there is, and what is due next |
//! | `process` | clocks, sleeps, standing still, being killed |
//! | `messages` | a request on its way |
//! | `client`, `requests` | the library's requests as messages |
//! | `serving`, `happenings` | the server, its lies, and what happens by itself |
//! | `state` | the state in memory |
//! | `actors` | writers, readers, validators, consumers, cleaners |
//! | `auditor` | whether the guarantees hold |
//! | `coverage`, `summary` | what was met, counted, over many seeds |

mod actors;
mod auditor;
mod client;
mod coverage;
mod faults;
mod happenings;
mod messages;
mod options;
mod plan;
mod process;
mod random;
mod requests;
mod serving;
mod state;
mod summary;
#[cfg(test)]
mod tests;
mod time;
mod world;

use self::world::{Shared, World};
pub use self::{
    coverage::{Coverage, Kind},
    options::{Lateness, Lie, Options, Telling},
    summary::{Summary, simulate_all},
};

/// What became of a seed.
#[derive(Debug, Clone)]
pub struct Story {
    /// The first guarantee that was broken, and how; `None` where all of them hold.
    pub violation: Option<String>,
    /// What was met.
    pub coverage: Coverage,
    /// A line for everything that happened, where that was asked for.
    pub lines: Vec<String>,
    /// What tells this story from every other one.
    pub digest: u64,
}

/// Simulates what a seed decides.
///
/// # Panics
/// When the simulation itself is at fault.
pub fn simulate(seed: u64, options: Options) -> Story {
    let world = Shared::new(World::new(seed, options));
    let turns = world.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || turns.lock().turn())
        .build()
        .expect("a runtime without drivers needs nothing");
    runtime.block_on(live(&world));
    drop(runtime);
    let world = world.end();
    let (violation, digest) = (world.auditor.violation().map(str::to_owned), world.digest());
    Story { violation, coverage: world.coverage, lines: world.lines, digest }
}

/// Lets everybody live, then lets somebody alone write what is not sealed.
async fn live(world: &Shared) {
    world.lock().leave_things();
    actors::start(world);
    world.rest().await;
    {
        let mut world = world.lock();
        let world = &mut *world;
        world.auditor.look_for_leaks(&world.server);
        if world.auditor.any_is_corrupt() {
            world.coverage.path("corrupt by a request that was applied too late");
        }
        world.clear_up();
    }
    actors::start_alone(world);
    world.rest().await;
    let mut world = world.lock();
    if !world.finished {
        world.auditor.violate("G09: who was alone never ended".to_owned());
    }
}
