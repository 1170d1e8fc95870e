//! A file of variables, `NAME=VALUE` a line, as `systemd` and `sh` read it.

/// Reads the variables of a file; nothing is expanded.
///
/// Empty lines and lines that start with `#` or `;` are left out, as is `export` before a name. A
/// value may be in single or double quotes, or be put together from several such pieces; in double
/// quotes and without quotes a backslash takes the next character as it is.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let wrong = |what: &str| format!("line {}: {what}", number + 1);
        let (name, value) = line.split_once('=').ok_or_else(|| wrong("no NAME=VALUE"))?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(wrong("the name is no variable's"));
        }
        found.push((name.to_owned(), unquoted(value).map_err(|what| wrong(&what))?));
    }
    Ok(found)
}

fn unquoted(text: &str) -> Result<String, String> {
    let (mut value, mut quote) = (String::new(), None);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None | Some('"'), '\\') => {
                value.push(rest.next().ok_or("a backslash at the end")?);
            }
            (None, ' ' | '\t') => return Err("a space in a value without quotes".to_owned()),
            (_, c) => value.push(c),
        }
    }
    if quote.is_some() { Err("a quote is not closed".to_owned()) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn values_are_what_sh_would_make_of_them() {
        let text = "# made by a tool\n; too\n\nA='x y#z'\n  export B=plain\nC=\nD='it'\\''s'\n\
                    E=\"a\\\"b\\\\c\"\nF='$HOME \\n'\"-\"z\r\n";
        let found = parse(text).unwrap();
        let found: Vec<_> =
            found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("A", "x y#z"),
            ("B", "plain"),
            ("C", ""),
            ("D", "it's"),
            ("E", "a\"b\\c"),
            ("F", "$HOME \\n-z"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_never_with_its_value() {
        for (text, says) in [
            ("A=1\nsecret", "line 2: no NAME=VALUE"),
            ("A-B=secret", "line 1: the name is no variable's"),
            ("A='secret", "line 1: a quote is not closed"),
            ("A=secret\\", "line 1: a backslash at the end"),
            ("A=secret word", "line 1: a space in a value without quotes"),
        ] {
            assert_eq!(parse(text).unwrap_err(), says);
        }
    }
}
