//! The settings of the object sink, and how they are read.

use std::path::PathBuf;

use super::{
    Origin, certificates,
    parse::{self, Parsed, Parser},
    provider::{self, Provider},
    secret::Secret,
};
use crate::error::{Error, Result};

/// How a bucket is named in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// `https://host/bucket/key`
    Path,
    /// `https://bucket.host/key`
    Virtual,
}

impl Addressing {
    /// Returns its value in `RAW_SINK_ADDRESSING`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Virtual => "virtual",
        }
    }
}

/// Whether conditions on `CompleteMultipartUpload` are honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompleteConditions {
    /// A second object is refused.
    Enforced,
    /// Accepted and ignored, or not known: the protocol does without them.
    Ignored,
}

/// Everything about a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSettings {
    /// `RAW_SINK_ENDPOINT_URL`
    pub endpoint_url: String,
    /// What is known of the endpoint's provider.
    pub provider: &'static Provider,
    /// `RAW_SINK_REGION`
    pub region: String,
    /// `RAW_SINK_BUCKET`
    pub bucket: String,
    /// `RAW_SINK_PREFIX`, without a slash at either end.
    pub prefix: String,
    /// `RAW_SINK_ACCESS_KEY_ID`
    pub access_key_id: Secret,
    /// `RAW_SINK_SECRET_ACCESS_KEY`
    pub secret_access_key: Secret,
    /// `RAW_SINK_SESSION_TOKEN`
    pub session_token: Option<Secret>,
    /// `RAW_SINK_ADDRESSING`
    pub addressing: Addressing,
    /// `RAW_SINK_CA_FILE`
    pub ca_file: Option<PathBuf>,
    /// `RAW_SINK_PART_BYTES`
    pub part_bytes: usize,
    /// `RAW_SINK_UPLOADS_IN_FLIGHT`
    pub uploads_in_flight: usize,
    /// `RAW_SINK_COMPLETE_CONDITIONS`
    pub complete_conditions: CompleteConditions,
    /// `RAW_SINK_LEFTOVER_GRACE_S`
    pub leftover_grace_s: u64,
    /// `RAW_SINK_SEAL_DEADLINE_S`
    pub seal_deadline_s: u64,
    /// `RAW_SINK_SEAL_TIMEOUT_S`
    pub seal_timeout_s: u64,
    /// `RAW_SINK_COMPLETE_DEADLINE_S`
    pub complete_deadline_s: u64,
}

/// An endpoint that was understood.
#[derive(Debug, Clone)]
struct Endpoint {
    url: String,
    host: String,
}

impl ObjectSettings {
    /// Returns the settings of another bucket of the same endpoint and key, and of another prefix in it
    /// where one is given.
    ///
    /// # Errors
    /// `Invalid` for what is no bucket's name, or no path inside one.
    pub fn in_bucket(&self, name: &str, path: Option<&str>) -> Result<Self> {
        let wrong = |what: String| Error::invalid(format!("the bucket or its path {what}"));
        let bucket = bucket(name).map_err(wrong)?;
        let prefix = path.map(prefix).transpose().map_err(wrong)?;
        let preset = self.addressing == self.provider.addressing(&self.bucket);
        let addressing = if preset { self.provider.addressing(&bucket) } else { self.addressing };
        let prefix = prefix.unwrap_or_else(|| self.prefix.clone());
        Ok(Self { bucket, prefix, addressing, ..self.clone() })
    }
}

/// Reads the settings of the object sink; `None` where a required one is missing or wrong.
pub(super) fn take(parser: &mut Parser) -> Option<ObjectSettings> {
    let endpoint = parser.require("RAW_SINK_ENDPOINT_URL", endpoint);
    let host = endpoint.as_ref().map(|endpoint| endpoint.host.clone()).unwrap_or_default();
    let provider = Provider::of_host(&host);
    let region = parser.take_or(
        "RAW_SINK_REGION",
        name,
        provider.region(&host),
        &provider.region(&host),
        Origin::Provider,
    );
    let bucket = parser.require("RAW_SINK_BUCKET", bucket);
    let prefix = parser.require("RAW_SINK_PREFIX", prefix);
    let access_key_id = parser.require_secret("RAW_SINK_ACCESS_KEY_ID");
    let secret_access_key = parser.require_secret("RAW_SINK_SECRET_ACCESS_KEY");
    let session_token = parser.secret("RAW_SINK_SESSION_TOKEN");
    let preset = provider.addressing(bucket.as_deref().unwrap_or_default());
    let addressing =
        parser.take_or("RAW_SINK_ADDRESSING", addressing, preset, preset.name(), Origin::Provider);
    let ca_file = parser.take("RAW_SINK_CA_FILE", ca_file, None);
    let allow_http = parser.take("RAW_SINK_ALLOW_HTTP", flag, false);
    let part_bytes = parser.take("RAW_SINK_PART_BYTES", part_bytes, 8 << 20);
    let uploads_in_flight = parser.take("RAW_SINK_UPLOADS_IN_FLIGHT", in_flight, 4);
    let conditions = parser.take("RAW_SINK_COMPLETE_CONDITIONS", conditions, None);
    let leftover_grace_s = parser.take("RAW_SINK_LEFTOVER_GRACE_S", seconds, 90);
    let seal_deadline_s = parser.take("RAW_SINK_SEAL_DEADLINE_S", seconds, 60);
    let seal_timeout_s = parser.take("RAW_SINK_SEAL_TIMEOUT_S", seconds, 20);
    let complete_deadline_s = parser.take("RAW_SINK_COMPLETE_DEADLINE_S", seconds, 600);
    if 2 * leftover_grace_s < 2 * seal_deadline_s + 3 * seal_timeout_s {
        parser.fault(GRACE_TOO_SHORT.to_owned());
    }
    if let Some(endpoint) = &endpoint {
        check_endpoint(parser, endpoint, provider, allow_http);
    }
    Some(ObjectSettings {
        endpoint_url: endpoint?.url,
        provider,
        region,
        bucket: bucket?,
        prefix: prefix?,
        access_key_id: access_key_id?,
        secret_access_key: secret_access_key?,
        session_token,
        addressing,
        ca_file,
        part_bytes,
        uploads_in_flight,
        complete_conditions: conditions.unwrap_or(provider.complete_conditions),
        leftover_grace_s,
        seal_deadline_s,
        seal_timeout_s,
        complete_deadline_s,
    })
}

