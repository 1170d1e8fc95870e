//! Who is asked by way of a proxy: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.

use super::{
    server::Server,
    wire::{Fate, Wire},
};
use crate::{
    landing::{Landing, RUN},
    parity::{assert_sealed, bucket},
};

/// Lands a run over a wire and one beside it; returns what the wire saw of both.
fn seen(landing: Landing) -> (usize, usize, Wire) {
    let wire = Wire::to(landing.var("RAW_SINK_ENDPOINT_URL"), |_| Fate::Passed);
    let landing = wire.between(landing);
    landing.land(RUN, "{}\n");
    let by_proxy = wire.seen().len();
    let landing = landing.with("NO_PROXY", "other.example,127.0.0.0/8");
    landing.land("beside", "{}\n");
    assert_sealed(&landing, RUN, "{}\n");
    assert_sealed(&landing, "beside", "{}\n");
    (by_proxy, wire.seen().len() - by_proxy, wire)
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn requests_go_by_the_proxy_that_is_set_and_not_to_hosts_that_are_excepted() {
    let (by_proxy, beside, wire) = seen(bucket());
    // More where the server is slow, and is looked at again.
    assert!(by_proxy >= 5 && beside == 0, "{wire:?}");
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn tls_goes_through_the_proxy_unread() {
    let server = Server::with_private_authority();
    let (by_proxy, beside, wire) = seen(server.bucket());
    assert!(by_proxy > 0 && beside == 0, "{wire:?}");
    let host = server.endpoint().strip_prefix("https://").unwrap();
    for request in wire.seen() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("CONNECT", host));
    }
}
