//! The simulation of one seed.

use super::{
    actors,
    encounters::Encounters,
    notices,
    options::Options,
    world::{SharedWorld, SimWorld},
};

/// The result of a seed.
#[derive(Debug, Clone)]
pub struct SeedResult {
    /// The first violation of a guarantee; `None` where all hold.
    pub violation: Option<String>,
    /// Counts of everything that the simulation met.
    pub encounters: Encounters,
    /// The trace, where the options request it.
    pub lines: Vec<String>,
    /// A digest of all events.
    pub digest: u64,
}

/// Simulates a seed.
///
/// # Panics
/// When the simulation itself has a bug.
pub fn simulate(seed: u64, options: Options) -> SeedResult {
    notices::listen();
    let world = SharedWorld::new(SimWorld::new(seed, options));
    let turns = world.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .on_thread_park(move || turns.lock().turn())
        .build()
        .expect("a runtime without drivers always starts");
    runtime.block_on(live(&world));
    drop(runtime);
    let world = world.end();
    let (violation, digest) = (world.auditor.violation().map(str::to_owned), world.digest());
    SeedResult { violation, encounters: world.encounters, lines: world.lines, digest }
}

/// Runs all processes of the plan. Then a lone writer seals every run that is not sealed.
async fn live(world: &SharedWorld) {
    world.lock().create_leftovers();
    actors::start(world);
    world.rest().await;
    {
        let mut world = world.lock();
        let world = &mut *world;
        world.auditor.look_for_leaks(&world.server);
        if world.auditor.any_is_corrupt() {
            world.encounters.path("corrupt by a request that was applied too late");
        }
        world.clear_up();
    }
    actors::start_alone(world);
    world.rest().await;
    let mut world = world.lock();
    if !world.finished {
        world.auditor.violate("G09: the lone writer never ended".to_owned());
    }
}
