//! The types that a table needs so that it holds every value of some rows.
//!
//! Readers guess types from the first rows: a column that appears later is lost, and text that looks
//! like a number or a date becomes one. A [`Shape`] takes all rows, and never converts text.
//!
//! ```
//! use rawsink_ops::shape::Shape;
//!
//! let mut shape = Shape::default();
//! shape.add(br#"{"id": "007", "clicks": 1}"#)?;
//! shape.add(br#"{"id": "008", "clicks": 2.5, "late": true}"#)?;
//! let text = serde_json::to_string(&shape).unwrap();
//! assert_eq!(text, r#"{"object":[["id","text"],["clicks","float"],["late","bool"]]}"#);
//! # Ok::<(), rawsink::Error>(())
//! ```

use std::borrow::Cow;

use indexmap::IndexMap;
use rawsink::Error;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Largest integer up to which every integer is a double-precision number.
const LARGEST_EXACT: u64 = 1 << 53;

/// Most members of an object below a row that are members of a type. One with more is a dictionary: its
/// names are data.
const MOST_MEMBERS: usize = 500;

/// Deepest nesting of a type. Below it, values stay text.
const MOST_LEVELS: usize = 64;

/// The type of all values at one place.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Nothing, or `null` alone.
    #[default]
    Null,
    /// `true` and `false`.
    Bool,
    /// Integers that are exact as double-precision numbers too.
    Integer,
    /// Integers of 64 bits.
    Long,
    /// Double-precision numbers.
    Float,
    /// Text.
    Text,
    /// Arrays.
    List(Box<Shape>),
    /// Objects, in the order in which their members appeared.
    Object(Members),
    /// Values that no other type holds together: their JSON text.
    Json,
}

/// The members of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<(String, Shape)>", from = "Vec<(String, Shape)>")]
pub struct Members(IndexMap<String, Shape>);

impl From<Vec<(String, Shape)>> for Members {
    fn from(members: Vec<(String, Shape)>) -> Self {
        Self(members.into_iter().collect())
    }
}

impl From<Members> for Vec<(String, Shape)> {
    fn from(members: Members) -> Self {
        members.0.into_iter().collect()
    }
}

impl Shape {
    /// Takes one row.
    ///
    /// # Errors
    /// `Invalid` if it is not JSON, or the name of a member has a lone surrogate, which no column can have.
    pub fn add(&mut self, row: &[u8]) -> rawsink::Result<()> {
        let row = serde_json::from_slice::<&RawValue>(row)
            .map_err(|error| Error::invalid(format!("not JSON: {error}")))?;
        self.value(row, 0).map_err(|_| {
            Error::invalid("the name of a member has a lone surrogate, so it cannot be a column")
        })
    }

    fn value(&mut self, value: &RawValue, level: usize) -> serde_json::Result<()> {
        let text = value.get();
        match text.as_bytes()[0] {
            b'n' => {}
            b't' | b'f' => self.join(&Self::Bool),
            b'"' => self.join(&Self::of_text(text)),
            b'[' => return self.items(text, level + 1),
            b'{' => return self.members(text, level + 1),
            _ => self.join(&Self::of_number(text)),
        }
        Ok(())
    }

    /// A text with a lone surrogate has no characters, so it stays JSON.
    fn of_text(text: &str) -> Self {
        let is_text = !text.contains("\\u") || serde_json::from_str::<String>(text).is_ok();
        if is_text { Self::Text } else { Self::Json }
    }

    fn of_number(text: &str) -> Self {
        if text.contains(['.', 'e', 'E']) {
            return Self::Float;
        }
        match text.parse::<i64>() {
            Ok(number) if number.unsigned_abs() <= LARGEST_EXACT => Self::Integer,
            Ok(_) => Self::Long,
            Err(_) => Self::Json,
        }
    }

    fn items(&mut self, text: &str, level: usize) -> serde_json::Result<()> {
        if level > MOST_LEVELS {
            *self = Self::Json;
        }
        self.join(&Self::List(Box::default()));
        let Self::List(shape) = self else { return Ok(()) };
        for item in serde_json::from_str::<Vec<&RawValue>>(text)? {
            shape.value(item, level)?;
        }
        Ok(())
    }

    fn members(&mut self, text: &str, level: usize) -> serde_json::Result<()> {
        if level > MOST_LEVELS {
            *self = Self::Json;
        }
        self.join(&Self::Object(Members::default()));
        let Self::Object(Members(shapes)) = self else { return Ok(()) };
        let pairs = match serde_json::from_str::<Pairs<'_>>(text) {
            Ok(Pairs(pairs)) => pairs,
            // A name has a lone surrogate.
            Err(error) if level == 1 => return Err(error),
            Err(_) => {
                *self = Self::Json;
                return Ok(());
            }
        };
        for (Name(name), value) in pairs {
            match shapes.get_mut(name.as_ref()) {
                Some(shape) => shape.value(value, level)?,
                None => shapes.entry(name.into_owned()).or_default().value(value, level)?,
            }
        }
        if level > 1 && shapes.len() > MOST_MEMBERS {
            *self = Self::Json;
        }
        Ok(())
    }

    /// Makes this the type of values of both types.
    pub fn join(&mut self, other: &Self) {
        self.join_at(other, 0);
    }

    fn join_at(&mut self, other: &Self, level: usize) {
        match (&mut *self, other) {
            (_, Self::Null) | (Self::Json, _) | (Self::Long | Self::Float, Self::Integer) => {}
            (Self::Null, _) | (Self::Integer, Self::Long | Self::Float) => *self = other.clone(),
            (Self::List(one), Self::List(two)) => one.join_at(two, level + 1),
            (Self::Object(Members(one)), Self::Object(Members(two))) => {
                for (name, shape) in two {
                    match one.get_mut(name) {
                        Some(known) => known.join_at(shape, level + 1),
                        None => drop(one.insert(name.clone(), shape.clone())),
                    }
                }
                if level > 0 && one.len() > MOST_MEMBERS {
                    *self = Self::Json;
                }
            }
            (one, two) if one == two => {}
            _ => *self = Self::Json,
        }
    }
}

