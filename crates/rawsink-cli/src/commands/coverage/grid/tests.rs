//! The grid at several sizes of the terminal.

use bytes::Bytes;
use rawsink::{
    PartitionKey, RawSink, RunId,
    layout::Place,
    partition::Selection,
    state::{MemoryState, Record, Status},
    store::{MemoryStore, Object},
};
use rawsink_ops::coverage::{Coverage, Scope, coverage};

use super::{draw, names};
use crate::screen::Screen;

const FIRST: &str = "2024-04-17";
const LAST: &str = "2024-06-25";

/// A landing that is filled cell by cell.
#[derive(Default)]
struct Filled {
    store: MemoryStore,
    state: MemoryState,
}

impl Filled {
    /// Fills one day as a mark says.
    fn put(&self, [source, customer, query, day]: [&str; 4], mark: char) {
        let key = PartitionKey::new(source, customer, query, day).unwrap();
        let run: RunId = format!("{day}T23:00:00.000Z").parse().unwrap();
        let path = Place::of_run(&key, &run).store_path();
        let has = |object, marks: &str| {
            let content = marks.contains(mark).then(|| Bytes::from_static(b"{}"));
            self.store.tamper(&path, object, content);
        };
        has(Object::Payload, ".o+sFu");
        has(Object::Seal, ".o+sF");
        let record = |status, rows| Record {
            status,
            current_run_id: Some(run.clone()),
            record_count: Some(rows),
            ..Record::pending()
        };
        match mark {
            '.' | '+' | 'L' => self.state.set_record(&key, record(Status::Success, 7)),
            'o' => self.state.set_record(&key, record(Status::Success, 0)),
            'F' => self.state.set_record(&key, record(Status::Failed, 7)),
            _ => {}
        }
        if mark == '+' {
            let newer: RunId = format!("{run}-again").parse().unwrap();
            let path = Place::of_run(&key, &newer).store_path();
            self.store.tamper(&path, Object::Seal, Some(Bytes::from_static(b"{}")));
        }
    }

    /// Fills a row, which ends on the last day; the days before are validated.
    fn row(&self, series: [&str; 3], marks: &str) {
        let [source, customer, query] = series;
        let days = days();
        let before = days.len() - marks.len();
        for (at, day) in days.iter().enumerate() {
            let mark = at.checked_sub(before).map_or('.', |at| marks.as_bytes()[at].into());
            self.put([source, customer, query, day], mark);
        }
    }

    async fn coverage(&self) -> Coverage {
        let (since, until) = (FIRST.parse().ok(), LAST.parse().ok());
        let scope = Scope {
            selection: Selection { since, until, ..Selection::default() },
            ..Scope::default()
        };
        let sink = RawSink::new(self.store.clone());
        coverage(&sink, &self.state, &scope).await.unwrap()
    }
}

fn days() -> Vec<String> {
    let first: jiff::civil::Date = FIRST.parse().unwrap();
    let days = first.series(jiff::Span::new().days(1)).map(|day| day.to_string());
    days.take_while(|day| day.as_str() <= LAST).collect()
}

async fn sample() -> Coverage {
    let filled = Filled::default();
    let [ad, daily, weekly] =
        ["ad_group", "campaign_daily_performance", "campaign_weekly_performance"];
    for (customer, rows) in [
        ("1161042648", ["..L.....s", "-....", "...ss"]),
        ("1168961965", ["FF..-...", "..o.", "+..u"]),
        ("a customer with a long name", [".", "---------", "-"]),
    ] {
        for (query, marks) in [ad, daily, weekly].into_iter().zip(rows) {
            filled.row(["google_ads", customer, query], marks);
        }
    }
    filled.coverage().await
}

fn screen(width: usize, height: usize) -> Screen {
    Screen { width, height, is_coloured: false }
}

#[track_caller]
fn assert_drawn(coverage: &Coverage, screen: Screen, expected: &str) {
    let drawn = draw(coverage, screen).unwrap();
    assert!(drawn == expected.strip_prefix('\n').unwrap(), "\n{drawn}");
}

#[tokio::test]
async fn a_wide_terminal_shows_all_days() {
    assert_drawn(
        &sample().await,
        screen(140, 40),
        "
                                                            Apr 2024        May 2024                           Jun 2024
customer                   query                      open  17    22      29      6       13      20      27      3       10      17      24
1161042648                 ad_group                      2  ..... ....... ....... ....... ....... ....... ....... ....... ....... ..L.... .s
a customer w… a long name  campaign_dai…_performance     9  ..... ....... ....... ....... ....... ....... ....... ....... ....... ------- --
1168961965                 ad_group                      3  ..... ....... ....... ....... ....... ....... ....... ....... ....... .FF..-. ..
1161042648                 campaign_wee…_performance     2  ..... ....... ....... ....... ....... ....... ....... ....... ....... ....... ss
1168961965                 campaign_wee…_performance     1  ..... ....... ....... ....... ....... ....... ....... ....... ....... .....+. .u
1161042648                 campaign_dai…_performance     1  ..... ....... ....... ....... ....... ....... ....... ....... ....... ....-.. ..
a customer w… a long name  campaign_wee…_performance     1  ..... ....... ....... ....... ....... ....... ....... ....... ....... ....... .-
1168961965                 campaign_dai…_performance        ..... ....... ....... ....... ....... ....... ....... ....... ....... ....... o.
a customer w… a long name  ad_group                         ..... ....... ....... ....... ....... ....... ....... ....... ....... ....... ..

L lost  F failed  - missing  u unsealed  s sealed only  + validated, a run waits  o validated, no rows  . validated
",
    );
}

