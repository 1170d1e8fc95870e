//! The configuration of a PostgreSQL database, and the parser of its URL.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use percent_encoding::percent_decode_str;
use url::Url;

use crate::{
    error::{Error, Result, system_text},
    literal,
    secret::Secret,
    small_file, tls,
};

/// The configuration of a PostgreSQL database. `Display` is its URL without a password.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// Name or address of the server, or the directory of its socket.
    pub host: String,
    /// Port, also of a socket.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// Certificates of a private authority, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The client's own certificate and key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Parameters of the URL that change nothing for this client.
    pub(crate) ignored: Vec<String>,
}

/// How a connection to PostgreSQL is protected: libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Not encrypted.
    Disable,
    /// Encrypted if the server supports it.
    Prefer,
    /// Encrypted; no certificate is checked.
    Require,
    /// Encrypted, with a certificate of a known authority.
    VerifyCa,
    /// Encrypted, with a certificate of a known authority for this host.
    VerifyFull,
}

impl TlsMode {
    /// Every mode, the weakest first.
    pub const ALL: [Self; 5] =
        [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];

    /// Returns the mode's name in a URL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// Returns whether the server must prove who it is.
    pub(super) fn verifies(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }
}

impl fmt::Display for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, user, database, tls, .. } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        write!(f, "postgres://{user}@{host}:{port}/{database}?sslmode={}", tls.name())
    }
}

impl PostgresConfig {
    /// Reads a URL, `postgres://user@host:port/database`, with libpq's names for its parameters:
    /// `host`, `sslmode`, `sslrootcert`, `sslcert`, `sslkey`. Harmless parameters of poolers and providers
    /// are ignored, and logged as a warning.
    ///
    /// Without `sslmode`, a connection to another machine is `verify-full`, and one to this machine `prefer`.
    ///
    /// # Errors
    /// `Invalid` for a URL that names no user, host or database, has unknown parameters, or names
    /// files that cannot be used. The error never shows the URL: it may carry a password.
    pub fn from_url(url: &str) -> Result<Self> {
        let fault = |what: String| Error::invalid(format!("the database URL {what}"));
        let config = parse(url).map_err(fault)?;
        for name in &config.ignored {
            tracing::warn!("the parameter {name} of the database URL has no effect");
        }
        match config.file_faults().as_slice() {
            [] => Ok(config),
            faults => Err(fault(faults.join("; "))),
        }
    }

    /// Sets the password, instead of one in the URL.
    #[must_use]
    pub fn password(mut self, password: Secret) -> Self {
        self.password = Some(password);
        self
    }

    /// Returns whether the server is on this machine.
    pub(super) fn is_local(&self) -> bool {
        self.host.starts_with('/') || tls::is_loopback(&self.host)
    }

    /// Returns the faults of the files that the URL names.
    pub(crate) fn file_faults(&self) -> Vec<String> {
        let authority = self.ca_file.iter().filter_map(|path| tls::read_certificates(path).err());
        let own = self.client.iter().flat_map(|(certificate, key)| [certificate, key]);
        let own = own.filter_map(|path| {
            let cause = small_file::read(path).err()?;
            let cause = system_text(&cause);
            Some(format!("names a file that cannot be read: {cause} ({})", path.display()))
        });
        authority.chain(own).collect()
    }
}

/// Parameters that this client does not need, or cannot honour: names, waits, and settings of poolers and
/// providers. A warning says that they have no effect.
const IGNORED: &[&str] = &[
    "application_name",
    "client_encoding",
    "connect_timeout",
    "connection_limit",
    "default_query_exec_mode",
    "fallback_application_name",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "max_conns",
    "pgbouncer",
    "pool_max_conns",
    "pool_min_conns",
    "pool_mode",
    "pool_size",
    "pool_timeout",
    "prepareThreshold",
    "preparedStatementCacheQueries",
    "prepared_statements",
    "socket_timeout",
    "sslcompression",
    "sslsni",
    "statement_cache_capacity",
    "statement_cache_mode",
    "statement_cache_size",
    "statement_timeout",
    "target_session_attrs",
    "tcp_user_timeout",
    "timezone",
];

/// Protections that this client lacks. Only `require` is refused: without it, libpq connects without them too.
const LACKING: [&str; 2] = ["channel_binding", "gssencmode"];

/// Parameters of libpq and other clients that would change what is stored, or how safely.
const REFUSED: &[&str] = &[
    "currentSchema",
    "dbname",
    "hostaddr",
    "load_balance_hosts",
    "options",
    "passfile",
    "password",
    "port",
    "replication",
    "require_auth",
    "requiressl",
    "schema",
    "search_path",
    "service",
    "ssl",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslaccept",
    "sslcrl",
    "sslnegotiation",
    "sslpassword",
    "uselibpqcompat",
    "user",
];

/// The advice for a URL whose password contains a delimiter of URLs.
const UNESCAPED: &str =
    "write a @, :, /, ? or # of a user or password as %40, %3A, %2F, %3F or %23";

