//! Tables and records created by other software.

use futures_util::StreamExt;
use jiff::Timestamp;
use rawsink::{
    ErrorKind, PartitionKey,
    partition::Selection,
    runtime::FixedClock,
    state::{
        Change, Event, Evidence, FIND_AT_ONCE, Filter, Marked, Record, Status, execute,
        plan_backfill, plan_retry,
    },
};

use super::{
    failed,
    list::{found, paged},
    now,
    operator::{LATER, days, on, series},
    passed,
    racing::race,
};
use rawsink_testkit::{
    databases::{ALL_TEXT, Database, WITHOUT_A_KEY, foreign_tables},
    sample::{customer, key, run},
    suites::on_every_database,
};

on_every_database!(
    a_foreign_table_is_updated_without_a_schema_change,
    iso_dates_and_time_stamps_as_text_are_read,
    other_software_can_read_written_records,
    a_malformed_record_is_corrupt_and_named_and_hides_no_other,
    a_record_with_an_invalid_key_is_named_and_hides_no_other,
    pages_of_a_table_of_other_software_hold_the_list,
    a_text_too_long_for_its_column_is_refused,
    records_of_given_partitions_are_found_for_any_column_types,
    a_malformed_record_blocks_no_other,
    a_batch_of_the_largest_size_writes_every_entry,
    a_record_set_to_pending_after_a_withdrawal_makes_its_runs_due,
    g14_without_a_primary_key_no_update_is_lost,
    a_stored_record_is_kept_as_given_and_logged_without_digests,
);

async fn a_stored_record_is_kept_as_given_and_logged_without_digests(database: &dyn Database) {
    let state = database.state();
    let given = Record {
        status: Status::Success,
        current_run_id: Some(run(2)),
        record_count: Some(3),
        updated_at: Some("2020-01-01T00:00:00Z".parse().unwrap()),
        ..Record::pending()
    };
    let store = async |record: &Record| {
        state.change(&key(), &Change::Store(record.clone()), now()).await.unwrap().unwrap()
    };
    let evidence = async || {
        let history = state.history(&key()).await.unwrap();
        history.passed(&run(2)).unwrap().evidence.clone()
    };
    assert_eq!(store(&given).await, given);
    assert_eq!(state.get(&key()).await.unwrap().unwrap(), given);
    assert_eq!(evidence().await, Evidence::default());
    // A validation binds the run to its bytes. Who stores the same success again does not undo that.
    let mut bytes = Evidence::default();
    bytes.payload_sha256 = Some("aa".into());
    state.judge(&key(), &passed(2).evidence(bytes.clone()), now()).await.unwrap();
    let again = store(&Record { error_message: Some("note".into()), ..given.clone() }).await;
    assert_eq!((again.attempt_count, evidence().await), (1, bytes), "attempts never decrease");
    store(&Record { record_count: Some(4), ..given.clone() }).await;
    assert_eq!(evidence().await, Evidence::default());
    store(&Record { status: Status::Failed, ..given.clone() }).await;
    store(&Record { current_run_id: None, status: Status::Failed, ..given.clone() }).await;
    store(&Record { status: Status::Pending, ..given }).await;
    let history = state.history(&key()).await.unwrap();
    let events: Vec<Event> = history.entries().iter().map(|entry| entry.event).collect();
    let passed = Event::Passed;
    assert_eq!(events, [passed, passed, passed, passed, Event::Failed, Event::Requeued]);
}

/// Inserts a record: the values of the columns after the key's.
async fn add(database: &dyn Database, id: &str, values: &str) {
    let columns = super::tables::COLUMNS.replace(' ', ", ");
    let insert = format!(
        "INSERT INTO partition_state ({columns}) \
         VALUES ('google_ads', '{id}', 'campaign', '2024-06-01', {values})"
    );
    database.execute(&insert).await;
}

async fn a_record_set_to_pending_after_a_withdrawal_makes_its_runs_due(database: &dyn Database) {
    let state = database.state();
    for n in [1, 2] {
        state.judge(&customer("a"), &passed(n), now()).await.unwrap();
    }
    let withdrawal = Change::Withdraw { run_id: run(1), reason: "no".into() };
    state.change(&customer("a"), &withdrawal, now()).await.unwrap();
    let sealed = [1, 2, 3].map(run);
    assert_eq!(state.history(&customer("a")).await.unwrap().due(&sealed), [&run(3)]);
    database.execute("UPDATE partition_state SET status = 'pending'").await;
    assert_eq!(state.history(&customer("a")).await.unwrap().due(&sealed), [&run(2), &run(3)]);
}

