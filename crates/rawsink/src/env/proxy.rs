//! The proxy of the environment: `HTTPS_PROXY` or `HTTP_PROXY`, else `ALL_PROXY`, unless `NO_PROXY` excludes the host.
//!
//! The names in lower case count too. These are variables of the machine, so a file of settings has none.

use std::collections::BTreeMap;

use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use crate::store::s3::{Proxy, ProxyUrl, S3Config};

/// Set for a program that a web server runs. Then a client of that server sets `HTTP_PROXY`.
const CGI: &str = "REQUEST_METHOD";

/// All names, each before its other form.
const NAMES: [&str; 9] = [
    CGI,
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// The variables about proxies.
#[derive(Debug, Default)]
pub(super) struct ProxyVars(BTreeMap<&'static str, Result<String, ()>>);

impl ProxyVars {
    /// Returns the known name of a variable.
    pub(super) fn known(name: &str) -> Option<&'static str> {
        NAMES.into_iter().find(|known| *known == name)
    }

    /// Returns the other variables, and those about proxies.
    pub(super) fn separate(
        vars: impl IntoIterator<Item = (String, Result<String, ()>)>,
    ) -> (BTreeMap<String, Result<String, ()>>, Self) {
        let (mut others, mut proxies) = (BTreeMap::new(), BTreeMap::new());
        for (name, value) in vars {
            match Self::known(&name) {
                Some(known) => drop(proxies.insert(known, value)),
                None => drop(others.insert(name, value)),
            }
        }
        (others, Self(proxies))
    }

    /// Returns the proxy of requests to a bucket.
    ///
    /// # Errors
    /// The variable with a fault, and the fault.
    pub(super) fn of(&self, config: &S3Config) -> Result<Proxy, (&'static str, String)> {
        let url = config.url_of_requests();
        // Plain requests to this machine never use a proxy.
        let Some(url) = url.filter(|_| !config.is_plain_and_local()) else {
            return Ok(Proxy::Direct);
        };
        let own = if url.scheme() == "https" { "HTTPS_PROXY" } else { "HTTP_PROXY" };
        let proxy = self.get(own)?.map_or_else(|| self.get("ALL_PROXY"), |own| Ok(Some(own)))?;
        let excluded = self.get("NO_PROXY")?.is_some_and(|(_, rules)| is_excluded(&url, rules));
        match proxy {
            Some((name, text)) if !excluded && !self.0.contains_key(CGI) => {
                ProxyUrl::checked(text).map(Proxy::Through).map_err(|what| (name, what))
            }
            _ => Ok(Proxy::Direct),
        }
    }

    /// Returns the value of a variable or of its other form, and the name of the one that is set.
    fn get(
        &self,
        upper: &'static str,
    ) -> Result<Option<(&'static str, &str)>, (&'static str, String)> {
        let forms = NAMES.into_iter().filter(|name| name.eq_ignore_ascii_case(upper));
        for name in forms {
            match self.0.get(name) {
                Some(Ok(text)) if !text.is_empty() => return Ok(Some((name, text))),
                Some(Err(())) => return Err((name, "is not UTF-8".to_owned())),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// Returns whether the rules of `NO_PROXY` exclude a host.
fn is_excluded(url: &Url, rules: &str) -> bool {
    let rules: Vec<&str> =
        rules.split([',', ' ']).map(|rule| rule.trim_start_matches("*.")).collect();
    if rules.contains(&"*") {
        return true;
    }
    let matcher = Matcher::builder().all("http://proxy").no(rules.join(",")).build();
    url.as_str().parse().is_ok_and(|uri| matcher.intercept(&uri).is_none())
}
