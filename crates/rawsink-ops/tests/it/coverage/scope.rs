//! Expected partitions and next steps.

use std::{sync::Arc, time::Duration};

use rawsink::{
    ErrorKind, PartitionKey, RawSink, RunId,
    layout::Place,
    partition::Selection,
    runtime::Runtime,
    sink::SinkOptions,
    state::{Change, Outcome, Status, Verdict},
    store::Object,
    validate::{self, Rules},
};
use rawsink_ops::{
    coverage::{Action, OddDays, Scope, Standing, coverage},
    withdraw,
};

use super::{cell_texts, cover, page::assert_page_matches};
use rawsink_testkit::{
    backend::{Backend, Memory},
    databases::{Database, Sqlite},
    sample::{key, path, rows, run, seal},
    states::StateBackend,
};

async fn land(backend: &dyn Backend, n: u16, names: [&str; 4], object: Object) {
    let [source, customer, query, day] = names;
    let key = PartitionKey::new(source, customer, query, day).unwrap();
    if object == Object::Seal {
        backend.tamper(&path(&key, &run(n)), Object::Payload, Some(b"")).await;
    }
    backend.tamper(&path(&key, &run(n)), object, Some(b"{}")).await;
}

fn select(source: Option<&str>, since: Option<&str>, until: Option<&str>) -> Selection {
    let day = |day: Option<&str>| day.map(|day| day.parse().unwrap());
    let source = source.map(str::to_owned);
    Selection { source, since: day(since), until: day(until), ..Selection::default() }
}

fn names(list: &[&str]) -> std::collections::BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// Returns the standing by path, without the common prefix.
async fn standings(backend: &dyn Backend, database: &Sqlite, scope: &Scope) -> Vec<String> {
    let told = cell_texts(&cover(backend, database, scope).await);
    let short = |path: &str| {
        path.replace("customer_id=", "")
            .replace("query_name=", "")
            .replace("logical_date=2024-", "")
    };
    told.iter()
        .map(|(path, text)| format!("{} {}", short(path), text.split(' ').next().unwrap()))
        .collect()
}

async fn two_sources() -> Memory {
    let backend = Memory::default();
    land(&backend, 1, ["ads", "1", "q", "2024-06-01"], Object::Seal).await;
    land(&backend, 1, ["ads", "2", "r", "2024-06-03"], Object::Payload).await;
    land(&backend, 1, ["bing", "9", "z", "2024-06-02"], Object::Seal).await;
    backend
}

#[tokio::test]
async fn every_customer_is_expected_with_every_query_of_its_source_on_every_day() {
    let (backend, database) = (two_sources().await, Sqlite::new());
    let scope = Scope { selection: select(Some("ads"), None, None), ..Scope::default() };
    let expected = [
        "ads/1/q/06-01 sealed",
        "ads/1/q/06-02 missing",
        "ads/1/q/06-03 missing",
        "ads/1/r/06-01 missing",
        "ads/1/r/06-02 missing",
        "ads/1/r/06-03 missing",
        "ads/2/q/06-01 missing",
        "ads/2/q/06-02 missing",
        "ads/2/q/06-03 missing",
        "ads/2/r/06-01 missing",
        "ads/2/r/06-02 missing",
        "ads/2/r/06-03 unsealed",
    ];
    assert_eq!(standings(&backend, &database, &scope).await, expected);
    let all = standings(&backend, &database, &Scope::default()).await;
    assert_eq!(all.len(), 12 + 3);
    assert!(all.contains(&"bing/9/z/06-02 sealed".to_owned()));
    assert!(!all.iter().any(|cell| cell.contains("bing/9/q")), "the query of another source");
}

