//! The names of objects: which of one object are equal, or equal but for case.
//!
//! Most rows of an extract have the same names in the same order. So the names of earlier objects are
//! remembered, as a shape. The names of a shape are distinct. So an object whose names are those of its shape, in
//! its order and perhaps with gaps, has no name twice, and each name costs one comparison. The names of any other
//! object are sorted and compared at its end.
//!
//! Shapes are a tree like the objects: below each name, another shape. All objects of an array have one shape.

use std::{borrow::Cow, ops::Range};

use super::{Scanned, text::Text};
use crate::partition::row::hazard::Hazard;

/// How much is learned. Objects beyond it are checked without a shape, which is slower.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Names of one shape. With more, the names are taken for data.
    pub(super) names: usize,
    /// Shapes.
    pub(super) shapes: usize,
    /// Length of a name, in bytes.
    pub(super) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { names: 512, shapes: 1024, bytes: 64 }
    }
}

/// Number of names of all shapes together.
const ALL_NAMES: usize = 16 * 1024;

/// A larger list is freed after the row that needed it.
const KEPT: usize = 16 * 1024;

/// The shapes, and the names of the open objects.
#[derive(Debug, Default)]
pub(super) struct Names {
    limits: Limits,
    shapes: Vec<Shape>,
    /// Number of names that were learned.
    learned: usize,
    /// The open objects, the innermost last.
    open: Vec<OpenObject>,
    /// Their names, as ranges of the text.
    ranges: Vec<Range<usize>>,
}

/// The names of the objects at one place, in their usual order.
#[derive(Debug, Default)]
struct Shape {
    names: Vec<KnownName>,
    /// Whether two names differ only in case.
    has_similar_names: bool,
    /// Whether the names are data, so that none is expected.
    is_map: bool,
    /// The shape of the objects below names that are not expected.
    below: Option<usize>,
}

#[derive(Debug)]
struct KnownName {
    /// The name as in the text, which has no escapes, between quotation marks and with its colon.
    text: Box<[u8]>,
    /// The shape of the objects below it.
    below: Option<usize>,
}

/// The bytes around a name, unless white space is between.
const START: &[u8] = b"\"";
const END: &[u8] = b"\":";

impl KnownName {
    fn new(name: &[u8]) -> Self {
        Self { text: [START, name, END].concat().into(), below: None }
    }

    fn name(&self) -> &[u8] {
        &self.text[START.len()..self.text.len() - END.len()]
    }
}

#[derive(Debug)]
struct OpenObject {
    shape: Option<usize>,
    /// Index of its first name among the ranges.
    first_range: usize,
    /// Index of the expected name in the shape.
    next: usize,
    /// Index of the last name in the shape, if it is one of it.
    member: Option<usize>,
    /// Whether the names so far are names of the shape, in its order.
    is_as_expected: bool,
}