/// Parses a URL without checking the files that it names.
pub(crate) fn parse(text: &str) -> Result<PostgresConfig, String> {
    literal::check(text)?;
    if text.matches('@').count() > 1 {
        return Err(format!("has more than one @; {UNESCAPED}"));
    }
    let url = Url::parse(text).map_err(|cause| format!("is not a URL: {cause}"))?;
    let host = decoded("host", url.host_str().unwrap_or_default())?;
    let database = decoded("database", url.path().trim_start_matches('/'))?;
    let password = url.password().map(password).transpose()?;
    let mut config = PostgresConfig {
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: url.port().unwrap_or(5432),
        user: decoded("user", url.username())?,
        password,
        database,
        tls: TlsMode::Prefer,
        ca_file: None,
        client: None,
        ignored: Vec::new(),
    };
    read_parameters(&url, &mut config)?;
    for (name, value) in
        [("host", &config.host), ("user", &config.user), ("database", &config.database)]
    {
        if value.is_empty() {
            return Err(format!("names no {name}"));
        }
        // Here a part of the password would be shown.
        if (name == "user" && value.contains([':', '/']))
            || (name == "database" && value.contains('/'))
        {
            return Err(format!("has a {name} with a : or /; {UNESCAPED}"));
        }
    }
    if config.host.contains(',') {
        return Err("names more than one host".to_owned());
    }
    if url.fragment().is_some() {
        return Err("has a fragment; write \"#\" as %23".to_owned());
    }
    Ok(config)
}

/// Parses the parameters of the query, by libpq's names.
fn read_parameters(url: &Url, config: &mut PostgresConfig) -> Result<(), String> {
    let (mut tls, mut certificate, mut key) = (None, None, None);
    for (number, (name, value)) in (1..).zip(url.query_pairs()) {
        match &*name {
            "sslmode" => {
                let known = TlsMode::ALL.into_iter().find(|mode| mode.name() == value);
                let names = TlsMode::ALL.map(TlsMode::name).join(", ");
                tls = Some(
                    known.ok_or_else(|| format!("has an sslmode that is not one of {names}"))?,
                );
            }
            "sslrootcert" => config.ca_file = Some(path(&value)?),
            "sslcert" => certificate = Some(path(&value)?),
            "sslkey" => key = Some(path(&value)?),
            "host" => config.host = value.into_owned(),
            name if LACKING.contains(&name) && value == "require" => {
                return Err(format!(
                    "has {name}=require, which is not supported; use sslmode=verify-full instead"
                ));
            }
            name if LACKING.contains(&name) => config.ignored.push(name.to_owned()),
            name if IGNORED.contains(&name) => {
                if !config.ignored.iter().any(|known| known == name) {
                    config.ignored.push(name.to_owned());
                }
            }
            // An unknown name may be part of a password that was not escaped, so it is not shown.
            name => {
                let shown = if REFUSED.contains(&name) {
                    format!("the parameter {name}")
                } else {
                    format!("parameter number {number}")
                };
                return Err(format!(
                    "has {shown}, which is not one of host, sslmode, sslrootcert, sslcert, sslkey"
                ));
            }
        }
    }
    config.client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("has only one of sslcert and sslkey; set both".to_owned()),
    };
    let default = if config.is_local() { TlsMode::Prefer } else { TlsMode::VerifyFull };
    let mode = tls.unwrap_or(default);
    // As libpq does: naming an authority implies that its certificates are checked.
    let checks = mode == TlsMode::Require && config.ca_file.is_some();
    config.tls = if checks { TlsMode::VerifyCa } else { mode };
    Ok(())
}

fn password(text: &str) -> Result<Secret, String> {
    let secret = Secret::value(decoded("password", text)?);
    secret.read().map_err(|error| format!("has an invalid password: {error}"))?;
    Ok(secret)
}

fn path(text: &str) -> Result<PathBuf, String> {
    let fault = |what| format!("has a path that {what}");
    literal::check_path(text).map(|()| text.into()).map_err(fault)
}

fn decoded(name: &str, text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| format!("has a {name} that is not UTF-8"))?;
    // A control character in a password is the secret's own fault.
    if name != "password" && decoded.contains(char::is_control) {
        return Err(format!("has a {name} with a control character"));
    }
    Ok(decoded.into_owned())
}