async fn a_batch_of_the_largest_size_writes_every_entry(database: &dyn Database) {
    let state = database.patient_state();
    let keys: Vec<PartitionKey> = (0..FIND_AT_ONCE).map(|n| customer(&n.to_string())).collect();
    let all = |change: &Change| keys.iter().map(|key| (key.clone(), change.clone())).collect();
    let first: Vec<(PartitionKey, Change)> = all(&Change::Verdict(failed(1, "bad")));
    state.change_many(&first, now()).await.unwrap();
    // Other software sets every record to pending, so each verdict is two entries.
    database.execute("UPDATE partition_state SET status = 'pending'").await;
    let second: Vec<(PartitionKey, Change)> = all(&Change::VerdictIfDue(passed(1)));
    let outcomes = state.change_many(&second, now()).await.unwrap();
    assert_eq!(outcomes.len(), FIND_AT_ONCE);
    for history in state.histories(&keys).await.unwrap() {
        let events: Vec<Event> =
            history.unwrap().entries().iter().map(|entry| entry.event).collect();
        assert_eq!(events, [Event::Failed, Event::Requeued, Event::Passed]);
    }
}

async fn a_foreign_table_is_updated_without_a_schema_change(database: &dyn Database) {
    for table in foreign_tables(database) {
        database.execute("DROP TABLE IF EXISTS partition_state").await;
        database.execute(table).await;
        let columns = database.columns().await;
        let time = "'2024-06-02T04:05:06.789+00:00'";
        let success = "'success', '2024-06-01T00:00:00.000Z', 'v0', '7'";
        add(database, "0", &format!("{success}, {time}, NULL, NULL")).await;
        add(database, "1", &format!("'failed', NULL, NULL, NULL, {time}, 'run x: old', '4'")).await;
        let state = database.state();
        let older = state.get(&customer("0")).await.unwrap().unwrap();
        assert_eq!((older.attempt_count, older.record_count), (0, Some(7)), "{table}");
        assert_eq!(older.updated_at, Some("2024-06-02T04:05:06.789Z".parse().unwrap()), "{table}");
        let judged = state.judge(&customer("0"), &passed(1), now()).await.unwrap();
        assert_eq!((judged.status, judged.attempt_count), (Status::Success, 1));
        assert_eq!(judged.current_run_id, Some(run(1)));
        let judged = state.judge(&customer("1"), &failed(1, "new"), now()).await.unwrap();
        assert_eq!((judged.status, judged.attempt_count), (Status::Failed, 5));
        assert_eq!(judged.error_message, Some(format!("run {}: new", run(1))));
        state.judge(&customer("2"), &passed(2), now()).await.unwrap();
        let all = database.state().list(&Filter::default()).await.unwrap();
        assert_eq!(all.len(), 3, "an update stays one record: {table}");
        for (id, found) in ["0", "1", "2"].into_iter().zip(all) {
            let kept = state.get(&customer(id)).await.unwrap();
            assert_eq!(Some(found.unwrap().record), kept, "{table}");
        }
        assert_eq!(database.columns().await, columns);
    }
}

async fn iso_dates_and_time_stamps_as_text_are_read(database: &dyn Database) {
    database.execute(ALL_TEXT).await;
    for (n, (stored, expected)) in [
        ("'2024-06-02 04:05:06.789+00:00'", Some("2024-06-02T04:05:06.789Z")),
        ("'2024-06-02 06:05:06+02:00'", Some("2024-06-02T04:05:06Z")),
        ("'2024-06-02T04:05:06.789Z'", Some("2024-06-02T04:05:06.789Z")),
        ("'2024-06-02T04:05:06.789123'", Some("2024-06-02T04:05:06.789123Z")),
        ("'2024-06-02 04:05:06'", Some("2024-06-02T04:05:06Z")),
        ("'2024-06-02'", Some("2024-06-02T00:00:00Z")),
        ("'yesterday'", None),
        ("''", None),
        ("'1717300000'", None),
        ("NULL", None),
    ]
    .into_iter()
    .enumerate()
    {
        add(database, &n.to_string(), &format!("'success', 'r1', 'v1', '1', {stored}, NULL, '1'"))
            .await;
        let record = database.state().get(&customer(&n.to_string())).await.unwrap().unwrap();
        let expected: Option<Timestamp> = expected.map(|time| time.parse().unwrap());
        assert_eq!(record.updated_at, expected, "{stored}");
    }
}

