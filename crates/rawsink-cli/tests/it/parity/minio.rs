//! Tests that need a MinIO with special options, as `make parity` starts it.
//!
//! It also supports `s3.localhost` (virtual-host addressing), its keys are root keys (they create
//! buckets and other keys), and it uses plain http, so that a wire can see the requests.
//! Skipped if the environment names a server.

mod addressing; // path and virtual-host addressing
mod cuts; // lost requests and lost replies
mod keys; // temporary keys with the rights of a policy
mod permissions; // read-only keys
mod policies; // permissions of each policy below deploy/policies
mod proxy; // requests through a proxy
mod server; // another MinIO, with a certificate
mod tls; // a private certificate authority
mod wire; // a proxy on loopback that records, holds and interrupts