/// Reads the client's certificate or key.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    small_file::read(path).map_err(|cause| {
        let message = format!(
            "cannot read the client certificate or key for the state database: {}",
            system_text(&cause)
        );
        Error::invalid(message).on_path(path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn every_part_of_a_url_is_parsed() {
        let settings = parse(
            "postgresql://land%40ing:s%23cret@db.example.org:6432/raw%20state\
             ?sslmode=verify-full&sslrootcert=/etc/ca.pem&sslcert=c.pem&sslkey=k.pem",
        )
        .unwrap();
        let expected = PostgresConfig {
            host: "db.example.org".into(),
            port: 6432,
            user: "land@ing".into(),
            password: Some(Secret::value("s#cret")),
            database: "raw state".into(),
            tls: TlsMode::VerifyFull,
            ca_file: Some("/etc/ca.pem".into()),
            client: Some(("c.pem".into(), "k.pem".into())),
            ignored: Vec::new(),
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn parameters_of_poolers_are_ignored_by_name() {
        let url = "postgres://u@localhost/d?pgbouncer=true&sslmode=require&connect_timeout=10&pgbouncer=true";
        let config = parse(url).unwrap();
        assert_eq!(config.tls, TlsMode::Require);
        assert_eq!(config.ignored, ["pgbouncer", "connect_timeout"]);
    }

    #[test]
    fn a_required_protection_that_is_missing_is_refused_by_name() {
        for name in ["channel_binding", "gssencmode"] {
            let url = |value| format!("postgres://u@localhost/d?sslmode=require&{name}={value}");
            assert_eq!(parse(&url("prefer")).unwrap().ignored, [name]);
            let fault = parse(&url("require")).unwrap_err();
            assert!(fault.starts_with(&format!("has {name}=require, which is not")), "{fault}");
        }
    }

    #[test]
    fn remote_servers_are_verified_by_default() {
        for (url, host, tls) in [
            ("postgres://u@db.example.org/d", "db.example.org", TlsMode::VerifyFull),
            ("postgres://u@db.example.org/d?sslmode=disable", "db.example.org", TlsMode::Disable),
            ("postgres://u@db.example.org/d?sslmode=prefer", "db.example.org", TlsMode::Prefer),
            ("postgres://u@db.example.org/d?sslmode=require", "db.example.org", TlsMode::Require),
            ("postgres://u@10.0.0.7/d?sslrootcert=ca.pem", "10.0.0.7", TlsMode::VerifyFull),
            (
                "postgres://u@10.0.0.7/d?sslmode=require&sslrootcert=ca.pem",
                "10.0.0.7",
                TlsMode::VerifyCa,
            ),
            ("postgres://u@localhost/d?host=10.0.0.7", "10.0.0.7", TlsMode::VerifyFull),
            ("postgres://u@localhost/d", "localhost", TlsMode::Prefer),
            ("postgres://u@[::1]:5433/d", "::1", TlsMode::Prefer),
            ("postgres://u@%2Frun%2Fpostgresql/d", "/run/postgresql", TlsMode::Prefer),
            ("postgres://u@localhost/d?host=/run/postgresql", "/run/postgresql", TlsMode::Prefer),
        ] {
            let settings = parse(url).unwrap();
            assert_eq!((settings.host.as_str(), settings.tls), (host, tls), "{url}");
        }
    }

    #[test]
    fn g17_a_shown_url_has_no_password_and_a_refused_one_is_not_shown() {
        let config = PostgresConfig::from_url("postgres://me:canary@localhost/d").unwrap();
        assert_eq!(config.to_string(), "postgres://me@localhost:5432/d?sslmode=prefer");
        assert!(!format!("{config:?}").contains("canary"));
        for (url, says) in [
            ("postgres://me:canary@localhost:x/d", "is not a URL"),
            ("postgres://me:canary@/d", "is not a URL"),
            ("postgres:///d?host=canary", "names no user"),
            ("postgres://:canary@localhost/d", "names no user"),
            ("postgres://me:canary@localhost", "names no database"),
            ("postgres://me:canary@one,two/d", "names more than one host"),
            ("postgres://me:can#ary@localhost/d", "is not a URL"),
            ("postgres://me@localhost/d#canary", "has a fragment"),
            (
                "postgres://me@localhost/d?sslmode=canary",
                "has an sslmode that is not one of disable",
            ),
            (
                "postgres://me@localhost/d?password=canary",
                "has the parameter password, which is not one of host",
            ),
            (
                "postgres://me@localhost/d?Can-ary=1",
                "has parameter number 1, which is not one of host",
            ),
            ("postgres://me:can@ary/canary@localhost/d", "has more than one @; write"),
            ("postgres://me:c@localhost/x?canary@localhost/d", "has more than one @; write"),
            ("postgres://me%3Acanary@localhost/d", "has a user with a : or /; write"),
            ("postgres://me@localhost/d%0Acanary", "has a database with a control character"),
            ("\"postgres://me:canary@localhost/d\"", "starts or ends with a quotation mark"),
            ("postgres://me:canary@localhost/d\r", "ends with a carriage return"),
            ("postgres://me@localhost/d?sslrootcert=~/canary", "has a path that starts with ~"),
            ("postgres://me@localhost/d?sslcert=canary", "has only one of sslcert and sslkey"),
            ("postgres://me:canary@localhost/d?sslrootcert=/nowhere", "names a file that cannot"),
            (
                "postgres://me:canary@localhost/d?sslrootcert=/dev/null",
                "names a file that contains no",
            ),
            ("postgres://me:canary@localhost/d?sslcert=/dev/null&sslkey=/nowhere", "names a file"),
            (
                "postgres://me:canary%00@localhost/d",
                "has an invalid password: the secret contains a control",
            ),
            (
                "postgres://me:canary%0A@localhost/d",
                "has an invalid password: the secret contains a control",
            ),
            ("postgres://me:canary%FF@localhost/d", "has a password that is not UTF-8"),
        ] {
            let error = PostgresConfig::from_url(url).unwrap_err();
            assert!(error.message().starts_with(&format!("the database URL {says}")), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }
}
