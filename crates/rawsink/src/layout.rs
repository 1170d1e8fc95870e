//! Converts names to paths and paths to names. No other module does.
//!
//! ```text
//! <source>/customer_id=<id>/query_name=<name>/logical_date=<YYYY-MM-DD>/run_id=<run_id>/
//!     payload.jsonl
//!     metadata.json
//! ```
//!
//! The layout is the same below a directory and below a bucket's prefix.

use std::fmt;

use crate::{
    error::{Error, Result},
    partition::{self, PartitionKey, RunId, Selection},
    store::{Object, StorePath},
};

/// Longest prefix and key together, in bytes. Every store has this limit of object storage.
pub const MAX_KEY_BYTES: usize = 1024;

/// The forms of a path, for messages.
const PATH_FORM: &str = "SOURCE/customer_id=ID/query_name=NAME/logical_date=YYYY-MM-DD/run_id=RUN or SOURCE/ID/NAME/YYYY-MM-DD/RUN";

/// A level of the layout. The order is outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// The upstream system.
    Source,
    /// `customer_id=`
    Customer,
    /// `query_name=`
    Query,
    /// `logical_date=`
    Date,
    /// `run_id=`
    Run,
}

impl Level {
    /// Every level, outermost first.
    pub const ALL: [Self; 5] = [Self::Source, Self::Customer, Self::Query, Self::Date, Self::Run];

    /// Returns the label that a segment of this level starts with.
    pub fn label(self) -> &'static str {
        match self {
            Self::Source => "",
            Self::Customer => "customer_id=",
            Self::Query => "query_name=",
            Self::Date => "logical_date=",
            Self::Run => "run_id=",
        }
    }

    /// Returns the level's name as used in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            _ => self.label().trim_end_matches('='),
        }
    }

    /// Checks that a value is legal at this level.
    ///
    /// # Errors
    /// `Invalid` for a value that is not.
    pub fn check(self, value: &str) -> Result<()> {
        match self {
            Self::Source => partition::check_source(value),
            Self::Date => value.parse::<partition::LogicalDate>().map(|_| ()),
            _ => partition::check_segment(self.name(), value, self.label().len()),
        }
    }
}

/// A place in the layout: none, some or all of the five levels, outermost first.
///
/// `Display` writes the canonical path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Place {
    values: Vec<String>,
}

impl Place {
    /// Returns the place above all sources.
    pub fn top() -> Self {
        Self::default()
    }

    /// Returns the place of a logical partition.
    pub fn of_partition(key: &PartitionKey) -> Self {
        let date = key.logical_date().to_string();
        let values = [key.source(), key.customer_id(), key.query_name(), &date];
        Self { values: values.map(str::to_owned).to_vec() }
    }

    /// Returns the place of a run.
    pub fn of_run(key: &PartitionKey, run: &RunId) -> Self {
        let mut place = Self::of_partition(key);
        place.values.push(run.to_string());
        place
    }

    /// Returns the innermost place that holds every partition of a selection.
    pub fn enclosing(selection: &Selection) -> Self {
        let Selection { source, customer_id, query_name, since, until } = selection;
        let day = since.filter(|since| Some(*since) == *until).map(|day| day.to_string());
        let given = [source.clone(), customer_id.clone(), query_name.clone(), day];
        Self { values: given.into_iter().map_while(|value| value).collect() }
    }

    /// Parses a canonical path, such as one from a listing of the storage, or its short form without
    /// labels: `google_ads/123/campaign/2024-06-01`.
    ///
    /// The part above the source must be `root`, the configured root or prefix, or missing. A
    /// trailing slash and an object name below a run are ignored. In the short form no name may have a
    /// `=`, so that a misspelt label is an error.
    ///
    /// # Errors
    /// `Invalid`, which names the wrong segment.
    pub fn parse(path: &str, root: &str) -> Result<Self> {
        let wrong =
            |message: String| Error::invalid(format!("invalid partition path {path:?}: {message}"));
        let mut segments = below_root(path, root).map_err(wrong)?;
        if segments.len() == 6 && Object::from_file_name(segments[5]).is_some() {
            segments.pop();
        }
        if segments.len() > Level::ALL.len() {
            return Err(wrong(format!("unexpected segment {:?} below the run", segments[5])));
        }
        let is_short = !segments.iter().skip(1).any(|segment| segment.contains('='));
        let mut place = Self::top();
        for (segment, level) in segments.into_iter().zip(Level::ALL) {
            let label = if is_short { "" } else { level.label() };
            let expected = || {
                wrong(format!("found {segment:?}, expected {:?} as in {PATH_FORM}", level.label()))
            };
            let value = segment.strip_prefix(label).ok_or_else(expected)?;
            level.check(value).map_err(|error| wrong(error.message().to_owned()))?;
            place.values.push(value.to_owned());
        }
        Ok(place)
    }

