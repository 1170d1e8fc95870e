//! Verification of a run against its seal.

use rawsink::{ErrorKind, RawSink, store::Object};
use rawsink_ops::verify::{self, Covered};
use rawsink_testkit::{
    backend::{Backend, on_every_store},
    sample::{key, path, payload, rows, run, seal},
};

on_every_store!(
    a_sealed_run_matches_its_seal_until_its_bytes_change,
    a_run_of_other_software_is_compared_with_its_record_count,
);

async fn a_sealed_run_matches_its_seal_until_its_bytes_change(backend: &dyn Backend) {
    let sink = RawSink::new(backend.store());
    let sealed = seal(&sink, &key(), &run(1), &rows("a", 3)).await.unwrap();
    let verified = verify::run(&sink, &key(), &run(1)).await.unwrap();
    assert_eq!((verified.covered, verified.found), (Covered::Seal, sealed.payload));
    let changed = payload(&rows("b", 3));
    backend.tamper(&path(&key(), &run(1)), Object::Payload, Some(&changed)).await;
    let error = verify::run(&sink, &key(), &run(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

async fn a_run_of_other_software_is_compared_with_its_record_count(backend: &dyn Backend) {
    let sink = RawSink::new(backend.store());
    backend.tamper(&path(&key(), &run(1)), Object::Payload, Some(b"{}\n{}\n")).await;
    for (document, covered) in [
        (&b"{}"[..], Ok(Covered::Nothing)),
        (b"{\"record_count\":2}", Ok(Covered::RecordCount)),
        (b"{\"record_count\":3}", Err(ErrorKind::Corrupt)),
    ] {
        backend.tamper(&path(&key(), &run(1)), Object::Seal, Some(document)).await;
        let verified = verify::run(&sink, &key(), &run(1)).await;
        let found = verified.map(|verified| verified.covered).map_err(|error| error.kind());
        assert_eq!(found, covered);
    }
}
