//! A gateway that answers with other bytes than the stored ones: nothing counts as damaged.

use std::{num::NonZeroUsize, ops::ControlFlow, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use rawsink::{
    ErrorKind, RawSink,
    consume::{self, Authority},
    state::{MemoryState, PartitionState},
    store::{Object, Reading, Store},
    validate::{self, Rules},
};
use rawsink_ops::{
    copy::{self, Progress, RepairOutcome},
    coverage::{Scope, coverage},
};

use rawsink_testkit::{
    backend::{Backend, Meddling, Memory},
    sample::{key, path, rows, run, seal},
};

/// What the gateway answers: an error page, or an older copy without `_seal`.
const PAGES: [&[u8]; 2] = [b"<html>Bad gateway, try later</html>", b"{\"record_count\":2}"];

/// Returns a sink behind a gateway that answers with a page in place of every `object`.
fn behind_a_gateway(backend: &Memory, hijacked: Object, page: &'static [u8]) -> RawSink {
    RawSink::new(Meddling::with_readings(backend.store(), move |object, reading| {
        if object != hijacked {
            return reading;
        }
        let chunks = stream::once(async move { Ok(Bytes::from_static(page)) }).boxed();
        Reading { bytes: page.len() as u64, tag: None, chunks, file: None }
    }))
}

async fn validated(backend: &Memory) -> MemoryState {
    let (sink, state) = (RawSink::new(backend.store()), MemoryState::new());
    seal(&sink, &key(), &run(1), &rows("a", 2)).await.unwrap();
    validate::run(&sink, &state, &key(), &run(1), Rules::default()).await.unwrap();
    state
}

#[tokio::test]
async fn g20_a_page_in_place_of_a_seal_is_no_lost_run() {
    for page in PAGES {
        let backend = Memory::default();
        let state = validated(&backend).await;
        let sink = behind_a_gateway(&backend, Object::Seal, page);
        let mut covered = coverage(&sink, &state, &Scope::default()).await.unwrap();
        let unread = covered.check_seals(&sink, &state, NonZeroUsize::MIN).await.unwrap();
        assert_eq!((covered.tally().validated, covered.tally().lost), (1, 0));
        assert_eq!(
            unread.iter().map(rawsink::Error::kind).collect::<Vec<_>>(),
            [ErrorKind::Unavailable]
        );
        let authority = Authority::of(&key(), &state.history(&key()).await.unwrap()).unwrap();
        let refused = consume::inspect_current(&sink, &key(), &authority).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    }
}

#[tokio::test]
async fn g03_a_page_is_no_damage_that_a_repair_replaces() {
    let progress: Progress = Arc::new(|_| ControlFlow::Continue(()));
    for (object, page) in [Object::Seal, Object::Payload].into_iter().zip([PAGES, PAGES]) {
        for page in page {
            let (from, to) = (Memory::default(), Memory::default());
            let state = validated(&from).await;
            for object in [Object::Payload, Object::Seal] {
                let stored = from.store().read(&path(&key(), &run(1)), object, 0).await.unwrap();
                let chunks: Vec<Bytes> = stored.chunks.map(|chunk| chunk.unwrap()).collect().await;
                to.tamper(&path(&key(), &run(1)), object, Some(&chunks.concat())).await;
            }
            let right = [&from, &to].map(|backend| RawSink::new(backend.store()));
            let wrong = [&from, &to].map(|backend| behind_a_gateway(backend, object, page));
            let plan = async |from: &RawSink, to: &RawSink| {
                copy::plan_repair(from, to, &state, &key(), &run(1), &progress).await
            };
            assert_eq!(plan(&right[0], &right[1]).await.unwrap(), RepairOutcome::Intact);
            // The payload of the source is read only if the destination's differs.
            if object == Object::Seal {
                let refused = plan(&wrong[0], &right[1]).await.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::Unavailable, "source {page:?}: {refused}");
            }
            let refused = plan(&right[0], &wrong[1]).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unavailable, "{object:?} {page:?}: {refused}");
        }
    }
}
