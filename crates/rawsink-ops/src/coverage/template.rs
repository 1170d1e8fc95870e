//! The command that extracts a partition, with placeholders for its names.
//!
//! Names come from other software, so each is one quoted word of the shell, and nothing in it is replaced
//! again.

use crate::shell::quoted;
use rawsink::{
    error::{Error, Result},
    partition::PartitionKey,
};

/// What ends a command, or sends its output elsewhere.
const OPERATORS: &str = "|&;<>()\n";

/// A command with the placeholders `{source}`, `{customer_id}`, `{query_name}` and `{logical_date}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandTemplate(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(Name),
}

/// A placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Source,
    Customer,
    Query,
    Day,
}

impl Name {
    const ALL: [Self; 4] = [Self::Source, Self::Customer, Self::Query, Self::Day];

    fn written(self) -> &'static str {
        match self {
            Self::Source => "{source}",
            Self::Customer => "{customer_id}",
            Self::Query => "{query_name}",
            Self::Day => "{logical_date}",
        }
    }

    fn of(self, key: &PartitionKey) -> String {
        match self {
            Self::Source => key.source().to_owned(),
            Self::Customer => key.customer_id().to_owned(),
            Self::Query => key.query_name().to_owned(),
            Self::Day => key.logical_date().to_string(),
        }
    }
}

impl CommandTemplate {
    /// Parses a template.
    ///
    /// # Errors
    /// `Invalid` for more than one command (an error of the first one would be hidden), an unknown
    /// placeholder, one inside quotes, and an open quote.
    pub fn parse(text: &str) -> Result<Self> {
        let (mut parts, mut plain) = (Vec::new(), String::new());
        // The open quote.
        let mut quote = None;
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let is_literal = matches!((quote, plain.chars().next_back()), (None, Some('$')));
            let name = Name::ALL.into_iter().find(|name| rest.starts_with(name.written()));
            let taken = match (name, next) {
                (Some(name), _) if !is_literal => {
                    if quote.is_some() {
                        return Err(inside_quotes(name));
                    }
                    parts.extend([Part::Text(std::mem::take(&mut plain)), Part::Name(name)]);
                    rest = &rest[name.written().len()..];
                    continue;
                }
                (_, '{') if quote.is_none() && !is_literal => {
                    if let Some(word) = placeholder(rest) {
                        return Err(unknown(word));
                    }
                    1
                }
                (_, '\\') if quote != Some('\'') => {
                    1 + rest.chars().nth(1).map_or(0, char::len_utf8)
                }
                (_, '\'' | '"') if quote.is_none() => {
                    quote = Some(next);
                    1
                }
                _ if quote == Some(next) => {
                    quote = None;
                    1
                }
                _ if quote.is_none() && OPERATORS.contains(next) => return Err(not_one(next)),
                _ => next.len_utf8(),
            };
            plain.push_str(&rest[..taken]);
            rest = &rest[taken..];
        }
        if let Some(quote) = quote {
            return Err(Error::invalid(format!("the command has an open quote: {quote}")));
        }
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// Returns the command for a partition.
    pub(super) fn of(&self, key: &PartitionKey) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Name(name) => quoted(&name.of(key)),
        };
        self.0.iter().map(part).collect()
    }
}

/// Returns the word in braces at the start of a text.
fn placeholder(text: &str) -> Option<&str> {
    let end = text.find('}')?;
    let word = &text[1..end];
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!word.is_empty() && word.bytes().all(is_word)).then_some(&text[..=end])
}

fn unknown(word: &str) -> Error {
    let known = Name::ALL.map(Name::written).join(", ");
    Error::invalid(format!("the command has the unknown placeholder {word}; known are {known}"))
}

fn inside_quotes(name: Name) -> Error {
    let name = name.written();
    Error::invalid(format!(
        "the command has {name} inside quotes: leave the quotes out, the value gets its own"
    ))
}

fn not_one(operator: char) -> Error {
    Error::invalid(format!(
        "the command has {operator:?}, so it is more than one command, and an error of the first could go \
         unnoticed: put it into a script that ends with an error if any of them does"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_one_word_and_is_never_replaced_again() {
        let key = PartitionKey::new("ads", "{query_name}", "x y;touch it #'{source}", "2024-06-01");
        let key = key.unwrap();
        for (template, command) in [
            ("extract", "extract"),
            ("{source}", "ads"),
            (
                "extract {customer_id} {query_name}",
                r"extract '{query_name}' 'x y;touch it #'\''{source}'",
            ),
            ("e --date={logical_date}", "e --date=2024-06-01"),
            (
                r#"e "$TOKEN" 'a|b' \| ${source} {} {a-b} é"#,
                r#"e "$TOKEN" 'a|b' \| ${source} {} {a-b} é"#,
            ),
            (r#"sh -c 'e "$1" | jq .' sh {source}"#, r#"sh -c 'e "$1" | jq .' sh ads"#),
        ] {
            assert_eq!(CommandTemplate::parse(template).unwrap().of(&key), command);
        }
    }

    #[test]
    fn a_command_that_would_not_do_what_it_says_is_refused() {
        for (template, says) in [
            ("extract {customer_id} | jq .", "'|'"),
            ("a && b", "'&'"),
            ("a > file", "'>'"),
            ("a\nb", r"'\n'"),
            ("extract {customer}", "{customer}; known are {source}, {customer_id}"),
            ("extract \"{customer_id}\"", "{customer_id} inside quotes"),
            ("extract '--date={logical_date}'", "{logical_date} inside quotes"),
            ("extract 'a", "an open quote: '"),
        ] {
            let error = CommandTemplate::parse(template).unwrap_err();
            assert!(error.message().contains(says), "{template}: {error}");
        }
    }
}