/// The members of an object as they stand.
#[derive(Deserialize)]
struct Pairs<'a>(#[serde(borrow)] IndexMap<Name<'a>, &'a RawValue>);

/// A name, borrowed if it has no escapes.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape_of(rows: &[&str]) -> String {
        let mut shape = Shape::default();
        for row in rows {
            shape.add(row.as_bytes()).unwrap();
        }
        serde_json::to_string(&shape).unwrap()
    }

    #[test]
    fn a_column_of_a_late_row_is_kept() {
        let found = shape_of(&[r#"{"a":null}"#, r#"{"b":{"c":[1]}}"#, r#"{"b":{"d":true}}"#]);
        let expected =
            r#"{"object":[["a","null"],["b",{"object":[["c",{"list":"integer"}],["d","bool"]]}]]}"#;
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_keep_their_digits() {
        let column = |values: &[&str]| {
            let rows: Vec<String> =
                values.iter().map(|value| format!(r#"{{"n":{value}}}"#)).collect();
            shape_of(&rows.iter().map(String::as_str).collect::<Vec<_>>())
        };
        for (values, expected) in [
            (&["1", "-9007199254740992"][..], "integer"),
            (&["1", "9007199254740993"], "long"),
            (&["1", "0.5"], "float"),
            (&["1e300", "2"], "float"),
            (&["9007199254740993", "0.5"], "json"),
            (&["9223372036854775808"], "json"),
            (&["1", "\"1\""], "json"),
            (&["true", "1"], "json"),
            (&["null", "\"2024-06-01\""], "text"),
        ] {
            assert_eq!(column(values), format!(r#"{{"object":[["n","{expected}"]]}}"#));
        }
    }

    #[test]
    fn an_object_whose_names_are_data_stays_text() {
        let many: Vec<String> = (0..=MOST_MEMBERS).map(|n| format!("\"{n}\":1")).collect();
        let row = format!(r#"{{"known":1,"by_id":{{{}}}}}"#, many.join(","));
        assert_eq!(shape_of(&[&row]), r#"{"object":[["known","integer"],["by_id","json"]]}"#);
    }

    #[test]
    fn deep_nesting_stays_text() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let found = shape_of(&[&format!(r#"{{"deep":{deep}}}"#)]);
        assert!(found.contains("json"), "{found}");
    }

    #[test]
    fn lone_surrogates_stay_json() {
        let found =
            shape_of(&[r#"{"a":"x","b":{"\ud800":1},"c":"\ud83d\ude00"}"#, r#"{"a":"\udc00"}"#]);
        assert_eq!(found, r#"{"object":[["a","json"],["b","json"],["c","text"]]}"#);
        let error = Shape::default().add(br#"{"\ud800":1}"#).unwrap_err();
        assert!(error.to_string().contains("lone surrogate"), "{error}");
    }

    #[test]
    fn a_row_that_is_not_json_is_an_error() {
        let error = Shape::default().add(b"{\"a\":}").unwrap_err();
        assert!(error.to_string().contains("not JSON"), "{error}");
    }

    proptest! {
        /// Rows may be divided among machines.
        #[test]
        fn shapes_of_parts_join_to_that_of_the_whole(
            rows in prop::collection::vec("\\{\"[ab]\":(1|0\\.5|\"t\"|null|\\[1\\]|\\{\"c\":(1|true)\\})\\}", 0..8),
            cut in 0..8_usize,
        ) {
            let (mut whole, mut first, mut second) = <(Shape, Shape, Shape)>::default();
            for (number, row) in rows.iter().enumerate() {
                whole.add(row.as_bytes()).unwrap();
                if number < cut { &mut first } else { &mut second }.add(row.as_bytes()).unwrap();
            }
            first.join(&second);
            prop_assert_eq!(first, whole);
        }

        #[test]
        fn a_shape_survives_its_text(
            rows in prop::collection::vec("\\{\"[ab]\":(1|0\\.5|\"t\"|null|\\[1\\])\\}", 0..5),
        ) {
            let mut shape = Shape::default();
            for row in &rows {
                shape.add(row.as_bytes()).unwrap();
            }
            let text = serde_json::to_string(&shape).unwrap();
            prop_assert_eq!(serde_json::from_str::<Shape>(&text).unwrap(), shape);
        }
    }
}
