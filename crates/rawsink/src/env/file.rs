//! Parses a file of `NAME=VALUE` lines, as `systemd` and `sh` do.

/// Parses the variables of a file, without expansion.
///
/// Skips empty lines, lines that start with `#` or `;`, and `export` before a name. A value consists
/// of one or more pieces in single quotes, double quotes or no quotes. A backslash escapes the next
/// character, except in single quotes.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let wrong = |what: &str| format!("line {}: {what}", number + 1);
        let (name, value) = line.split_once('=').ok_or_else(|| wrong("expected NAME=VALUE"))?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return Err(wrong("invalid variable name"));
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
                value.push(rest.next().ok_or("the value ends with a backslash")?);
            }
            (None, ' ' | '\t') => return Err("the value has a space and no quotes".to_owned()),
            (_, c) => value.push(c),
        }
    }
    if quote.is_some() { Err("the value has an unclosed quote".to_owned()) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn values_are_parsed_as_by_sh() {
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
    fn errors_name_the_line_and_never_show_the_value() {
        for (text, message) in [
            ("A=1\nsecret", "line 2: expected NAME=VALUE"),
            ("A-B=secret", "line 1: invalid variable name"),
            ("A='secret", "line 1: the value has an unclosed quote"),
            ("A=secret\\", "line 1: the value ends with a backslash"),
            ("A=secret word", "line 1: the value has a space and no quotes"),
        ] {
            assert_eq!(parse(text).unwrap_err(), message);
        }
    }
}
