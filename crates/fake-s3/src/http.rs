//! A bucket as a server inside the process, for clients of the AWS SDK: no socket, virtual time, and
//! planted misbehaviour.
//!
//! `s3s` parses the requests and checks their signatures. A [`FakeBucket`](crate::FakeBucket) answers
//! them. A [`Habit`] makes an answer go wrong.

mod clock;
mod connector;
mod date;
mod habits;
mod operation;
mod served_bucket;
mod server;
mod service;
mod shared;
mod wrong_answer;

pub use self::{
    clock::VirtualClock,
    habits::{Answer, Effect, Habit},
    operation::Op,
    served_bucket::{HttpBucket, MetadataMap, ServedBucket},
    server::{Access, FakeServer},
};
