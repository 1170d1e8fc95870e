//! Hides secrets in the text of a server that received them.
//!
//! A server may return what it was sent: in a message, an error code, an id or a header, and encoded. So a
//! secret is found in upper and lower case, with percent-encoding, with the escapes of JSON and XML, broken
//! into lines, in base64 (also inside a longer text) and in hexadecimal digits.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

/// What is shown in place of a secret.
const HIDDEN: &str = "(hidden)";

/// A shorter secret may be part of a word, so it is hidden only where no letter or digit is beside it, and
/// only as it is. Length in bytes.
const SHORTEST: usize = 8;

/// Length of the longest text that is shown, in bytes.
const LONGEST: usize = 4000;

/// The secrets to hide. `Debug` does not print them.
#[derive(Clone)]
pub(crate) struct Hidden {
    forms: Vec<Form>,
}

/// A secret, or one of its encodings that change every character.
#[derive(Clone)]
struct Form {
    bytes: Vec<u8>,
    /// Whether it is hidden only where no letter or digit is beside it.
    is_word: bool,
}

impl Hidden {
    pub(crate) fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        Self { forms: secrets.into_iter().flat_map(forms).collect() }
    }

    /// Returns a text without the secrets, shortened if it is very long.
    pub(crate) fn in_text(&self, text: &str) -> String {
        let (mut shown, mut rest, mut before) = (String::new(), text, None::<char>);
        while let Some(next) = rest.chars().next() {
            if shown.len() >= LONGEST {
                shown.push_str("...");
                break;
            }
            let found =
                self.forms.iter().filter_map(|form| form.length_at_start(rest, before)).max();
            let (part, length) =
                found.map_or((None, next.len_utf8()), |length| (Some(HIDDEN), length));
            match part {
                Some(hidden) => shown.push_str(hidden),
                None => shown.push(next),
            }
            before = rest[..length].chars().next_back();
            rest = &rest[length..];
        }
        shown
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

impl Form {
    /// Returns how many bytes at the start of a text are this form. `before` is the character before the text.
    fn length_at_start(&self, text: &str, before: Option<char>) -> Option<usize> {
        let length = length_at_start(text, &self.bytes)?;
        let beside = [before, text.get(length..)?.chars().next()];
        let is_part = || beside.into_iter().flatten().any(char::is_alphanumeric);
        (!self.is_word || !is_part()).then_some(length)
    }
}

/// Returns a secret and its encodings. An empty one has none.
fn forms(secret: &str) -> Vec<Form> {
    let is_word = secret.len() < SHORTEST;
    let all = match secret {
        "" => Vec::new(),
        _ if is_word => vec![secret.as_bytes().to_vec()],
        _ => encodings(secret),
    };
    all.into_iter().map(|bytes| Form { bytes, is_word }).collect()
}

fn encodings(secret: &str) -> Vec<Vec<u8>> {
    let digits = secret.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    let whole = STANDARD_NO_PAD.encode(secret).into_bytes();
    let mut forms = vec![secret.as_bytes().to_vec(), digits, whole];
    // In a longer text the secret starts at one of three places of a group of four characters. Characters that
    // depend on its neighbours are left out.
    for (before, affected) in [(0, 0), (1, 2), (2, 3)] {
        let bytes = [&[0; 2][..before], secret.as_bytes()].concat();
        let mut encoded = STANDARD_NO_PAD.encode(&bytes).into_bytes();
        encoded.truncate(bytes.len() * 8 / 6);
        forms.push(encoded.split_off(affected));
    }
    forms
}

/// Returns how many bytes at the start of a text are a form of a secret.
fn length_at_start(text: &str, form: &[u8]) -> Option<usize> {
    let text = text.as_bytes();
    let mut at = 0;
    for byte in form {
        let folded = text[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if at > 0 && !byte.is_ascii_whitespace() {
            at += folded;
        }
        at += character(&text[at..], *byte)?;
    }
    Some(at)
}

/// Returns the length of the character at the start of a text, escaped or not, if it is this one.
fn character(text: &[u8], wanted: u8) -> Option<usize> {
    let same = |found: u8| normal(found) == normal(wanted);
    escaped(text)
        .filter(|(found, _)| same(*found))
        .map(|(_, length)| length)
        .or_else(|| text.first().filter(|found| same(**found)).map(|_| 1))
}

/// Returns a character without its case. Base64 in URLs has other characters for `+` and `/`.
fn normal(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => byte.to_ascii_lowercase(),
    }
}

/// Returns the byte that an escape at the start of a text stands for, and the length of the escape.
fn escaped(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [b'%', rest @ ..] => {
            // The percent sign may be encoded too, several times.
            let signs = rest.chunks_exact(2).take_while(|pair| *pair == b"25").count() * 2;
            let digits = rest.get(signs..signs + 2).and_then(|digits| number(digits, 16));
            let sign = || (signs > 0).then_some((b'%', 1 + signs));
            digits.map(|byte| (byte, 3 + signs)).or_else(sign)
        }
        [b'\\', b'u' | b'U', rest @ ..] => number(rest.get(..4)?, 16).map(|byte| (byte, 6)),
        [b'\\', b'x', rest @ ..] => number(rest.get(..2)?, 16).map(|byte| (byte, 4)),
        [b'\\', byte, ..] => Some((*byte, 2)),
        [b'&', rest @ ..] => {
            let name = &rest[..rest.iter().take(8).position(|byte| *byte == b';')?];
            let byte = match name {
                b"amp" => b'&',
                b"lt" => b'<',
                b"gt" => b'>',
                b"quot" => b'"',
                b"apos" => b'\'',
                [b'#', b'x' | b'X', digits @ ..] => number(digits, 16)?,
                [b'#', digits @ ..] => number(digits, 10)?,
                _ => return None,
            };
            Some((byte, name.len() + 2))
        }
        _ => None,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "IQoJb3JpZ2luX2VjE/cAnArY+tok==";

    fn hidden(text: &str) -> String {
        Hidden::new([TOKEN, "sEcReT/CaNaRy+key", "short", "user:p&ss\"wörd"]).in_text(text)
    }

    #[test]
    fn a_secret_is_hidden_in_each_form() {
        for form in [
            TOKEN,
            &TOKEN.to_lowercase(),
            &TOKEN.to_uppercase(),
            "IQoJb3JpZ2luX2VjE%2FcAnArY%2Btok%3D%3D",
            "iqojb3jpz2lux2vje%2fcanary%2btok%3d%3d",
            "IQoJb3JpZ2luX2VjE%252FcAnArY%25252Btok%253D%253D",
            r"IQoJb3JpZ2luX2VjE\/cAnArY\u002btok\x3d=",
            "IQoJb3JpZ2luX2VjE&#47;cAnArY&#x2B;tok&#61;=",
            "IQoJb3JpZ2luX2Vj\r\n E/cAnArY+tok==",
            "IQoJb3JpZ2luX2VjE_cAnArY-tok==",
            "user:p&ss\"wörd",
            "user:p&amp;ss&quot;w%C3%B6rd",
            r#"USER:p\u0026ss\"wörd"#,
        ] {
            assert_eq!(hidden(&format!("a {form}, b")), "a (hidden), b", "{form}");
        }
        let digits = TOKEN.bytes().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().concat();
        assert_eq!(hidden(&format!("<{digits}>")), "<(hidden)>");
    }

    #[test]
    fn a_secret_in_base64_is_hidden_inside_a_longer_text_too() {
        for before in ["", "a", "ab", "user:", "Credential="] {
            for after in ["", "/", "/2024"] {
                let encoded = STANDARD_NO_PAD.encode(format!("{before}{TOKEN}{after}"));
                let shown = hidden(&encoded);
                assert!(shown.contains("(hidden)") && shown.len() < 45, "{encoded}: {shown}");
                let shown = hidden(&encoded.replace('+', "-").replace('/', "_"));
                assert!(shown.contains("(hidden)") && shown.len() < 45, "{encoded}: {shown}");
            }
        }
    }

    #[test]
    fn a_short_secret_is_hidden_as_a_word() {
        assert_eq!(hidden("\"short\": SHORT, shorter"), "\"(hidden)\": (hidden), shorter");
        assert_eq!(
            Hidden::new(["", "canary-key", "canary-key-of"]).in_text("canary-key-of"),
            HIDDEN
        );
    }

    #[test]
    fn other_text_is_unchanged() {
        for text in [
            "shorter, ashort or short2",
            "IQoJb3JpZ2luX2VjE/cAnArY+to",
            "100 % of a\\b & c&d; ümlaut %zz %e \\u00 &#; &#x110000; \u{202e}",
            "",
            "%25%25 %",
        ] {
            assert_eq!(hidden(text), text);
        }
        assert_eq!(Hidden::new([]).in_text(TOKEN), TOKEN);
        assert!(!format!("{:?}", Hidden::new([TOKEN])).contains("tok"));
    }

    #[test]
    fn a_very_long_text_is_shortened_and_shows_no_part_of_a_secret() {
        let text = format!("{}{TOKEN}{TOKEN}", "x".repeat(LONGEST - 3));
        let shown = hidden(&text);
        assert!(shown.ends_with("x(hidden)..."), "{}", &shown[LONGEST - 20..]);
        assert_eq!(hidden(&"ü".repeat(5000)).len(), LONGEST + 3);
    }
}
