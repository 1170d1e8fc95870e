//! The real writers, readers, validators, cleaners and repairers over a fake server, in virtual time.
//!
//! A seed decides everything: the behaviour of the server, the settings, the processes, the mishaps and
//! the order in which the server applies requests. After every event an auditor, which knows
//! everything, checks the guarantees. A module imports only modules above it in this table.
//!
//! | module | contents |
//! |---|---|
//! | `options`, `random`, `time`, `ids` | the options, random numbers, virtual time, numbers of processes |
//! | `requests`, `request_kind`, `description`, `conversions` | requests to the fake server and its answers, as data |
//! | `encounters` | counts of everything that was met |
//! | `notices` | what the library logs for a user |
//! | `mishaps`, `plan` | the mishaps of requests, and the decisions before the start |
//! | `auditor` | the check of the guarantees |
//! | `process`, `message`, `server_log` | parts of the world, as data |
//! | `world` | everything that exists, and the agenda |
//! | `processes`, `serving`, `trouble`, `delivery`, `world_events`, `turns` | what happens in the world |
//! | `handle`, `client`, `state` | clock, requests and state of the library inside a process |
//! | `actors` | writers, readers, validators, consumers, cleaners, repairers |
//! | `seed`, `seeds` | one seed, many seeds |

mod actors;
mod auditor;
mod client;
mod conversions;
mod delivery;
mod description;
mod encounters;
mod handle;
mod ids;
mod message;
mod mishaps;
mod notices;
mod options;
mod plan;
mod process;
mod processes;
mod random;
mod request_kind;
mod requests;
mod seed;
mod seeds;
mod server_log;
mod serving;
mod state;
#[cfg(test)]
mod tests;
mod time;
mod trouble;
mod turns;
mod world;
mod world_events;

pub use self::{
    encounters::{EncounterKind, Encounters},
    options::{Lateness, Lie, Options, TraceLevel},
    seed::{SeedResult, simulate},
    seeds::{SeedsResult, simulate_all},
};