const GRACE_TOO_SHORT: &str = "RAW_SINK_LEFTOVER_GRACE_S is shorter than RAW_SINK_SEAL_DEADLINE_S and one and a half \
    RAW_SINK_SEAL_TIMEOUT_S together";

/// Refuses an endpoint that could overwrite, or that would send secrets in the clear.
fn check_endpoint(parser: &mut Parser, endpoint: &Endpoint, provider: &Provider, allow_http: bool) {
    if let Some(why) = provider.refused {
        parser.fault(format!("RAW_SINK_ENDPOINT_URL is refused: {why}"));
    }
    if endpoint.url.starts_with("http:") && !provider::is_loopback(&endpoint.host) && !allow_http {
        let why = "is plain http off this machine (RAW_SINK_ALLOW_HTTP=1 allows it)";
        parser.fault(format!("RAW_SINK_ENDPOINT_URL {why}"));
    }
}

/// The URL is not shown where it is wrong: it may carry a password.
fn endpoint(text: &str) -> Parsed<Endpoint> {
    let url = url::Url::parse(text).map_err(|cause| format!("is no URL: {cause}"))?;
    let fault = match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(_)) if !url.username().is_empty() || url.password().is_some() => {
            "carries credentials"
        }
        ("http" | "https", Some(_)) if url.path() != "/" => {
            "has a path; the bucket has a variable of its own"
        }
        ("http" | "https", Some(_)) if url.query().is_some() || url.fragment().is_some() => {
            "has a query or fragment"
        }
        ("http" | "https", Some(host)) => {
            let plain = url.as_str().trim_end_matches('/').to_owned();
            return Ok(Endpoint { url: plain, host: host.to_owned() });
        }
        _ => "does not start with https:// and a host",
    };
    Err(fault.to_owned())
}

fn bucket(text: &str) -> Parsed<String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if (3..=255).contains(&text.len()) && text.bytes().all(legal) && text != "..." {
        Ok(text.to_owned())
    } else {
        Err(format!("is {text:?}, no bucket's name"))
    }
}

fn prefix(text: &str) -> Parsed<String> {
    let trimmed = text.trim_matches('/');
    let legal = |segment: &str| {
        !matches!(segment, "" | "." | "..") && !segment.chars().any(char::is_control)
    };
    if trimmed.split('/').all(legal) {
        Ok(trimmed.to_owned())
    } else {
        Err(format!("is {text:?}, no path inside a bucket"))
    }
}

fn name(text: &str) -> Parsed<String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err(format!("is {text:?}, no region's name"))
    }
}

fn addressing(text: &str) -> Parsed<Addressing> {
    match text {
        "path" => Ok(Addressing::Path),
        "virtual" => Ok(Addressing::Virtual),
        _ => Err(format!("is {text:?}, not \"path\" or \"virtual\"")),
    }
}

fn ca_file(text: &str) -> Parsed<Option<PathBuf>> {
    let path = parse::path(text)?;
    certificates::read(&path)?;
    Ok(Some(path))
}

fn conditions(text: &str) -> Parsed<Option<CompleteConditions>> {
    match text {
        "auto" => Ok(None),
        "enforced" => Ok(Some(CompleteConditions::Enforced)),
        "ignored" => Ok(Some(CompleteConditions::Ignored)),
        _ => Err(format!("is {text:?}, not \"enforced\", \"ignored\" or \"auto\"")),
    }
}

fn flag(text: &str) -> Parsed<bool> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(format!("is {text:?}, not \"0\" or \"1\"")),
    }
}

fn part_bytes(text: &str) -> Parsed<usize> {
    parse::bytes(text, 5 << 20, 1 << 30, "5 MiB to 1 GiB")
}

fn in_flight(text: &str) -> Parsed<usize> {
    let number = text.parse().ok().filter(|number| (1..=64).contains(number));
    number.ok_or_else(|| format!("is {text:?}, not a number from 1 to 64"))
}

fn seconds(text: &str) -> Parsed<u64> {
    let number = text.parse().ok().filter(|number| (1..=86_400).contains(number));
    number.ok_or_else(|| format!("is {text:?}, not a number of seconds from 1 to 86400"))
}
