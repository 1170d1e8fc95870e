//! Requests through a proxy: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.

use super::{
    server::Server,
    wire::{Fate, Wire},
};
use crate::{
    landing::{Landing, RUN},
    parity::{assert_sealed, bucket},
};

/// Lands a run over a wire and one without it; returns the wire's requests for each.
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
fn requests_use_the_proxy_except_for_excluded_hosts() {
    let (by_proxy, beside, wire) = seen(bucket());
    // More if the server is slow and requests are retried.
    assert!(by_proxy >= 5 && beside == 0, "{wire:?}");
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn tls_passes_through_the_proxy_unread() {
    let server = Server::with_private_authority();
    let (by_proxy, beside, wire) = seen(server.bucket());
    assert!(by_proxy > 0 && beside == 0, "{wire:?}");
    let host = server.endpoint().strip_prefix("https://").unwrap();
    for request in wire.seen() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("CONNECT", host));
    }
}
