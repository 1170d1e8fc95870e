//! A private certificate authority.

use super::server::{Server, authority};
use crate::{
    landing::{PARTITION, RUN},
    parity::{assert_sealed, bucket, rows},
};

#[test]
#[ignore = "parity: needs an object storage server"]
fn a_private_authority_is_trusted_only_if_its_file_is_configured() {
    let server = Server::with_private_authority();
    let landing = server.bucket();
    landing.land(RUN, rows("tls", 12));
    assert_sealed(&landing, RUN, &rows("tls", 12));

    let other = authority();
    for ca_file in ["", other.path().join("ca.pem").to_str().unwrap()] {
        let landing = server.bucket().with("RAW_SINK_CA_FILE", ca_file);
        let refused = landing.feed(["write", PARTITION, "--run-id", RUN], "{}\n").exits(2);
        let error = refused.one_error("Invalid");
        assert!(error.contains("certificate"), "{error}");
        refused.says(&["hint: set RAW_SINK_CA_FILE"]);
    }
}

#[test]
#[ignore = "parity: needs an object storage server"]
fn a_server_without_tls_is_named_at_once() {
    let plain = bucket().var("RAW_SINK_ENDPOINT_URL").replace("http://", "https://");
    let landing = bucket().with("RAW_SINK_ENDPOINT_URL", plain);
    let answer = landing.rawsink(["list"]).exits(2);
    assert!(answer.one_error("Invalid").contains("TLS handshake failed"), "{answer:#?}");
}