async fn other_software_can_read_written_records(database: &dyn Database) {
    for table in foreign_tables(database) {
        database.execute("DROP TABLE IF EXISTS partition_state").await;
        database.execute(table).await;
        database.state().judge(&customer("1"), &passed(1), now()).await.unwrap();
        let mut other = database.connect().await;
        for (expression, expected) in [
            ("logical_date", "2024-06-01"),
            ("status", "success"),
            ("current_run_id", run(1).as_str()),
            ("CAST(record_count AS INTEGER) + 1", "4"),
            ("CAST(attempt_count AS INTEGER) + 1", "2"),
        ] {
            let read = format!("SELECT CAST({expression} AS TEXT) FROM partition_state");
            assert_eq!(other.texts(&read).await, [Some(expected.to_owned())], "{table}");
        }
        let time = other.texts("SELECT CAST(updated_at AS TEXT) FROM partition_state").await;
        let time = time[0].as_deref().unwrap().replace('T', " ");
        assert!(time.starts_with("2024-06-04 00:00:00"), "{time}: {table}");
    }
}

async fn a_malformed_record_is_corrupt_and_named_and_hides_no_other(database: &dyn Database) {
    database.execute(ALL_TEXT).await;
    let bad = [
        ("'done', 'r1', 'v1', '1', NULL, NULL, '1'", "has an invalid status: \"done\""),
        ("'SUCCESS', 'r1', 'v1', '1', NULL, NULL, '1'", "has an invalid status: \"SUCCESS\""),
        ("NULL, 'r1', 'v1', '1', NULL, NULL, '1'", "has no status"),
        (
            "'success', '../r1', 'v1', '1', NULL, NULL, '1'",
            "has an invalid current_run_id: \"../r1\"",
        ),
        ("'success', 'r1', 'v1', '-1', NULL, NULL, '1'", "has an invalid record_count: \"-1\""),
        ("'success', 'r1', 'v1', 'many', NULL, NULL, '1'", "has an invalid record_count: \"many\""),
        ("'success', 'r1', 'v1', '1', NULL, NULL, '-2'", "has an invalid attempt_count: \"-2\""),
    ];
    for (n, (values, says)) in bad.into_iter().enumerate() {
        let id = format!("{n}");
        add(database, &id, values).await;
        let state = database.state();
        for error in [
            state.get(&customer(&id)).await.unwrap_err(),
            state.judge(&customer(&id), &passed(1), now()).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert!(error.message().contains(says), "{error}");
            let named = format!("(google_ads, {id}, campaign, 2024-06-01)");
            assert!(error.message().contains(&named), "{error}");
        }
    }
    add(database, "good", "'pending', NULL, NULL, NULL, NULL, NULL, '1'").await;
    let all = database.state().list(&Filter::default()).await.unwrap();
    let faults: Vec<String> =
        all.iter().filter_map(|found| Some(found.as_ref().err()?.to_string())).collect();
    assert_eq!(faults.len(), bad.len(), "{faults:?}");
    for ((_, says), fault) in bad.iter().zip(&faults) {
        assert!(fault.contains(says), "{faults:?}");
    }
    let good: Vec<_> = all.into_iter().flatten().map(|entry| entry.key).collect();
    assert_eq!(good, [customer("good")]);
}

async fn a_record_with_an_invalid_key_is_named_and_hides_no_other(database: &dyn Database) {
    database.execute(ALL_TEXT).await;
    add(database, "good", "'pending', NULL, NULL, NULL, NULL, NULL, '1'").await;
    for key in ["'a/b', '1', 'q', '2024-06-01'", "'ads', NULL, 'q', '2024-06-31'"] {
        let columns = "source, customer_id, query_name, logical_date, status";
        let insert = format!("INSERT INTO partition_state ({columns}) VALUES ({key}, 'pending')");
        database.execute(&insert).await;
    }
    let all = database.state().list(&Filter::default()).await.unwrap();
    let faults: Vec<String> =
        all.iter().filter_map(|found| Some(found.as_ref().err()?.to_string())).collect();
    assert_eq!((all.len(), faults.len()), (3, 2));
    assert!(faults[0].contains("(a/b, 1, q, 2024-06-01) has an invalid key: source"), "{faults:?}");
    assert!(faults[1].contains("(ads, NULL, q, 2024-06-31) has an invalid key"), "{faults:?}");
}

