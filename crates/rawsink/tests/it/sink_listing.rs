//! The ways to list agree with each other, and show only what belongs to the layout.

use futures_util::{StreamExt, TryStreamExt};
use rawsink::{
    ErrorKind, PartitionKey, RawSink, RunId,
    layout::{Level, Place},
    partition::Selection,
    sink::{LandedPartition, Run},
    store::Object,
};

use rawsink_testkit::{
    backend::{Backend, Meddling, on_every_store},
    sample::{customer, key, path, rows, run, seal, store_path},
};

on_every_store!(
    a_partitions_runs_are_sorted_by_bytes_sealed_or_not,
    every_level_agrees_with_the_walk_below_it,
    names_outside_the_layout_are_skipped,
    a_missing_place_is_an_empty_list,
    partitions_with_a_common_name_prefix_are_kept_apart,
    each_landed_partition_of_a_selection_is_listed_once_with_all_runs,
    a_part_that_cannot_be_listed_hides_its_partitions_and_no_others,
    an_unreadable_entry_outside_the_layout_hides_nothing,
);

fn ids(runs: &[&str]) -> Vec<RunId> {
    runs.iter().map(|run| run.parse().unwrap()).collect()
}

async fn a_partitions_runs_are_sorted_by_bytes_sealed_or_not(backend: &dyn Backend) {
    let sink = RawSink::new(backend.store());
    let names =
        ["2024-06-02T04:05:06.789Z", "2024-06-02T04:05:06.789Z!", "10", "9", "a", "a-b", "A"];
    for (n, id) in ids(&names).iter().enumerate() {
        if n % 2 == 0 {
            seal(&sink, &key(), id, &rows("a", n)).await.unwrap();
        } else {
            backend.tamper(&path(&key(), id), Object::Payload, Some(b"{}\n{}\n")).await;
        }
    }
    backend.tamper(&path(&key(), &ids(&["bare"])[0]), Object::Seal, Some(b"{}")).await;
    // An active writer has nothing visible.
    let at_work = sink.write_partition(&key(), &run(7)).await.unwrap();
    let sorted = [
        "10",
        "2024-06-02T04:05:06.789Z",
        "2024-06-02T04:05:06.789Z!",
        "9",
        "A",
        "a",
        "a-b",
        "bare",
    ];
    assert_eq!(sink.list_partitions(&key()).await.unwrap(), ids(&sorted));
    let runs = sink.list_runs(&key()).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.run_id.clone()).collect::<Vec<_>>(), ids(&sorted));
    for run in runs {
        assert_eq!(run.key, key());
        let there = sink.inspect(&key(), &run.run_id).await.unwrap();
        assert_eq!(run.sealed, there.seal.is_some(), "{}", run.run_id);
        assert_eq!(run.payload_bytes, there.payload.map(|info| info.bytes), "{}", run.run_id);
    }
    at_work.abort().await;
}

/// Partitions at every level, some with two runs.
async fn fill(backend: &dyn Backend) -> Vec<Place> {
    let sink = RawSink::new(backend.store());
    let mut places = Vec::new();
    for source in ["google_ads", "google_ads-2", "bing"] {
        for (customer, query, date) in [
            ("1", "campaign", "2024-06-01"),
            ("1", "campaign", "2024-06-02"),
            ("1", "keyword", "2024-06-01"),
            ("1-2", "campaign", "2024-06-01"),
            ("10", "caf\u{e9} =%+", "2024-02-29"),
        ] {
            let key = PartitionKey::new(source, customer, query, date).unwrap();
            for n in 0..=places.len() % 3 {
                let run = run(u16::try_from(n).unwrap());
                if n == 2 {
                    backend.tamper(&path(&key, &run), Object::Payload, Some(b"{}\n")).await;
                } else {
                    seal(&sink, &key, &run, &rows(source, 2)).await.unwrap();
                }
                places.push(Place::of_run(&key, &run));
            }
        }
    }
    places
}

async fn below(sink: &RawSink, place: &Place) -> Vec<Run> {
    sink.runs_below(place).try_collect().await.unwrap()
}

fn place_of(run: &Run) -> Place {
    Place::of_run(&run.key, &run.run_id)
}

async fn every_level_agrees_with_the_walk_below_it(backend: &dyn Backend) {
    let mut expected = fill(backend).await;
    let sink = RawSink::new(backend.store());
    let walked: Vec<String> =
        below(&sink, &Place::top()).await.iter().map(|run| place_of(run).to_string()).collect();
    // A slash is greater than '-', so full paths sort correctly only with a final slash.
    expected.sort_by_cached_key(|place| format!("{place}/"));
    assert_eq!(walked, expected.iter().map(ToString::to_string).collect::<Vec<_>>());
    let (mut ahead, mut leaves) = (vec![Place::top()], Vec::new());
    while let Some(place) = ahead.pop() {
        let children = sink.list(&place).await.unwrap();
        assert!(children.windows(2).all(|pair| pair[0] < pair[1]), "sorted, each once");
        let mut runs = Vec::new();
        for child in &children {
            runs.extend(below(&sink, child).await);
        }
        if place.run().is_some() {
            assert_eq!(children, [], "below a run there is nothing");
            assert_eq!(below(&sink, &place).await.len(), 1);
            leaves.push(place);
            continue;
        }
        let by_path = |run: &Run| format!("{}/", place_of(run));
        runs.sort_by_cached_key(by_path);
        assert_eq!(runs, below(&sink, &place).await, "below {place}");
        if let Some(key) = place.partition() {
            assert_eq!(place.next_level(), Some(Level::Run));
            assert_eq!(sink.list_runs(&key).await.unwrap(), runs);
        }
        ahead.extend(children);
    }
    leaves.sort_by_cached_key(|place| format!("{place}/"));
    assert_eq!(leaves, expected);
}