    /// Returns the place of a directory below this one. `None` for a name outside the layout.
    pub fn child(&self, segment: &str) -> Option<Self> {
        let level = self.next_level()?;
        let value = segment.strip_prefix(level.label())?;
        level.check(value).ok()?;
        let mut child = self.clone();
        child.values.push(value.to_owned());
        Some(child)
    }

    /// Returns whether a partition of the selection may be here, or above or below.
    pub fn may_hold(&self, selection: &Selection) -> bool {
        let Selection { source, customer_id, query_name, since, until } = selection;
        let mut names = self.values.iter().zip([source, customer_id, query_name]);
        let day = self.values.get(3).and_then(|day| day.parse::<partition::LogicalDate>().ok());
        names.all(|(value, wanted)| wanted.as_ref().is_none_or(|wanted| wanted == value))
            && day.is_none_or(|day| {
                since.is_none_or(|since| since <= day) && until.is_none_or(|until| day <= until)
            })
    }

    /// Returns the level directly below. `None` below a run.
    pub fn next_level(&self) -> Option<Level> {
        Level::ALL.get(self.values.len()).copied()
    }

    /// Returns the values of the levels, outermost first.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(String::as_str)
    }

    /// Returns the innermost level and its value.
    pub fn innermost(&self) -> Option<(Level, &str)> {
        let value = self.values.last()?;
        Some((Level::ALL[self.values.len() - 1], value))
    }

    /// Returns the logical partition, if the place has all of its four levels.
    #[expect(clippy::missing_panics_doc, reason = "every value was checked on its way in")]
    pub fn partition(&self) -> Option<PartitionKey> {
        let [source, customer, query, date, ..] = self.values.as_slice() else { return None };
        Some(PartitionKey::new(source, customer, query, date).expect("every value was checked"))
    }

    /// Returns the run, if the place has one.
    #[expect(clippy::missing_panics_doc, reason = "every value was checked on its way in")]
    pub fn run(&self) -> Option<RunId> {
        self.values.get(4).map(|run| run.parse().expect("every value was checked"))
    }

    /// Returns the path below a store's root.
    pub fn store_path(&self) -> StorePath {
        self.segments().fold(StorePath::root(), |path, segment| path.join(&segment))
    }

    fn segments(&self) -> impl Iterator<Item = String> {
        self.values.iter().zip(Level::ALL).map(|(value, level)| format!("{}{value}", level.label()))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.store_path().as_str())
    }
}

/// Returns the path of a run's payload below a store's root.
pub fn payload_path(key: &PartitionKey, run: &RunId) -> String {
    format!("{}/{}", Place::of_run(key, run), Object::Payload.file_name())
}

/// Returns the path of a run below the root of a store whose prefix has `prefix_bytes` bytes.
///
/// # Errors
/// `Invalid` if prefix and key together are longer than [`MAX_KEY_BYTES`].
pub(crate) fn run_path(key: &PartitionKey, run: &RunId, prefix_bytes: usize) -> Result<StorePath> {
    let path = Place::of_run(key, run).store_path();
    let longest = path.as_str().len() + 1 + Object::Payload.file_name().len();
    let slash = usize::from(prefix_bytes > 0);
    let total = prefix_bytes + slash + longest;
    if total > MAX_KEY_BYTES {
        let message =
            format!("prefix and key have {total} bytes together, the limit is {MAX_KEY_BYTES}");
        return Err(Error::invalid(message).at(path));
    }
    Ok(path)
}

/// Splits a path into segments and removes the root.
fn below_root<'path>(path: &'path str, root: &str) -> Result<Vec<&'path str>, String> {
    let segments: Vec<&str> = split(path).collect();
    let root_segments: Vec<&str> = split(root).collect();
    let at_root = segments.starts_with(&root_segments) && !root_segments.is_empty();
    let customer = segments.iter().position(|segment| segment.starts_with(Level::Customer.label()));
    // A root may have the name of a customer, such as a prefix for each tenant.
    let is_in_root = at_root && customer.is_some_and(|customer| customer < root_segments.len());
    let is_query = |segment: &&str| segment.starts_with(Level::Query.label());
    let lead = match customer {
        Some(_) if is_in_root && !segments.get(root_segments.len()).is_some_and(is_query) => {
            root_segments.len()
        }
        Some(0) => return Err("the source is missing".to_owned()),
        Some(customer) => customer - 1,
        // The path ends above the customers, or has no labels.
        None if at_root && (path.starts_with('/') || !is_short(&segments, root_segments.len())) => {
            root_segments.len()
        }
        None => 0,
    };
    let (above, below) = segments.split_at(lead);
    if above == root_segments || (above.is_empty() && !path.starts_with('/')) {
        return Ok(below.to_vec());
    }
    let slash = if path.starts_with('/') { "/" } else { "" };
    let above = format!("{slash}{}", above.join("/"));
    Err(format!("it starts with {above:?}, outside the root {root:?}"))
}