#[tokio::test]
async fn a_usual_terminal_shows_the_newest_days() {
    assert_drawn(
        &sample().await,
        screen(80, 40),
        "
                                          May 2024 Jun 2024
customer          query             open  24  27      3       10      17      24
1161042648        ad_group             2  ... ....... ....... ....... ..L.... .s
a custom…ng name  campaign_d…mance     9  ... ....... ....... ....... ------- --
1168961965        ad_group             3  ... ....... ....... ....... .FF..-. ..
1161042648        campaign_w…mance     2  ... ....... ....... ....... ....... ss
1168961965        campaign_w…mance     1  ... ....... ....... ....... .....+. .u
1161042648        campaign_d…mance     1  ... ....... ....... ....... ....-.. ..
a custom…ng name  campaign_w…mance     1  ... ....... ....... ....... ....... .-
1168961965        campaign_d…mance        ... ....... ....... ....... ....... o.
a custom…ng name  ad_group                ... ....... ....... ....... ....... ..

L lost  F failed  - missing  u unsealed  s sealed only  + validated, a run waits
o validated, no rows  . validated
37 earlier days hidden; --until 2024-05-23 or a wider terminal shows more
",
    );
}

#[tokio::test]
async fn a_low_terminal_folds_complete_rows_and_then_hides_the_best() {
    let filled = Filled::default();
    for number in 0..30 {
        filled.row(["ads", &format!("{number:02}"), "q"], if number < 12 { "-" } else { "." });
    }
    let coverage = filled.coverage().await;
    let rows = |height| {
        let drawn = draw(&coverage, screen(80, height)).unwrap();
        let rows = drawn.lines().filter(|line| line.contains(" q ")).count();
        (
            rows,
            drawn.lines().filter(|line| line.contains("more row")).collect::<Vec<_>>().join("; "),
        )
    };
    assert_eq!(rows(40), (30, String::new()));
    assert_eq!(rows(39), (12, "18 more rows are complete".to_owned()));
    let hidden =
        "2 more rows need work; --html FILE or a pipe shows every row; 18 more rows are complete";
    assert_eq!(rows(5), (10, hidden.to_owned()));
    let complete = Filled::default();
    (0..30).for_each(|number| complete.row(["ads", &format!("{number:02}"), "q"], "."));
    let drawn = draw(&complete.coverage().await, screen(80, 24)).unwrap();
    assert_eq!(drawn, "all 30 rows are complete\n");
}

#[tokio::test]
async fn no_line_is_wider_than_the_terminal() {
    let coverage = sample().await;
    let mut drawn = 0;
    for width in 1..=200 {
        let Some(grid) = draw(&coverage, screen(width, 40)) else { continue };
        drawn += 1;
        for line in grid.lines().filter(|line| !line.contains("hidden")) {
            assert!(names::width(line) <= width, "{width}: {line}");
        }
    }
    assert!(drawn > 150, "{drawn}");
}

#[tokio::test]
async fn several_sources_have_a_column() {
    let filled = Filled::default();
    filled.row(["ads", "1", "q"], "L");
    filled.row(["bing", "1", "q"], "-");
    let drawn = draw(&filled.coverage().await, screen(80, 24)).unwrap();
    let lines: Vec<&str> = drawn.lines().skip(1).collect();
    assert!(lines[0].starts_with("source  customer  query  open  "), "{drawn}");
    assert!(lines[1].starts_with("ads     1         q         1  "), "{drawn}");
    assert!(lines[2].starts_with("bing    1         q         1  "), "{drawn}");
}

#[tokio::test]
async fn colours_end_before_a_gap_and_at_the_end_of_a_row() {
    let filled = Filled::default();
    // The last day is a Tuesday.
    filled.row(["ads", "1", "q"], "LL-");
    let coverage = filled.coverage().await;
    let drawn = draw(&coverage, Screen { is_coloured: true, ..screen(80, 24) }).unwrap();
    let lost = "\x1b[1;97;45m";
    let row = format!("{lost}L\x1b[0m {lost}L\x1b[0m\x1b[33m-\x1b[0m\n");
    assert!(drawn.contains(&row), "{drawn:?}");
    assert!(drawn.contains("\x1b[33m-\x1b[0m missing"), "{drawn:?}");
}