async fn names_outside_the_layout_are_skipped(backend: &dyn Backend) {
    let place = path(&key(), &run(1));
    let sink = RawSink::new(backend.store());
    seal(&sink, &key(), &run(1), &rows("a", 1)).await.unwrap();
    let expected = sink.list_runs(&key()).await.unwrap();
    assert_eq!(expected.len(), 1);
    let partition = Place::of_partition(&key()).store_path();
    for stray in [
        store_path("_tmp/customer_id=1/query_name=q/logical_date=2024-06-01/run_id=r"),
        store_path("google_ads/customer=1/query_name=q/logical_date=2024-06-01/run_id=r"),
        store_path(
            "google_ads/customer_id=1234567890/query_name=campaign/logical_date=2024-6-1/run_id=r",
        ),
        partition.clone(),
        partition.join("run_id="),
        partition.join("r"),
        partition.join("run_id= r"),
        place.join("attempt"),
        place.join("run_id=r"),
    ] {
        for object in [Object::Payload, Object::Seal] {
            backend.tamper(&stray, object, Some(b"{}")).await;
        }
    }
    assert_eq!(sink.list_runs(&key()).await.unwrap(), expected);
    assert_eq!(below(&sink, &Place::top()).await, expected);
    assert_eq!(below(&sink, &Place::of_partition(&key())).await, expected);
    assert_eq!(sink.list_partitions(&key()).await.unwrap(), [run(1)]);
    let sources = sink.list(&Place::top()).await.unwrap();
    assert_eq!(sources.iter().map(ToString::to_string).collect::<Vec<_>>(), ["google_ads"]);
}

async fn a_missing_place_is_an_empty_list(backend: &dyn Backend) {
    let sink = RawSink::new(backend.store());
    assert_eq!(sink.list_partitions(&key()).await.unwrap(), []);
    assert_eq!(sink.list_runs(&key()).await.unwrap(), []);
    for place in [Place::top(), Place::of_partition(&key()), Place::of_run(&key(), &run(1))] {
        assert_eq!(sink.list(&place).await.unwrap(), []);
        assert_eq!(below(&sink, &place).await, []);
    }
}

async fn partitions_with_a_common_name_prefix_are_kept_apart(backend: &dyn Backend) {
    let sink = RawSink::new(backend.store());
    for (n, id) in ["1", "12", "123", "1-2"].into_iter().enumerate() {
        for n in 0..=n {
            let run = run(u16::try_from(n).unwrap());
            seal(&sink, &customer(id), &run, &rows(id, 1)).await.unwrap();
        }
    }
    for (n, id) in ["1", "12", "123", "1-2"].into_iter().enumerate() {
        assert_eq!(sink.list_partitions(&customer(id)).await.unwrap().len(), n + 1, "{id}");
    }
}

async fn each_landed_partition_of_a_selection_is_listed_once_with_all_runs(backend: &dyn Backend) {
    fill(backend).await;
    let sink = RawSink::new(backend.store());
    let key = PartitionKey::new("bing", "1", "campaign", "2024-06-02").unwrap();
    for id in ids(&["r", "r-2", "r0"]) {
        backend.tamper(&path(&key, &id), Object::Payload, Some(b"")).await;
    }
    let all = sink.landed(&Selection::default()).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(all.len(), 15);
    let path_of = |landed: &LandedPartition| format!("{}/", Place::of_partition(&landed.key));
    assert!(all.is_sorted_by_key(path_of), "a slash is greater than '-'");
    for LandedPartition { key, runs } in &all {
        assert_eq!(*runs, sink.list_runs(key).await.unwrap(), "{key:?}");
    }
    let (name, day) = (|text: &str| Some(text.to_owned()), |text: &str| text.parse().ok());
    let open = Selection::default();
    for (selection, count) in [
        (Selection { source: name("google_ads"), ..open.clone() }, 5),
        (Selection { customer_id: name("1"), ..open.clone() }, 9),
        (Selection { source: name("bing"), query_name: name("campaign"), ..open.clone() }, 3),
        (Selection { since: day("2024-06-02"), ..open.clone() }, 3),
        (Selection { until: day("2024-05-31"), ..open.clone() }, 3),
        (Selection { source: name("yahoo"), ..open.clone() }, 0),
    ] {
        let landed: Vec<_> = sink.landed(&selection).try_collect().await.unwrap();
        let expected = all.iter().filter(|landed| selection.contains(&landed.key));
        assert_eq!(landed, expected.cloned().collect::<Vec<_>>(), "{selection:?}");
        assert_eq!(landed.len(), count, "{selection:?}");
    }
}