/// Returns whether a relative path without labels that starts like the root begins with a source of the same name. The
/// place of the date shows it; a date in the root shows nothing.
fn is_short(segments: &[&str], root_length: usize) -> bool {
    let has_date_below = |lead: usize| {
        let date = segments.get(lead + 3);
        date.is_some_and(|segment| segment.parse::<partition::LogicalDate>().is_ok())
    };
    root_length <= 3 && has_date_below(0) && !has_date_below(root_length)
}

fn split(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty() && *segment != ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const RUN: &str = "google_ads/customer_id=123/query_name=campaign/logical_date=2024-06-01/run_id=2024-06-02T00:00:00.000Z";

    #[test]
    fn a_run_has_its_canonical_path() {
        let key = PartitionKey::new("google_ads", "123", "campaign", "2024-06-01").unwrap();
        let run = "2024-06-02T00:00:00.000Z".parse().unwrap();
        assert_eq!(run_path(&key, &run, 3).unwrap().as_str(), RUN);
        let place = Place::parse(RUN, "data/raw").unwrap();
        assert_eq!((place.partition(), place.run()), (Some(key), Some(run)));
    }

    #[test]
    fn a_path_can_be_pasted_from_a_listing() {
        for pasted in [
            format!("data/raw/{RUN}"),
            format!("./data/raw/{RUN}/"),
            format!("{RUN}/metadata.json"),
            format!("data/raw/{RUN}/payload.jsonl"),
        ] {
            assert_eq!(Place::parse(&pasted, "data/raw").unwrap().to_string(), RUN, "{pasted}");
        }
        assert_eq!(
            Place::parse(&format!("/data/raw/{RUN}"), "/data/raw").unwrap().to_string(),
            RUN
        );
        assert_eq!(Place::parse("raw/ads", "raw").unwrap().to_string(), "ads");
        for root in ["tenants/customer_id=5", "customer_id=5", "/srv/customer_id=5/raw"] {
            for below in ["ads", RUN] {
                let place = Place::parse(&format!("{root}/{below}"), root).unwrap();
                assert_eq!(place.to_string(), below, "{root}");
            }
            assert_eq!(Place::parse(root, root).unwrap(), Place::top(), "{root}");
            assert_eq!(Place::parse(RUN, root).unwrap().to_string(), RUN, "{root}");
        }
        for root in
            ["srv/landing/raw/2024-06-01", "/srv/landing/raw/2024-06-01", "a/b/c/2024-06-01/raw"]
        {
            for below in ["", "ads", "ads/123", "ads/123/campaign/2024-06-02", RUN] {
                let expected = Place::parse(below, "").unwrap();
                assert_eq!(
                    Place::parse(&format!("{root}/{below}"), root).unwrap(),
                    expected,
                    "{root}"
                );
                assert_eq!(Place::parse(below, root).unwrap(), expected, "{root}");
            }
        }
        let dated = Place::parse("2024-06-01", "").unwrap();
        assert_eq!(Place::parse("/srv/landing/raw/2024-06-01", "/srv/landing/raw").unwrap(), dated);
        assert_eq!(Place::parse("data/raw/", "data/raw").unwrap(), Place::top());
        assert_eq!(Place::parse("", "data/raw").unwrap(), Place::top());
    }

    #[test]
    fn a_path_may_leave_out_the_labels() {
        let short = "google_ads/123/campaign/2024-06-01/2024-06-02T00:00:00.000Z";
        for root in ["", "data/raw", "raw", "google_ads", "/srv/raw"] {
            for (path, canonical) in short
                .match_indices('/')
                .zip(RUN.match_indices('/'))
                .map(|((short_end, _), (end, _))| (&short[..short_end], &RUN[..end]))
            {
                // A root with the name of the source hides it, as long as no date shows what is meant.
                if root == "google_ads" && !path.contains("2024") {
                    continue;
                }
                let below = |path: &str| Place::parse(path, root).unwrap().to_string();
                assert_eq!(below(path), canonical, "{root}");
                assert_eq!(below(&format!("{root}/{path}/")), canonical, "{root}");
            }
            assert_eq!(
                Place::parse(&format!("{short}/payload.jsonl"), root).unwrap().to_string(),
                RUN
            );
        }
    }

    #[test]
    fn the_error_of_an_invalid_path_names_the_wrong_segment() {
        for (path, text) in [
            ("other/google_ads/customer_id=1", "it starts with \"other\", outside the root"),
            ("customer_id=1/query_name=q", "the source is missing"),
            ("ads/customer_id=1/logical_date=2024-06-01", ", expected \"query_name=\""),
            ("ads/customer_id=", "customer_id \"\" is empty"),
            ("ads/customer_id=1/query_name=q/logical_date=2024-02-30", "is not a date"),
            (
                "ads/customer_id=1/query_name=q/logical_date=2024-02-03/run_id=x/y",
                "unexpected segment \"y\" below the run",
            ),
            ("_ads/customer_id=1", "starts with '_'"),
            ("lost+found/customer_id=1", "file systems or appliances use for themselves"),
            (
                "ads/123/query_name=campaign",
                "found \"123\", expected \"customer_id=\" as in SOURCE/customer_id=ID/",
            ),
            ("ads/customer=123/campaign/2024-06-01", "found \"customer=123\", expected "),
            ("ads/123/campaign/2024-06-31", "is not a date"),
            ("ads/../campaign", "customer_id \"..\""),
            ("/elsewhere/ads", "it starts with \"/\", outside the root"),
            ("ads/customer_id=1/../customer_id=2", "found \"..\", expected \"query_name=\""),
        ] {
            let error = Place::parse(path, "raw").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.message().contains(text), "{error}");
        }
    }

    #[test]
    fn prefix_and_key_fit_object_storage() {
        let long = |n: usize| "x".repeat(n);
        let key = PartitionKey::new(&long(255), &long(243), &long(244), "2024-06-01").unwrap();
        let run: RunId = long(200).parse().unwrap();
        let path = run_path(&key, &run, 0).unwrap();
        let room = MAX_KEY_BYTES - path.as_str().len() - "/payload.jsonl".len() - "/".len();
        assert!(run_path(&key, &run, room).is_ok());
        assert_eq!(run_path(&key, &run, room + 1).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn the_place_enclosing_a_selection_ends_at_the_first_open_component() {
        let name = |text: &str| Some(text.to_owned());
        let day = |text: &str| text.parse().ok();
        let around = |selection: &Selection| Place::enclosing(selection).to_string();
        let mut selection = Selection { query_name: name("q"), ..Selection::default() };
        assert_eq!(around(&selection), "");
        selection.source = name("ads");
        assert_eq!(around(&selection), "ads");
        selection.customer_id = name("1");
        assert_eq!(around(&selection), "ads/customer_id=1/query_name=q");
        selection.since = day("2024-06-01");
        assert_eq!(around(&selection), "ads/customer_id=1/query_name=q");
        selection.until = day("2024-06-02");
        assert_eq!(around(&selection), "ads/customer_id=1/query_name=q");
        selection.since = selection.until;
        let place = "ads/customer_id=1/query_name=q/logical_date=2024-06-02";
        assert_eq!(around(&selection), place);
        selection.source = None;
        assert_eq!(around(&selection), "");
    }

    #[test]
    fn a_place_may_hold_a_selection_unless_a_component_of_both_differs() {
        let name = |text: &str| Some(text.to_owned());
        let day = |text: &str| text.parse().ok();
        let wanted = Selection {
            customer_id: name("1"),
            since: day("2024-06-02"),
            until: day("2024-06-03"),
            ..Selection::default()
        };
        for (path, expected) in [
            ("", true),
            ("ads", true),
            ("ads/customer_id=1", true),
            ("ads/customer_id=2", false),
            ("ads/customer_id=1/query_name=q/logical_date=2024-06-01", false),
            ("ads/customer_id=1/query_name=q/logical_date=2024-06-02", true),
            ("ads/customer_id=1/query_name=q/logical_date=2024-06-03/run_id=r", true),
            ("ads/customer_id=1/query_name=q/logical_date=2024-06-04/run_id=r", false),
        ] {
            assert_eq!(Place::parse(path, "").unwrap().may_hold(&wanted), expected, "{path}");
        }
    }

    #[test]
    fn names_outside_the_layout_are_not_children() {
        let date = Place::parse("ads/customer_id=1/query_name=q", "").unwrap();
        assert!(date.child("logical_date=2024-02-30").is_none());
        assert!(date.child("date=2024-02-03").is_none());
        assert_eq!(
            date.child("logical_date=2024-02-03").unwrap().innermost(),
            Some((Level::Date, "2024-02-03"))
        );
    }
}
