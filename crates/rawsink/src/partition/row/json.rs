//! Checks that a text is one JSON value ([RFC 8259](https://www.rfc-editor.org/rfc/rfc8259)), in one pass, and
//! finds its hazards.
//!
//! Nesting is limited by memory only: what is open is in a list, not on the stack.

mod names;
mod text;

use self::{names::Names, text::Text};
use super::hazard::{DEEP_LEVELS, Hazard, Hazards};

/// A larger list is freed after the row that needed it.
const KEPT_LEVELS: usize = 64 * 1024;

/// Why a text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct JsonFault {
    /// Index of the first byte that is not allowed; the length of the text if it ends too early.
    pub(super) at: usize,
    /// The reason, such as `expected a value`.
    pub(super) reason: &'static str,
}

type Scanned<T = ()> = Result<T, JsonFault>;

/// Checks texts. It learns from each which names to expect in the next.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// The open objects and arrays, the innermost last.
    open: Vec<Container>,
    names: Names,
    /// Names that the outermost object must have.
    required: Vec<String>,
    /// The first of them that the last text lacks.
    missing: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

impl Scanner {
    #[cfg(test)]
    pub(super) fn with_limits(most_names: usize, shapes: usize) -> Self {
        let limits = names::Limits { names: most_names, shapes, ..names::Limits::default() };
        Self { names: Names::with_limits(limits), ..Self::default() }
    }

    /// Requires a name of the outermost object.
    pub(super) fn require(&mut self, name: &str) {
        self.required.push(name.to_owned());
    }

    /// Returns the required name that the last text lacks, if its value is an object.
    pub(super) fn missing_member(&self) -> Option<&str> {
        self.missing.map(|missing| self.required[missing].as_str())
    }

    /// Checks a text.
    ///
    /// # Errors
    /// The first byte that is not JSON.
    pub(super) fn scan(&mut self, text: &str) -> Scanned<Hazards> {
        self.open.clear();
        self.open.shrink_to(KEPT_LEVELS);
        self.names.begin();
        // So for an object without names. The end of the outermost object with names replaces it.
        self.missing = (!self.required.is_empty()).then_some(0);
        let mut text = Text::new(text.as_bytes());
        loop {
            self.value(&mut text)?;
            if self.after_value(&mut text)? {
                return Ok(text.hazards);
            }
        }
    }

    /// Scans a scalar or an empty object or array, and all that opens before it.
    #[inline]
    fn value(&mut self, text: &mut Text<'_>) -> Scanned {
        loop {
            text.skip_space();
            match text.byte() {
                b'"' => {
                    text.at += 1;
                    return text.string().map(drop);
                }
                b'-' | b'0'..=b'9' => return text.number(),
                b'{' => {
                    if self.enter(text, b'}') {
                        return Ok(());
                    }
                    self.open.push(Container::Object);
                    self.names.open_object();
                    self.name(text)?;
                }
                b'[' => {
                    if self.enter(text, b']') {
                        return Ok(());
                    }
                    self.open.push(Container::Array);
                }
                b't' => return text.literal(b"true"),
                b'f' => return text.literal(b"false"),
                b'n' => return text.literal(b"null"),
                _ => return Err(text.expected("expected a value", self.ends_inside())),
            }
        }
    }

    /// Scans the first bracket of an object or array. Returns whether the last one follows.
    #[inline]
    fn enter(&self, text: &mut Text<'_>, last: u8) -> bool {
        if self.open.len() >= DEEP_LEVELS {
            text.hazards.add(Hazard::DeepNesting);
        }
        text.at += 1;
        text.skip_space();
        let is_empty = text.byte() == last;
        text.at += usize::from(is_empty);
        is_empty
    }

    /// Scans what follows a value, up to the next one. Returns whether the text ends here.
    #[inline]
    fn after_value(&mut self, text: &mut Text<'_>) -> Scanned<bool> {
        loop {
            text.skip_space();
            let Some(container) = self.open.last() else {
                return if text.is_at_end() {
                    Ok(true)
                } else {
                    Err(text.fault("trailing characters"))
                };
            };
            match (text.byte(), container) {
                (b',', Container::Object) => {
                    text.at += 1;
                    text.skip_space();
                    if self.names.scan_expected(text) {
                        return Ok(false);
                    }
                    if text.byte() == b'}' {
                        return Err(text.fault("trailing comma"));
                    }
                    return self.name(text).map(|()| false);
                }
                (b',', Container::Array) => {
                    text.at += 1;
                    text.skip_space();
                    if text.byte() == b']' {
                        return Err(text.fault("trailing comma"));
                    }
                    return Ok(false);
                }
                (b'}', Container::Object) => self.close_object(text),
                (b']', Container::Array) => {}
                (_, Container::Object) => {
                    return Err(text.expected("expected a comma or }", self.ends_inside()));
                }
                (_, Container::Array) => {
                    return Err(text.expected("expected a comma or ]", self.ends_inside()));
                }
            }
            self.open.pop();
            text.at += 1;
        }
    }

    fn ends_inside(&self) -> &'static str {
        match self.open.last() {
            None => "the line ends inside a value",
            Some(Container::Object) => "the line ends inside an object",
            Some(Container::Array) => "the line ends inside an array",
        }
    }

    /// Scans a name and the colon after it.
    fn name(&mut self, text: &mut Text<'_>) -> Scanned {
        if self.names.scan_expected(text) {
            return Ok(());
        }
        if text.byte() != b'"' {
            let reason = "expected a name in quotation marks";
            return Err(text.expected(reason, self.ends_inside()));
        }
        text.at += 1;
        self.names.scan(text)?;
        text.skip_space();
        if text.byte() != b':' {
            return Err(text.expected("expected a colon", self.ends_inside()));
        }
        text.at += 1;
        Ok(())
    }

    #[inline]
    fn close_object(&mut self, text: &mut Text<'_>) {
        if !self.required.is_empty() && self.open.len() == 1 {
            let has = |name: &String| self.names.has(text, name);
            self.missing = self.required.iter().position(|name| !has(name));
        }
        self.names.close_object(text);
    }
}
