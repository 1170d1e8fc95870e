//! Paths, prefixes and URLs are literal: nothing expands, unquotes or trims them.
//!
//! A value that a shell would have changed, or that a file with Windows line ends spoilt, would store the
//! data elsewhere. So it is refused. No fault shows the value, which may contain a password.

/// Checks a path or prefix.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_path(text: &str) -> Result<(), String> {
    check(text)?;
    let is_variable = |part: &str| {
        let name = part.strip_prefix('$').unwrap_or_default();
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
    };
    let fault = if text.starts_with('~') {
        "starts with ~, which is not expanded"
    } else if text.contains("${") || text.contains("$(") || text.split('/').any(is_variable) {
        "contains $, which is not expanded"
    } else if text.contains("{{")
        || text.contains("}}")
        || (text.contains('<') && text.contains('>'))
    {
        "contains a placeholder, which is not filled in"
    } else if text
        .split('/')
        .any(|part| part.len() > 2 && part.starts_with('%') && part.ends_with('%'))
    {
        "contains a variable of Windows, which is not expanded"
    } else if text.get(1..).is_some_and(|rest| rest.starts_with(":\\")) {
        "is a path of Windows"
    } else if text.ends_with([';', ',']) {
        "ends with a separator, which would be part of the value"
    } else if text.starts_with("file:")
        || text.split_once(":/").is_some_and(|(it, _)| is_scheme(it))
    {
        "is a URL, not a path"
    } else {
        return Ok(());
    };
    Err(fault.to_owned())
}

/// Checks any text.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let quotes = ['"', '\'', '`', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}'];
    let fault = if text.ends_with('\r') {
        "ends with a carriage return: its file has Windows line ends"
    } else if text.contains(char::is_control) {
        "contains a control character"
    } else if text.starts_with('\u{feff}') {
        "starts with a byte order mark: its file was saved by a Windows program"
    } else if text.trim() != text {
        "starts or ends with white space"
    } else if text.starts_with(quotes) || text.ends_with(quotes) {
        "starts or ends with a quotation mark, which would be part of the value"
    } else {
        return Ok(());
    };
    Err(fault.to_owned())
}

/// Returns whether a text is the scheme of a URL.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|one| one.is_ascii_alphanumeric() || matches!(one, '+' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_change_is_refused() {
        for (text, part) in [
            ("/srv/raw\r", "carriage return"),
            ("/srv/\nraw", "control character"),
            ("/srv/raw\0", "control character"),
            (" /srv/raw", "white space"),
            ("/srv/raw\u{a0}", "white space"),
            ("\"/srv/raw\"", "quotation mark"),
            ("'/srv/raw'", "quotation mark"),
            ("/srv/raw\"", "quotation mark"),
            ("~/raw", "~"),
            ("~me/raw", "~"),
            ("$HOME/raw", "$"),
            ("/srv/$NAME/raw", "$"),
            ("/srv/x-${NAME}", "$"),
            ("/srv/$(date)", "$"),
            ("s3://landing/raw", "URL"),
            ("file:///srv/raw", "URL"),
            ("file:/srv/raw", "URL"),
            ("postgres://me:canary@host/db", "URL"),
            ("s3:/landing/raw", "URL"),
            ("<root>", "placeholder"),
            ("/srv/{{ root }}", "placeholder"),
            ("%HOME%/raw", "Windows"),
            ("C:\\raw", "Windows"),
            ("/srv/raw;", "separator"),
            ("\u{201c}/srv/raw\u{201d}", "quotation mark"),
            ("\u{feff}/srv/raw", "byte order mark"),
        ] {
            let fault = check_path(text).unwrap_err();
            assert!(fault.contains(part), "{text:?}: {fault}");
            assert!(!fault.contains("canary"), "{fault}");
        }
    }

    #[test]
    fn unusual_names_are_no_faults() {
        for text in [
            "data/raw",
            "/srv/o'neil",
            "/srv/a b",
            "./~",
            "/srv/5$",
            "/srv/US$ 5",
            "/srv/a $b",
            "/a:b",
            "a:b/c",
            "/srv/100%",
            "/srv/x<3",
            "/srv/a;b",
            "/srv/{a}",
            "/srv/a\\b",
            "/srv/ümlaut",
        ] {
            assert_eq!(check_path(text), Ok(()), "{text:?}");
        }
        assert_eq!(check("https://s3.example.org"), Ok(()));
    }
}