async fn pages_of_a_table_of_other_software_hold_the_list(database: &dyn Database) {
    let values = "'success', 'r1', 'v1', '1', NULL, NULL, '1'";
    for table in foreign_tables(database) {
        database.execute("DROP TABLE IF EXISTS partition_state").await;
        database.execute(table).await;
        for id in ["9", "10", "100", "a", "B", "", "c/d"] {
            add(database, id, values).await;
        }
        add(database, "bad", "'success', 'r1', 'v1', '-1', NULL, NULL, '1'").await;
        let state = database.state();
        let all = state.list(&Filter::default()).await.unwrap();
        for limit in [1, 2, 3, 8, 100] {
            let (entries, faults) = paged(&*state, &Filter::default(), limit).await;
            let keys: Vec<_> = entries.into_iter().map(|entry| entry.key).collect();
            assert_eq!(keys, ["10", "100", "9", "B", "a"].map(customer), "{table}, {limit}");
            let expected = all.iter().filter_map(|entry| Some(entry.as_ref().err()?.to_string()));
            assert_eq!(faults, expected.collect::<Vec<_>>(), "{table}, {limit}");
            assert_eq!(faults.len(), 3);
        }
    }
}

async fn a_text_too_long_for_its_column_is_refused(database: &dyn Database) {
    database.execute(WITHOUT_A_KEY).await;
    let long = "9".repeat(70);
    let judged = database.state().judge(&customer(&long), &passed(1), now()).await;
    // SQLite ignores a declared length.
    if let Err(error) = judged {
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert_eq!(database.state().get(&customer(&long)).await.unwrap(), None);
        assert!(database.state().list(&Filter::default()).await.unwrap().is_empty());
    } else {
        assert!(database.state().get(&customer(&long)).await.unwrap().is_some());
    }
    assert_eq!(database.state().get(&customer(&long[..64])).await.unwrap(), None);
}

async fn records_of_given_partitions_are_found_for_any_column_types(database: &dyn Database) {
    let wanted = ["10", "2", "3", "30"].map(customer);
    assert_eq!(found(&*database.state(), &wanted).await, [], "there is no table");
    for table in foreign_tables(database) {
        database.execute("DROP TABLE IF EXISTS partition_state").await;
        database.execute(table).await;
        let state = database.state();
        assert_eq!(found(&*state, &wanted).await, [], "{table}");
        for id in ["1", "2", "3", "10"] {
            state.judge(&customer(id), &passed(1), now()).await.unwrap();
        }
        let all = state.list(&Filter::default()).await.unwrap();
        let all = all.into_iter().map(Result::unwrap);
        let expected: Vec<_> = all.filter(|entry| wanted.contains(&entry.key)).collect();
        assert_eq!(expected.len(), 3);
        assert_eq!(found(&*state, &wanted).await, expected, "{table}");
        database
            .execute("UPDATE partition_state SET current_run_id = '' WHERE customer_id = '2'")
            .await;
        let faults = state.find(&wanted).await.unwrap();
        let fault = faults.iter().find_map(|found| found.as_ref().err()).expect("a fault");
        assert_eq!((fault.kind(), faults.len()), (ErrorKind::Corrupt, 3), "{table}");
    }
}

async fn a_malformed_record_blocks_no_other(database: &dyn Database) {
    let state = database.state();
    database.execute(ALL_TEXT).await;
    for id in ["1", "2", "3"] {
        state.judge(&customer(id), &failed(1, "bad"), now()).await.unwrap();
    }
    let plan = plan_retry(&*state, &Selection::default(), Marked::Keep).await.unwrap();
    let break_one = "UPDATE partition_state SET attempt_count = 'x' WHERE customer_id = '2'";
    database.execute(break_one).await;
    let clock = FixedClock(LATER.parse().unwrap());
    let applied: Vec<_> = execute(&*state, &plan, &clock).collect().await;
    let outcomes: Vec<_> =
        applied.iter().map(|step| step.outcome.as_ref().map_err(rawsink::Error::kind)).collect();
    assert_eq!(outcomes.len(), 3);
    assert_eq!(outcomes[1], Err(ErrorKind::Corrupt));
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");

    database.execute("UPDATE partition_state SET status = 'failed'").await;
    let plan = plan_retry(&*state, &Selection::default(), Marked::Keep).await.unwrap();
    assert_eq!((plan.keys.len(), plan.faults.len()), (2, 1), "{plan:?}");
    let day = days("2024-06-01", "2024-06-02");
    let plan = plan_backfill(&*state, &[(series("2"), day)]).await.unwrap();
    assert_eq!(plan.keys, [on("2", "2024-06-02")], "the broken record is there all the same");
    assert_eq!(plan.faults.len(), 1);
}

async fn g14_without_a_primary_key_no_update_is_lost(database: &dyn Database) {
    database.execute(WITHOUT_A_KEY).await;
    race(database).await;
}
