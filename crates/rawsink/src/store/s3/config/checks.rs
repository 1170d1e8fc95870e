//! Which values are legal.

use std::time::Duration;

use super::{MAX_DURATION, Timing};
use crate::{
    literal,
    store::s3::{provider::Provider, retry::RetryConfig},
    tls::is_loopback,
};

impl Timing {
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let fields = [
            ("leftover_grace", self.leftover_grace),
            ("seal_deadline", self.seal_deadline),
            ("seal_timeout", self.seal_timeout),
            ("complete_deadline", self.complete_deadline),
        ];
        let mut faults = illegal(fields);
        let least = self.least_grace();
        if faults.is_empty() && self.leftover_grace < least {
            let what = format!(
                "is {} s, must be at least {} s: the seal's deadline ({} s) and one and a half of its \
                 timeouts ({} s each)",
                self.leftover_grace.as_secs_f64(),
                least.as_secs_f64(),
                self.seal_deadline.as_secs_f64(),
                self.seal_timeout.as_secs_f64()
            );
            faults.push(("leftover_grace", what));
        }
        faults
    }
}

pub(super) fn retry(retry: &RetryConfig) -> Vec<(&'static str, String)> {
    illegal([("retry_deadline", retry.deadline), ("stall_timeout", retry.stall_timeout)])
}

/// Returns the durations that are not legal.
fn illegal<const N: usize>(fields: [(&'static str, Duration); N]) -> Vec<(&'static str, String)> {
    let legal = Duration::from_millis(1)..=MAX_DURATION;
    let fields = fields.into_iter().filter(|(_, time)| !legal.contains(time));
    fields
        .map(|(field, time)| (field, format!("is {time:?}, not more than 0 and up to 24 h")))
        .collect()
}

/// A parsed endpoint URL.
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) host: String,
    pub(super) provider: &'static Provider,
}

impl Endpoint {
    /// Returns the reason to refuse an endpoint, and the field to change: it could overwrite a sealed run
    /// or leak secrets.
    pub(super) fn refusal(&self, allow_http: bool) -> Option<(&'static str, String)> {
        if let Some(why) = self.provider.refused {
            return Some(("endpoint_url", format!("is refused: {why}")));
        }
        let in_the_clear = self.url.starts_with("http:") && !is_loopback(&self.host);
        let why = "is off, and the endpoint is plain http to another machine";
        (in_the_clear && !allow_http).then(|| ("allow_http", why.to_owned()))
    }
}

/// Parses an endpoint URL. The error never contains the URL, which may include a password.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, String> {
    literal::check(text)?;
    let url = url::Url::parse(text).map_err(|cause| format!("is not a URL: {cause}"))?;
    let fault = match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(_)) if !url.username().is_empty() || url.password().is_some() => {
            "contains credentials"
        }
        ("http" | "https", Some(_)) if url.query().is_some() || url.fragment().is_some() => {
            "has a query or fragment"
        }
        ("http" | "https", Some(_)) if has_path(text) => {
            "has a path; set the bucket and the prefix separately"
        }
        ("http" | "https", Some(host)) => {
            let plain = url.as_str().trim_end_matches('/').to_owned();
            // A quotation mark may be before the slash.
            literal::check(&plain)?;
            let provider = Provider::of_host(host);
            return Ok(Endpoint { url: plain, host: host.to_owned(), provider });
        }
        _ => "does not start with https:// and a host",
    };
    Err(fault.to_owned())
}

/// Returns whether the text of a URL has a path, also one that leads back to the root (`/a/..`): the parser
/// leaves it out, and it may be the rest of a password.
fn has_path(text: &str) -> bool {
    let rest = text.split_once(':').map_or(text, |(_, rest)| rest);
    let segments = rest.trim_start_matches(['/', '\\']).split(['/', '\\']);
    segments.skip(1).any(|segment| !segment.is_empty())
}

pub(super) fn bucket(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if (3..=255).contains(&text.len()) && text.bytes().all(legal) && text != "..." {
        Ok(text.to_owned())
    } else {
        Err(format!("is {text:?}, not a valid bucket name"))
    }
}

pub(super) fn prefix(text: &str) -> Result<String, String> {
    literal::check_path(text)?;
    let trimmed = text.trim_matches('/');
    if trimmed.split('/').all(|segment| !matches!(segment, "" | "." | "..")) {
        Ok(trimmed.to_owned())
    } else {
        Err(format!("is {text:?}, not a valid path inside a bucket"))
    }
}

pub(super) fn region_name(text: &str) -> Result<(), String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !text.is_empty() && text.bytes().all(legal) {
        Ok(())
    } else {
        Err(format!("is {text:?}, not a valid region name"))
    }
}
