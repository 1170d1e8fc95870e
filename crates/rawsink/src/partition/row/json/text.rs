//! The tokens of JSON: strings, numbers and words.

use super::{JsonFault, Scanned};
use crate::partition::row::hazard::{Hazard, Hazards};

/// A number of up to this many characters fits 64 bits, if it is an integer.
const SAFE_INTEGER_CHARACTERS: usize = 18;

/// A number of up to this many characters, without an exponent, fits a double.
const SAFE_CHARACTERS: usize = 300;

/// A text, the position in it, and what was found so far.
pub(super) struct Text<'t> {
    pub(super) bytes: &'t [u8],
    /// Index of the next byte.
    pub(super) at: usize,
    pub(super) hazards: Hazards,
}

impl<'t> Text<'t> {
    pub(super) fn new(bytes: &'t [u8]) -> Self {
        Self { bytes, at: 0, hazards: Hazards::default() }
    }

    /// Returns the next byte; NUL, which JSON allows nowhere, at the end.
    #[inline]
    pub(super) fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) fn fault(&self, reason: &'static str) -> JsonFault {
        JsonFault { at: self.at, reason }
    }

    pub(super) fn expected(&self, reason: &'static str, at_end: &'static str) -> JsonFault {
        self.fault(if self.is_at_end() { at_end } else { reason })
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        // Almost always there is none.
        while self.byte() <= b' ' && matches!(self.byte(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
    }

    /// Returns whether these bytes come next.
    #[inline]
    pub(super) fn continues_with(&self, bytes: &[u8]) -> bool {
        self.bytes[self.at..].starts_with(bytes)
    }

    pub(super) fn literal(&mut self, word: &'static [u8]) -> Scanned {
        for expected in word {
            if self.byte() != *expected {
                return Err(self.expected("expected a value", "the line ends inside a value"));
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Scans the rest of a string and its quotation mark. Returns whether it has escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Scanned<bool> {
        let mut has_escapes = false;
        loop {
            self.skip_plain();
            match self.byte() {
                b'"' => {
                    self.at += 1;
                    return Ok(has_escapes);
                }
                b'\\' => {
                    has_escapes = true;
                    self.escape()?;
                }
                _ => {
                    return Err(self.expected(
                        "a control character in a string",
                        "the line ends inside a string",
                    ));
                }
            }
        }
    }

    /// Skips bytes without a meaning in a string, eight at a time.
    #[inline]
    fn skip_plain(&mut self) {
        const ONES: u64 = u64::MAX / 255;
        const HIGH: u64 = ONES << 7;
        while let Some((chunk, _)) =
            self.bytes.get(self.at..).and_then(<[u8]>::split_first_chunk::<8>)
        {
            let chunk = u64::from_le_bytes(*chunk);
            let is_zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
            let is_control = chunk.wrapping_sub(ONES * 0x20) & !chunk;
            let found = (is_control
                | is_zero(chunk ^ (ONES * u64::from(b'"')))
                | is_zero(chunk ^ (ONES * u64::from(b'\\'))))
                & HIGH;
            if found != 0 {
                self.at += found.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while !matches!(self.byte(), b'"' | b'\\' | 0..0x20) {
            self.at += 1;
        }
    }

    /// Scans an escape; two that are a surrogate pair together.
    fn escape(&mut self) -> Scanned {
        let unit = self.escaped()?;
        match unit {
            Some(0xD800..=0xDBFF) => {
                let after = self.at;
                let is_pair = self.bytes[after..].starts_with(b"\\u") && {
                    let low = self.escaped()?;
                    matches!(low, Some(0xDC00..=0xDFFF))
                };
                if !is_pair {
                    self.at = after;
                    self.hazards.add(Hazard::LoneSurrogate);
                }
            }
            Some(0xDC00..=0xDFFF) => self.hazards.add(Hazard::LoneSurrogate),
            _ => {}
        }
        Ok(())
    }

    /// Scans one escape. Returns its code unit, if it is written in hexadecimal.
    fn escaped(&mut self) -> Scanned<Option<u16>> {
        self.at += 1;
        match self.byte() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.at += 1;
                Ok(None)
            }
            b'u' => {
                self.at += 1;
                let mut unit = 0;
                for _ in 0..4 {
                    let digit = char::from(self.byte())
                        .to_digit(16)
                        .and_then(|digit| u16::try_from(digit).ok());
                    let Some(digit) = digit else {
                        return Err(self.expected(
                            "expected four hexadecimal digits after \\u",
                            "the line ends inside a string",
                        ));
                    };
                    unit = unit << 4 | digit;
                    self.at += 1;
                }
                Ok(Some(unit))
            }
            _ => {
                Err(self.expected("an unknown escape in a string", "the line ends inside a string"))
            }
        }
    }

    #[inline]
    pub(super) fn number(&mut self) -> Scanned {
        let start = self.at;
        let mut is_integer = true;
        let mut has_exponent = false;
        if self.byte() == b'-' {
            self.at += 1;
        }
        if self.byte() == b'0' {
            self.at += 1;
            if self.byte().is_ascii_digit() {
                return Err(self.fault("a number starts with 0"));
            }
        } else {
            self.digits()?;
        }
        if self.byte() == b'.' {
            is_integer = false;
            self.at += 1;
            self.digits()?;
        }
        if let b'e' | b'E' = self.byte() {
            (is_integer, has_exponent) = (false, true);
            self.at += 1;
            if let b'+' | b'-' = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        let length = self.at - start;
        if has_exponent
            || length > SAFE_CHARACTERS
            || is_integer && length > SAFE_INTEGER_CHARACTERS
        {
            self.judge_number(start, is_integer);
        }
        Ok(())
    }

    #[inline]
    fn digits(&mut self) -> Scanned {
        let start = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.expected("expected a digit", "the line ends inside a number"));
        }
        Ok(())
    }

    fn judge_number(&mut self, start: usize, is_integer: bool) {
        let text = std::str::from_utf8(&self.bytes[start..self.at]).expect("a number is ASCII");
        if text.parse::<f64>().is_ok_and(f64::is_infinite) {
            self.hazards.add(Hazard::NumberOutOfRange);
        } else if is_integer && text.parse::<i64>().is_err() {
            self.hazards.add(Hazard::IntegerOutOfRange);
        }
    }
}