impl Names {
    #[cfg(test)]
    pub(super) fn with_limits(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Starts a text.
    pub(super) fn begin(&mut self) {
        self.open.clear();
        self.ranges.clear();
        self.open.shrink_to(KEPT);
        self.ranges.shrink_to(KEPT);
    }

    /// Enters an object that has names.
    pub(super) fn open_object(&mut self) {
        let shape = self.shape_here();
        let is_as_expected = shape.is_some_and(|shape| !self.shapes[shape].is_map);
        let first_range = self.ranges.len();
        self.open.push(OpenObject { shape, first_range, next: 0, member: None, is_as_expected });
    }

    /// Returns the shape of an object that opens here.
    fn shape_here(&mut self) -> Option<usize> {
        let new = self.shapes.len();
        let mut root = (new > 0).then_some(0);
        let slot = match self.open.last() {
            None => &mut root,
            Some(object) => {
                let shape = &mut self.shapes[object.shape?];
                match object.member {
                    Some(name) => &mut shape.names[name].below,
                    None => &mut shape.below,
                }
            }
        };
        if slot.is_none() && new < self.limits.shapes {
            *slot = Some(new);
            self.shapes.push(Shape::default());
            return Some(new);
        }
        *slot
    }

    /// Scans the expected name of the innermost object and its colon, if they come next.
    #[inline]
    pub(super) fn scan_expected(&mut self, text: &mut Text<'_>) -> bool {
        let Some(object) = self.open.last_mut().filter(|object| object.is_as_expected) else {
            return false;
        };
        let Some(shape) = object.shape else { return false };
        let Some(name) = self.shapes[shape].names.get(object.next) else { return false };
        if !text.continues_with(&name.text) {
            return false;
        }
        let start = text.at + START.len();
        text.at += name.text.len();
        self.ranges.push(start..text.at - END.len());
        (object.member, object.next) = (Some(object.next), object.next + 1);
        true
    }

    /// Scans any name of the innermost object, after its first quotation mark.
    pub(super) fn scan(&mut self, text: &mut Text<'_>) -> Scanned {
        let start = text.at;
        let has_escapes = text.string()?;
        let range = start..text.at - 1;
        self.ranges.push(range.clone());
        self.learn(&text.bytes[range], has_escapes);
        Ok(())
    }

    /// Finds a name that is not the expected one, or adds it to the shape.
    fn learn(&mut self, name: &[u8], has_escapes: bool) {
        let object = self.open.last_mut().expect("an object is open");
        object.member = None;
        let Some(shape) = object.shape.filter(|_| object.is_as_expected) else { return };
        let shape = &mut self.shapes[shape];
        let is_it = |known: &KnownName| known.name() == name;
        if let Some(gap) = shape.names[object.next..].iter().position(is_it) {
            let found = object.next + gap;
            (object.member, object.next) = (Some(found), found + 1);
            return;
        }
        let is_known = shape.names[..object.next].iter().any(is_it);
        if has_escapes || is_known || name.len() > self.limits.bytes || self.learned >= ALL_NAMES {
            object.is_as_expected = false;
        } else if shape.names.len() >= self.limits.names {
            *shape = Shape { is_map: true, below: shape.below, ..Shape::default() };
            object.is_as_expected = false;
        } else {
            shape.has_similar_names |=
                shape.names.iter().any(|known| is_similar(known.name(), name));
            shape.names.insert(object.next, KnownName::new(name));
            self.learned += 1;
            (object.member, object.next) = (Some(object.next), object.next + 1);
        }
    }

    /// Returns whether the innermost object has a name.
    pub(super) fn has(&self, text: &Text<'_>, name: &str) -> bool {
        let object = self.open.last().expect("an object is open");
        let mut names = self.ranges[object.first_range..].iter();
        names.any(|range| *decoded(&text.bytes[range.clone()]) == *name.as_bytes())
    }

    /// Leaves the innermost object, and compares its names unless its shape shows that they are distinct.
    #[inline]
    pub(super) fn close_object(&mut self, text: &mut Text<'_>) {
        let object = self.open.pop().expect("an object is open");
        let has_distinct_names =
            |shape: usize| object.is_as_expected && !self.shapes[shape].has_similar_names;
        if !object.shape.is_some_and(has_distinct_names) {
            compare(text, &self.ranges[object.first_range..]);
        }
        self.ranges.truncate(object.first_range);
    }
}

/// Adds a hazard if names are equal, or equal but for case.
fn compare(text: &mut Text<'_>, ranges: &[Range<usize>]) {
    let bytes = text.bytes;
    let mut names: Vec<_> = ranges.iter().map(|range| decoded(&bytes[range.clone()])).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < ranges.len() {
        text.hazards.add(Hazard::DuplicateNames);
    }
    let distinct = names.len();
    let mut names: Vec<_> = names.iter().map(|name| lower_case(name)).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < distinct {
        text.hazards.add(Hazard::NamesDifferInCase);
    }
}

fn is_similar(one: &[u8], other: &[u8]) -> bool {
    if one.is_ascii() && other.is_ascii() {
        one.eq_ignore_ascii_case(other)
    } else {
        lower_case(one) == lower_case(other)
    }
}

fn lower_case(name: &[u8]) -> Cow<'_, [u8]> {
    match std::str::from_utf8(name) {
        Ok(name) => Cow::Owned(name.to_lowercase().into_bytes()),
        // A lone surrogate has no case.
        Err(_) => Cow::Borrowed(name),
    }
}

/// Returns a name without its escapes. A lone surrogate becomes the three bytes that UTF-8 does not use.
fn decoded(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.contains(&b'\\') {
        return Cow::Borrowed(name);
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(name.len()), name);
    while let Some((first, after)) = rest.split_first() {
        if *first != b'\\' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let (unit, after) = code_unit(after);
        rest = after;
        let low =
            rest.strip_prefix(b"\\").filter(|_| matches!(unit, 0xD800..=0xDBFF)).map(code_unit);
        let code_point = match low {
            Some((low @ 0xDC00..=0xDFFF, after)) => {
                rest = after;
                0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
            }
            _ => unit,
        };
        match char::from_u32(code_point) {
            Some(character) => bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes()),
            None => bytes.extend(surrogate(code_point)),
        }
    }
    Cow::Owned(bytes)
}

/// Returns the code unit of an escape, after its backslash, and the rest.
fn code_unit(escape: &[u8]) -> (u32, &[u8]) {
    let Some((kind, rest)) = escape.split_first() else { return (0, escape) };
    let unit = match kind {
        b'u' => {
            let (digits, rest) = rest.split_at(rest.len().min(4));
            let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0);
            return (digits.iter().fold(0, |unit, byte| unit << 4 | digit(byte)), rest);
        }
        b'b' => 0x08,
        b'f' => 0x0C,
        b'n' => u32::from(b'\n'),
        b'r' => u32::from(b'\r'),
        b't' => u32::from(b'\t'),
        other => u32::from(*other),
    };
    (unit, rest)
}

/// Returns the bytes of a surrogate, by the rule of UTF-8.
fn surrogate(unit: u32) -> [u8; 3] {
    let low_bits = |bits: u32, mask: u32, mark: u8| mark | u8::try_from(bits & mask).unwrap_or(0);
    [low_bits(unit >> 12, 0x0F, 0xE0), low_bits(unit >> 6, 0x3F, 0x80), low_bits(unit, 0x3F, 0x80)]
}
