//! Requests through a proxy: `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.

use super::{
    server::Server,
    wire::{Fate, Wire},
};
use crate::{
    landing::{Landing, RUN},
    parity::{assert_sealed, bucket},
};

/// Lands a run through a proxy and one that excludes the host; returns the proxy's requests for each.
fn seen(landing: Landing, host: &str) -> (usize, usize, Wire) {
    let wire = Wire::to(landing.var("RAW_SINK_ENDPOINT_URL"), |_| Fate::Passed);
    let through = landing.var("RAW_SINK_ENDPOINT_URL").replace("127.0.0.1", host);
    let landing = wire.as_proxy(landing);
    let direct = landing.var("RAW_SINK_ENDPOINT_URL").to_owned();
    let landing = landing.with("RAW_SINK_ENDPOINT_URL", through);
    landing.land(RUN, "{}\n");
    let by_proxy = wire.seen().len();
    let landing = landing.with("NO_PROXY", "other.example,127.0.0.0/8");
    let landing = landing.with("RAW_SINK_ENDPOINT_URL", direct);
    landing.land("beside", "{}\n");
    assert_sealed(&landing, RUN, "{}\n");
    assert_sealed(&landing, "beside", "{}\n");
    (by_proxy, wire.seen().len() - by_proxy, wire)
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn plain_requests_to_another_machine_use_the_proxy() {
    let landing = bucket().with("RAW_SINK_ALLOW_HTTP", "1");
    let (by_proxy, beside, wire) = seen(landing, "storage.example.org");
    // More if the server is slow and requests are retried.
    assert!(by_proxy >= 5 && beside == 0, "{wire:?}");
}

/// They may be plain http, so nothing of them may leave the machine.
#[test]
#[ignore = "parity: needs an object storage server"]
fn plain_requests_to_this_machine_never_use_a_proxy() {
    for host in ["127.0.0.1", "localhost", "s3.localhost"] {
        let (by_proxy, beside, wire) = seen(bucket(), host);
        assert_eq!((by_proxy, beside), (0, 0), "{host}: {wire:?}");
    }
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn tls_passes_through_the_proxy_unread() {
    let server = Server::with_private_authority();
    let (by_proxy, beside, wire) = seen(server.bucket(), "127.0.0.1");
    assert!(by_proxy > 0 && beside == 0, "{wire:?}");
    let host = server.endpoint().strip_prefix("https://").unwrap();
    for request in wire.seen() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("CONNECT", host));
    }
}
