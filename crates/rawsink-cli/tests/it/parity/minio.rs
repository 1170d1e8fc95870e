//! What needs a MinIO with options of its own, as `make parity` starts it.
//!
//! It answers below `s3.localhost` too (virtual-host addressing), its keys are the root's (they make
//! buckets and other keys), and it speaks plain http, so that a wire can see what is asked for.
//! These are left out where the environment names a server.

mod addressing; // the bucket's name in the path and in the host
mod cuts; // requests that do not arrive, answers that do not come back
mod keys; // temporary keys with the rights of a policy
mod permissions; // keys that may read and not write
mod policies; // what each policy below deploy/policies lets its key do
mod proxy; // who is asked by way of a proxy
mod server; // one more MinIO, with a certificate
mod tls; // a private certificate authority
mod wire; // a proxy on loopback that sees, holds and cuts