#[tokio::test]
async fn only_named_values_are_expected() {
    let (backend, database) = (two_sources().await, Sqlite::new());
    let scope = Scope {
        selection: select(Some("ads"), Some("2024-05-31"), Some("2024-06-01")),
        customers: names(&["1", "7"]),
        queries: names(&["q"]),
    };
    let expected = [
        "ads/1/q/05-31 missing",
        "ads/1/q/06-01 sealed",
        "ads/7/q/05-31 missing",
        "ads/7/q/06-01 missing",
    ];
    assert_eq!(standings(&backend, &database, &scope).await, expected);
    // Customers and days of other queries are not considered, and vice versa.
    let selection = select(Some("ads"), None, None);
    let one = |customers: &[&str], queries: &[&str]| Scope {
        selection: selection.clone(),
        customers: names(customers),
        queries: names(queries),
    };
    let query = standings(&backend, &database, &one(&[], &["q"])).await;
    assert_eq!(query, ["ads/1/q/06-01 sealed"]);
    let customer = standings(&backend, &database, &one(&["2"], &[])).await;
    assert_eq!(customer, ["ads/2/r/06-03 unsealed"]);
    let (empty, mut scope) = (Memory::default(), scope);
    scope.selection.customer_id = Some("7".to_owned());
    assert_eq!(standings(&empty, &database, &scope).await.len(), 4, "all is missing");
    assert_eq!(standings(&empty, &database, &Scope::default()).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_impossible_expectation_is_refused() {
    let (empty, database) = (RawSink::new(Memory::default().store()), Sqlite::new());
    let whole = Scope {
        selection: select(Some("ads"), Some("2024-05-31"), None),
        customers: names(&["1"]),
        queries: names(&["q"]),
    };
    let changed = |change: &dyn Fn(&mut Scope)| {
        let mut scope = whole.clone();
        change(&mut scope);
        scope
    };
    for (says, scope) in [
        ("the source of \"1\"", changed(&|scope| scope.selection.source = None)),
        ("the expected days", changed(&|scope| scope.selection.since = None)),
        ("the customers or queries of \"1\"", changed(&|scope| scope.queries.clear())),
        ("the customers or queries of \"q\"", changed(&|scope| scope.customers.clear())),
        (
            "is before 2024-05-31",
            changed(&|scope| {
                scope.selection.until = "2024-05-01".parse().ok();
            }),
        ),
        (
            "more than 3660 days",
            changed(&|scope| {
                scope.selection.until = "2999-05-01".parse().ok();
            }),
        ),
        ("customer_id \"a/b\"", changed(&|scope| scope.customers = names(&["a/b"]))),
        ("query_name \"\"", changed(&|scope| scope.queries = names(&[""]))),
    ] {
        let error = coverage(&empty, &*database.state(), &scope).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn odd_days_are_named_and_left_out() {
    let (backend, database) = (Memory::default(), Sqlite::new());
    for (customer, day) in [
        ("1", "2024-06-01"),
        ("1", "2024-06-03"),
        ("1", "1970-01-01"),
        ("odd", "1970-01-02"),
        ("2", "9999-12-31"),
    ] {
        land(&backend, 1, ["ads", customer, "q", day], Object::Seal).await;
    }
    let covered = cover(&backend, &database, &Scope::default()).await;
    let odd = |since: &str, until: &str, partitions| OddDays {
        since: since.parse().unwrap(),
        until: until.parse().unwrap(),
        partitions,
    };
    assert_eq!(
        covered.odd_days(),
        [odd("1970-01-01", "1970-01-02", 2), odd("9999-12-31", "9999-12-31", 1)]
    );
    let cells = standings(&backend, &database, &Scope::default()).await;
    assert_eq!(cells, ["ads/1/q/06-01 sealed", "ads/1/q/06-02 missing", "ads/1/q/06-03 sealed"]);

    // One named day keeps its end of the range; two named days leave out nothing.
    let scope = |since, until| Scope { selection: select(None, since, until), ..Scope::default() };
    let until = scope(None, Some("2024-06-04"));
    let covered = cover(&backend, &database, &until).await;
    assert_eq!(covered.odd_days(), [odd("1970-01-01", "1970-01-02", 2)]);
    assert_eq!(covered.days().len(), 4);
    let both = scope(Some("1970-01-01"), Some("1970-01-02"));
    let covered = cover(&backend, &database, &both).await;
    assert_eq!((covered.odd_days().len(), covered.days().len(), covered.tally().sealed), (0, 2, 2));
}

#[tokio::test]
async fn days_without_a_long_gap_are_never_odd() {
    let (backend, database) = (Memory::default(), Sqlite::new());
    for year in 2010..2024 {
        land(&backend, 1, ["ads", "1", "q", &format!("{year}-06-01")], Object::Seal).await;
    }
    let (sink, scope) = (RawSink::new(backend.store()), Scope::default());
    let error = coverage(&sink, &*database.state(), &scope).await.unwrap_err();
    assert!(error.message().contains("3660 days; name the first and the last day"), "{error}");
    land(&backend, 1, ["bing", "1", "q", "2015-01-01"], Object::Seal).await;
    let few = Scope { selection: select(None, Some("2015-01-01"), None), ..Scope::default() };
    let covered = cover(&backend, &database, &few).await;
    assert!(covered.odd_days().is_empty() && covered.days().len() > 3000);
}

#[tokio::test]
async fn steps_lead_from_every_standing_to_a_validated_partition() {
    let (backend, database) = (Memory::default(), Sqlite::new());
    let days: Vec<String> = (1..=9).map(|day| format!("2024-06-0{day}")).collect();
    let record = |day: usize, status: &str, current: &str, reason: &str| {
        format!(
            "; INSERT INTO partition_state VALUES ('ads', '1', 'q', '{}', '{status}', {current}, \
             'v1', 1, '2024-06-09T00:00:00Z', {reason}, 1)",
            days[day - 1]
        )
    };
    let (first, second) = (format!("'{}'", run(1)), format!("'{}'", run(2)));
    let bad = |n: u16| format!("'run {}: bad'", run(n));
    let sql = database.contract().to_owned()
        + &record(1, "success", &first, "NULL")
        + &record(2, "success", &first, "NULL")
        + &record(5, "failed", "NULL", &bad(1))
        + &record(6, "failed", "NULL", &bad(1))
        + &record(7, "failed", "NULL", &bad(1))
        + &record(8, "success", &second, "NULL")
        + &record(9, "success", &first, &bad(2));
    database.execute(&sql).await;
    // Day 2 was landed again, day 7 after its failure; day 8's run is lost and an older one exists;
    // day 9 is the same, and a newer run has failed.
    for (day, n, object) in [
        (1, 1, Object::Seal),
        (2, 1, Object::Seal),
        (2, 2, Object::Seal),
        (3, 1, Object::Payload),
        (5, 1, Object::Seal),
        (6, 1, Object::Seal),
        (7, 1, Object::Seal),
        (7, 2, Object::Seal),
        (8, 1, Object::Seal),
        (9, 2, Object::Seal),
    ] {
        land(&backend, n, ["ads", "1", "q", &days[day - 1]], object).await;
    }
    let coverage = cover(&backend, &database, &Scope::default()).await;
    let (one, two) = (run(1), run(2));
    let newest = run(500);
    let steps: Vec<_> =
        coverage.steps(&newest).map(|step| (step.day.to_string(), step.action)).collect();
    let on = |day: usize, action| (days[day - 1].clone(), action);
    let expected = [
        on(2, Action::Validate(&two)),
        on(3, Action::Restart(&one)),
        on(4, Action::Land),
        // A failure that only the record knows is judged once more.
        on(5, Action::Validate(&one)),
        on(6, Action::Validate(&one)),
        on(7, Action::Validate(&two)),
        // An older run does not regain authority.
        on(8, Action::Land),
        on(9, Action::Validate(&two)),
    ];
    assert_eq!(steps, expected);
    let tally = coverage.tally();
    assert_eq!((tally.lost, tally.missing), (2, 1));
}

#[tokio::test]
async fn the_worst_rows_come_first() {
    let (backend, database) = (Memory::default(), Sqlite::new());
    let record = |customer: &str, day: &str| {
        format!(
            "; INSERT INTO partition_state VALUES ('ads', '{customer}', 'q', '{day}', 'success', \
             '{}', 'v1', 1, '2024-06-09T00:00:00Z', NULL, 1)",
            run(1)
        )
    };
    let days = ["2024-06-01", "2024-06-02", "2024-06-03"];
    let mut sql = database.contract().to_owned();
    for (customer, landed, recorded) in [
        ("complete", &days[..], &days[..]),
        ("drifting", &days, &days),
        ("lost", &days[1..], &days),
        ("missing", &days[2..], &days[2..]),
        ("one", &days[..2], &days[..2]),
        ("other", &days, &days),
    ] {
        for day in landed {
            land(&backend, 1, ["ads", customer, "q", day], Object::Seal).await;
        }
        for day in recorded {
            sql += &record(customer, day);
        }
    }
    land(&backend, 2, ["ads", "drifting", "q", days[0]], Object::Seal).await;
    database.execute(&sql).await;
    let coverage = cover(&backend, &database, &Scope::default()).await;
    let rows: Vec<_> = coverage.rows().collect();
    let order = coverage.worst_first().into_iter().map(|row| rows[row].customer_id.as_str());
    assert_eq!(
        order.collect::<Vec<_>>(),
        ["lost", "missing", "one", "drifting", "complete", "other"]
    );
    assert_eq!((coverage.row_tally(2).lost, coverage.row_tally(2).open()), (1, 1));
}

#[tokio::test]
async fn a_failed_run_is_followed_by_a_new_one_and_a_run_of_the_future_is_withdrawn() {
    let (backend, database) = (Memory::default(), Sqlite::new());
    let (state, one) = (database.state(), run(1));
    let now = "2024-06-10T00:00:00Z".parse().unwrap();
    let on = |day: &str| PartitionKey::new("ads", "1", "q", day).unwrap();
    land(&backend, 1, ["ads", "1", "q", "2024-06-01"], Object::Seal).await;
    // It fails again: only a new run helps.
    let failed = Verdict::new(run(1), Outcome::Failed("bad".into()));
    state.judge(&on("2024-06-01"), &failed, now).await.unwrap();
    // The run of the second day is lost.
    let outcome = Outcome::Passed { schema_version: None, record_count: 1 };
    state.judge(&on("2024-06-02"), &Verdict::new(run(1), outcome), now).await.unwrap();
    let coverage = cover(&backend, &database, &Scope::default()).await;
    let steps = |newest: RunId| -> Vec<String> {
        coverage.steps(&newest).map(|step| format!("{:?}", step.action)).collect()
    };
    assert_eq!(steps(run(2)), ["Land", "Land"]);
    assert_eq!(
        steps(run(1)),
        ["Land".to_owned(), "Land".to_owned(), format!("{:?}", Action::Withdraw(&one))]
    );
}

#[tokio::test]
async fn g20_a_run_whose_files_are_gone_or_have_another_length_is_lost() {
    for (object, content) in [
        (Object::Seal, None),
        (Object::Payload, None),
        (Object::Payload, Some(&b"{}\n"[..])),
        (Object::Seal, Some(b"{ }")),
    ] {
        let (backend, database) = (Memory::default(), Sqlite::new());
        let (sink, state) = (RawSink::new(backend.store()), database.state());
        seal(&sink, &key(), &run(1), &rows("a", 3)).await.unwrap();
        validate::run(&sink, &*state, &key(), &run(1), Rules::default()).await.unwrap();
        let standing = async || {
            let covered = cover(&backend, &database, &Scope::default()).await;
            covered.cells().flat_map(|(_, cells)| cells.map(|cell| cell.standing)).next().unwrap()
        };
        assert_eq!(standing().await, Standing::Validated);
        backend.tamper(&path(&key(), &run(1)), object, content).await;
        assert_eq!(standing().await, Standing::Lost, "{object:?} {content:?}");
        let covered = cover(&backend, &database, &Scope::default()).await;
        let newest = run(500);
        let actions: Vec<_> = covered.steps(&newest).map(|step| step.action).collect();
        assert_eq!(actions, [Action::Land], "the run is never written again");
    }
}

#[tokio::test]
async fn g20_a_withdrawn_run_that_other_software_gave_authority_is_lost() {
    let (backend, database) = (Memory::default(), Sqlite::new());
    let (sink, state) = (RawSink::new(backend.store()), database.state());
    seal(&sink, &key(), &run(1), &rows("a", 3)).await.unwrap();
    validate::run(&sink, &*state, &key(), &run(1), Rules::default()).await.unwrap();
    let now = "2024-06-10T00:00:00Z".parse().unwrap();
    let withdrawal = Change::Withdraw { run_id: run(1), reason: "wrong account".into() };
    state.change(&key(), &withdrawal, now).await.unwrap();
    let sql =
        format!("UPDATE partition_state SET status = 'success', current_run_id = '{}'", run(1));
    database.execute(&sql).await;
    let covered = cover(&backend, &database, &Scope::default()).await;
    assert_eq!(covered.tally().lost, 1, "consumers cannot read it");
    let newest = run(500);
    let actions: Vec<_> = covered.steps(&newest).map(|step| step.action).collect();
    assert_eq!(actions, [Action::Land]);
    // A plan may withdraw it, and it must not come back.
    let record = state.change(&key(), &withdrawal, now).await.unwrap().unwrap();
    assert_eq!((record.status, record.current_run_id), (Status::Pending, None));
    assert_eq!(state.change(&key(), &withdrawal, now).await.unwrap(), None, "nothing is left");
}

#[tokio::test]
async fn an_erased_customer_is_expected_only_if_an_option_names_it() {
    let (backend, database) = (Memory::default(), Sqlite::new());
    let (sink, state) = (RawSink::new(backend.store()), database.state());
    let on = |customer: &str, day: &str| PartitionKey::new("ads", customer, "q", day).unwrap();
    for (customer, day) in
        [("erased", "2024-06-01"), ("kept", "2024-06-01"), ("kept", "2024-06-02")]
    {
        seal(&sink, &on(customer, day), &run(1), &rows("a", 1)).await.unwrap();
        validate::run(&sink, &*state, &on(customer, day), &run(1), Rules::default()).await.unwrap();
    }
    let erased = Selection { customer_id: Some("erased".into()), ..Selection::default() };
    let plan = withdraw::plan_all(&sink, &*state, &erased, "erased").await.unwrap();
    state.change_many(&plan, "2024-06-10T00:00:00Z".parse().unwrap()).await.unwrap();
    let covered = cover(&backend, &database, &Scope::default()).await;
    let tally = covered.tally();
    assert_eq!((tally.validated, tally.withdrawn, tally.missing), (2, 2, 0));
    assert_page_matches(&covered, &cell_texts(&covered));
    assert_eq!(covered.steps(&run(500)).count(), 0, "nobody extracts it again");
    let scope = Scope { customers: names(&["erased", "kept"]), ..Scope::default() };
    let tally = cover(&backend, &database, &scope).await.tally();
    assert_eq!((tally.validated, tally.withdrawn, tally.missing), (2, 1, 1));
}

#[tokio::test]
async fn a_run_of_the_future_that_blocks_a_run_of_today_is_withdrawn() {
    let (backend, database) = (Memory::default(), Sqlite::new());
    let (sink, state) = (RawSink::new(backend.store()), database.state());
    let options = SinkOptions::default().max_run_ahead(Duration::MAX);
    let careless = RawSink::with(Arc::new(backend.store()), options, Runtime::default());
    let future: RunId = "2999-01-01T00:00:00.000Z".parse().unwrap();
    for (sink, run) in [(&sink, run(1)), (&careless, future.clone()), (&sink, run(2))] {
        let covered = cover(&backend, &database, &Scope::default()).await;
        assert_eq!(covered.tally().blocked, 0, "before {run}");
        seal(sink, &key(), &run, &rows("a", 3)).await.unwrap();
        validate::run(sink, &*state, &key(), &run, Rules::default()).await.unwrap();
    }
    let covered = cover(&backend, &database, &Scope::default()).await;
    assert_eq!((covered.tally().validated, covered.tally().blocked), (1, 1));
    assert_page_matches(&covered, &cell_texts(&covered));
    let newest = run(500);
    let steps: Vec<_> = covered.steps(&newest).collect();
    assert_eq!(
        steps.iter().map(|step| step.action).collect::<Vec<_>>(),
        [Action::Release(&future)]
    );
    let place = Place::of_run(&key(), &future);
    let command = format!("rawsink state withdraw {place} --reason 'its id sorts after new runs'");
    assert_eq!(steps[0].command(None), command, "it need not wait for an extraction");
    backend.tamper(&path(&key(), &run(2)), Object::Payload, Some(b"{}\n")).await;
    let covered = cover(&backend, &database, &Scope::default()).await;
    assert_eq!(covered.tally().blocked, 0, "the other run is damaged");
}

#[tokio::test]
async fn a_withdrawn_partition_needs_no_action() {
    let (backend, database) = (Memory::default(), Sqlite::new());
    let (sink, state) = (RawSink::new(backend.store()), database.state());
    for n in [1, 2] {
        seal(&sink, &key(), &run(n), &rows("a", 3)).await.unwrap();
    }
    validate::run(&sink, &*state, &key(), &run(1), Rules::default()).await.unwrap();
    let plan = withdraw::plan_all(&sink, &*state, &Selection::default(), "erased").await.unwrap();
    assert_eq!(plan.len(), 2, "also the run without a verdict");
    state.change_many(&plan, "2024-06-10T00:00:00Z".parse().unwrap()).await.unwrap();
    for _ in 0..2 {
        let covered = cover(&backend, &database, &Scope::default()).await;
        assert_eq!(covered.tally().withdrawn, 1);
        assert_eq!(covered.steps(&run(500)).count(), 0);
        // The objects are deleted by a person or a lifecycle rule.
        for (n, object) in
            [(1, Object::Seal), (1, Object::Payload), (2, Object::Seal), (2, Object::Payload)]
        {
            backend.tamper(&path(&key(), &run(n)), object, None).await;
        }
    }
}
