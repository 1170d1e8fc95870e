//! How a command line selects many logical partitions: a path and options.

use clap::Args;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rawsink::{Clock, Error, LogicalDate, SystemClock, layout::Place, partition::Selection};

use crate::{
    complete,
    context::Context,
    exit::Failure,
    partition,
    shell::{path_argument, quoted},
};

/// Selects logical partitions by path and options.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Canonical path at any level; empty selects everything
    #[arg(default_value = "", hide_default_value = true, add = complete::paths())]
    path: String,

    #[command(flatten)]
    components: ComponentArgs,
}

/// Selects by components that the path does not name.
#[derive(Debug, Args)]
pub(crate) struct ComponentArgs {
    /// Only this customer
    #[arg(long, value_name = "ID")]
    customer: Option<String>,

    /// Only this query
    #[arg(long, value_name = "NAME")]
    query: Option<String>,

    /// Only this reporting day and later ones: YYYY-MM-DD, `today`, `yesterday` or `-7d` (UTC)
    #[arg(long, value_name = "DAY", allow_hyphen_values = true, value_parser = parse_day)]
    since: Option<LogicalDate>,

    /// Only this reporting day and earlier ones
    #[arg(long, value_name = "DAY", allow_hyphen_values = true, value_parser = parse_day)]
    until: Option<LogicalDate>,
}

/// Parses a day, which may be relative to today in UTC.
pub(crate) fn parse_day(text: &str) -> rawsink::Result<LogicalDate> {
    day_at(text, SystemClock.now())
}

/// Returns the day that a text names at a time.
pub(crate) fn day_at(text: &str, now: Timestamp) -> rawsink::Result<LogicalDate> {
    let ago = match text {
        "today" => Some(0),
        "yesterday" => Some(1),
        _ => text.strip_prefix('-').and_then(|rest| rest.strip_suffix('d')?.parse::<u32>().ok()),
    };
    let Some(ago) = ago else { return text.parse() };
    let today = TimeZone::UTC.to_datetime(now).date();
    today.saturating_sub(i64::from(ago).days()).to_string().parse()
}

impl FilterArgs {
    /// Returns the selection.
    ///
    /// `Invalid` if path and options name the same level, or the path names a run.
    pub(crate) fn selection(&self, context: &Context<'_>) -> Result<Selection, Failure> {
        self.components.selection(&self.path, context)
    }

    /// Returns the place that the path names, possibly a run, and the selection.
    ///
    /// `Invalid` if path and options name the same level.
    pub(crate) fn place_and_selection(
        &self,
        context: &Context<'_>,
    ) -> Result<(Place, Selection), Failure> {
        let place = partition::parse(&self.path, context)?;
        let selection = self.components.below(&place)?;
        Ok((place, selection))
    }
}

impl ComponentArgs {
    /// Reports whether no option is given.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { customer, query, since, until } = self;
        customer.is_none() && query.is_none() && since.is_none() && until.is_none()
    }

    /// Returns the selection below a canonical path, as [`FilterArgs::selection`].
    pub(crate) fn selection(
        &self,
        prefix: &str,
        context: &Context<'_>,
    ) -> Result<Selection, Failure> {
        self.below(&partition::parse_prefix(prefix, context)?)
    }

    fn below(&self, place: &Place) -> Result<Selection, Failure> {
        let mut values = place.values().map(str::to_owned);
        let source = values.next();
        let customer_id = either(values.next(), self.customer.clone(), "--customer")?;
        let query_name = either(values.next(), self.query.clone(), "--query")?;
        let day = values.next().map(|day| day.parse()).transpose()?;
        Ok(Selection {
            source,
            customer_id,
            query_name,
            since: either(day, self.since, "--since")?,
            until: either(day, self.until, "--until")?,
        })
    }
}

/// Returns the quoted arguments that select the same logical partitions on another day too.
pub(crate) fn arguments(selection: &Selection) -> Vec<String> {
    let place = Place::enclosing(selection);
    let depth = place.values().count();
    let mut words = Vec::new();
    if depth > 0 {
        words.push(path_argument(&place));
    }
    let day = |day: Option<LogicalDate>| day.map(|day| day.to_string());
    for (level, option, value) in [
        (1, "--customer", selection.customer_id.clone()),
        (2, "--query", selection.query_name.clone()),
        (3, "--since", day(selection.since)),
        (3, "--until", day(selection.until)),
    ] {
        if let Some(value) = value.filter(|_| level >= depth) {
            words.push(format!("{option}={}", quoted(&value)));
        }
    }
    words
}

/// Returns the component that either the path or the option names.
fn either<T>(named: Option<T>, option: Option<T>, name: &str) -> Result<Option<T>, Failure> {
    if named.is_some() && option.is_some() {
        let message = format!("the path already names this level; remove {name}");
        return Err(Error::invalid(message).into());
    }
    Ok(named.or(option))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rawsink::{layout::Place, partition::Selection};

    use super::{FilterArgs, arguments, day_at};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        filter: FilterArgs,
    }

    #[test]
    fn the_arguments_of_a_selection_select_the_same() {
        let name = |is_given: bool, text: &str| is_given.then(|| text.to_owned());
        let day = |is_given: bool, text: &str| is_given.then(|| text.parse().unwrap());
        for given in 0..32_u8 {
            let has = |bit: u8| given & (1 << bit) != 0;
            for until in ["2024-06-01", "2024-06-02"] {
                let selection = Selection {
                    source: name(has(0), "ads"),
                    customer_id: name(has(1), "-1"),
                    query_name: name(has(2), "q"),
                    since: day(has(3), "2024-06-01"),
                    until: day(has(4), until),
                };
                let words = arguments(&selection);
                let line =
                    Line::try_parse_from([vec!["rawsink".to_owned()], words.clone()].concat());
                let filter = line.unwrap().filter;
                let place = Place::parse(&filter.path, "").unwrap();
                assert_eq!(filter.components.below(&place).unwrap(), selection, "{words:?}");
            }
        }
        assert_eq!(arguments(&Selection::default()), [""; 0]);
    }

    #[test]
    fn a_day_may_be_relative_to_today() {
        let now = "2024-03-01T00:30:00Z".parse().unwrap();
        for (text, day) in [
            ("2024-02-03", "2024-02-03"),
            ("today", "2024-03-01"),
            ("yesterday", "2024-02-29"),
            ("-7d", "2024-02-23"),
            ("-0d", "2024-03-01"),
        ] {
            assert_eq!(day_at(text, now).unwrap().to_string(), day, "{text}");
        }
        for text in ["-7", "7d", "-d", "--7d", "Today", ""] {
            assert!(day_at(text, now).is_err(), "{text:?}");
        }
    }
}