/// Lists the partitions over a store that cannot show some paths: those shown, and the hidden places.
async fn landed_without(
    backend: &dyn Backend,
    hidden: &[&str],
    selection: &Selection,
) -> (Vec<LandedPartition>, Vec<String>) {
    let paths = hidden.iter().map(|path| store_path(path));
    let sink = RawSink::new(Meddling::hiding(backend.store(), paths));
    let (mut shown, mut places) = (Vec::new(), Vec::new());
    for landed in sink.landed(selection).collect::<Vec<_>>().await {
        match landed {
            Ok(partition) => shown.push(partition),
            Err(hidden) => {
                let place = hidden.place.unwrap().to_string();
                assert_eq!(
                    (hidden.error.kind(), hidden.error.place()),
                    (ErrorKind::Denied, Some(&*place))
                );
                places.push(place);
            }
        }
    }
    (shown, places)
}

async fn a_part_that_cannot_be_listed_hides_its_partitions_and_no_others(backend: &dyn Backend) {
    let sink = RawSink::new(backend.store());
    for customer in ["1", "1-2", "2"] {
        for day in ["2024-06-01", "2024-06-02", "2024-06-03"] {
            let key = PartitionKey::new("ads", customer, "q", day).unwrap();
            for n in 1..=3 {
                seal(&sink, &key, &run(n), &rows("a", 1)).await.unwrap();
            }
        }
    }
    let all = Selection::default();
    let (every, none) = landed_without(backend, &[], &all).await;
    assert_eq!((every.len(), none.len()), (9, 0));
    let day = "ads/customer_id=1/query_name=q/logical_date=2024-06-02";
    let runs = [1, 2, 3].map(|n| format!("{day}/run_id={}", run(n)));
    let [first, second, last] = runs.each_ref().map(String::as_str);
    let next_day = "ads/customer_id=1/query_name=q/logical_date=2024-06-03";
    let next = format!("{next_day}/run_id={}", run(1));
    let next = next.as_str();
    for (hidden, gone) in [
        // A hidden run hides its partition, wherever the run stands among the others.
        (vec![first], vec![day]),
        (vec![second], vec![day]),
        (vec![last], vec![day]),
        (vec![first, second, last], vec![day]),
        // The last run of a day, and the first one of the next.
        (vec![last, next], vec![day, next_day]),
        // A higher level hides whole partitions.
        (vec![day], vec![day]),
        (vec!["ads/customer_id=1/query_name=q"], vec!["ads/customer_id=1/"]),
        (vec!["ads/customer_id=1-2"], vec!["ads/customer_id=1-2/"]),
        (vec!["ads/customer_id=1", next], vec!["ads/customer_id=1/"]),
        (vec!["ads"], vec!["ads"]),
    ] {
        let (shown, places) = landed_without(backend, &hidden, &all).await;
        let is_gone = |landed: &&LandedPartition| {
            let path = Place::of_partition(&landed.key).to_string();
            gone.iter().any(|gone| path.starts_with(gone))
        };
        let rest: Vec<_> = every.iter().filter(|landed| !is_gone(landed)).cloned().collect();
        assert_eq!(shown, rest, "{hidden:?}");
        let outermost: Vec<&str> = hidden
            .iter()
            .copied()
            .filter(|path| !hidden.iter().any(|other| path.starts_with(&format!("{other}/"))))
            .collect();
        assert_eq!(places, outermost, "each is one error");
    }
    // Nobody asked for it.
    let two = Selection { customer_id: Some("2".to_owned()), ..all };
    let (shown, places) = landed_without(backend, &[first, "ads/customer_id=1-2"], &two).await;
    assert_eq!((shown.len(), places.len()), (3, 0));
}

async fn an_unreadable_entry_outside_the_layout_hides_nothing(backend: &dyn Backend) {
    let sink = RawSink::new(backend.store());
    seal(&sink, &key(), &run(1), &rows("a", 1)).await.unwrap();
    let place = path(&key(), &run(1)).to_string();
    let outside = [
        "_private/x".to_owned(),
        "google_ads/notes".to_owned(),
        "google_ads/customer_id=1234567890/query_name=campaign/logical_date=june".to_owned(),
        format!("{place}/attempt"),
    ];
    for path in &outside {
        backend.tamper(&store_path(path), Object::Payload, Some(b"x")).await;
    }
    let hidden: Vec<&str> = outside.iter().map(String::as_str).collect();
    let (shown, places) = landed_without(backend, &hidden, &Selection::default()).await;
    assert_eq!((shown.len(), shown[0].runs.len(), places.len()), (1, 1, 0));
    let sink = RawSink::new(Meddling::hiding(
        backend.store(),
        outside.iter().map(|path| store_path(path)),
    ));
    assert_eq!(sink.list_partitions(&key()).await.unwrap(), [run(1)]);
    assert_eq!(below(&sink, &Place::top()).await.len(), 1);
}
