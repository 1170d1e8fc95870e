//! Where the state is kept, and how that is read.

use std::{fmt, path::PathBuf};

use percent_encoding::percent_decode_str;
use url::Url;

use super::{
    UsedBy, certificates,
    parse::{self, Parsed, Parser},
    provider,
    secret::Secret,
};
use crate::error::system_text;

/// Where the state is kept. `Display` is the URL without a password.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateUrl {
    /// An SQLite database file.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(PostgresSettings),
}

/// Everything about a PostgreSQL database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Name or address of the server, or the directory of its socket.
    pub host: String,
    /// Port, also of a socket.
    pub port: u16,
    /// The role.
    pub user: String,
    /// Its password: the URL's, or `RAW_SINK_STATE_PASSWORD`.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// How the connection is protected.
    pub tls: TlsMode,
    /// Certificates of a private authority, besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The client's own certificate and key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// How a connection to PostgreSQL is protected: libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// In the clear.
    Disable,
    /// Encrypted where the server can.
    Prefer,
    /// Encrypted; whoever answers is the server.
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

    /// Returns the mode as it stands in a URL.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl fmt::Display for StateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(postgres) => postgres.fmt(f),
        }
    }
}

/// The URL without a password.
impl fmt::Display for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, user, database, tls, .. } = self;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        write!(f, "postgres://{user}@{host}:{port}/{database}?sslmode={}", tls.name())
    }
}

/// Reads the settings of the state.
pub(super) fn take(parser: &mut Parser, default: StateUrl) -> StateUrl {
    let url = parser.take_shown("RAW_SINK_STATE_URL", state_url, default);
    let StateUrl::Postgres(mut postgres) = url else {
        parser.ignore(UsedBy::Postgres);
        return url;
    };
    let password = parser.secret("RAW_SINK_STATE_PASSWORD");
    if password.is_some() && postgres.password.is_some() {
        let both = "RAW_SINK_STATE_URL carries a password and RAW_SINK_STATE_PASSWORD is set";
        parser.fault(both.to_owned());
    }
    for fault in unusable_files(&postgres) {
        parser.fault(format!("RAW_SINK_STATE_URL {fault}"));
    }
    postgres.password = password.or(postgres.password);
    StateUrl::Postgres(postgres)
}

/// Returns what is wrong with the files that a URL names.
fn unusable_files(settings: &PostgresSettings) -> Vec<String> {
    let authority = settings.ca_file.iter().filter_map(|path| certificates::read(path).err());
    let own = settings.client.iter().flat_map(|(certificate, key)| [certificate, key]);
    let own = own.filter_map(|path| {
        let cause = std::fs::read(path).err()?;
        let cause = system_text(&cause);
        Some(format!("names a file that cannot be read: {cause} ({})", path.display()))
    });
    authority.chain(own).collect()
}

/// The text is shown in no fault: it may carry a password.
fn state_url(text: &str) -> Parsed<StateUrl> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return postgres(text).map(StateUrl::Postgres);
    }
    match text.strip_prefix("sqlite:") {
        // SQLite would take these for something else than a file.
        Some(path)
            if path.starts_with("file:") || path.contains(":memory:") || path.contains('?') =>
        {
            Err("does not name a plain file behind \"sqlite:\"".to_owned())
        }
        Some(path) if !path.is_empty() => {
            parse::path(path.strip_prefix("//").unwrap_or(path)).map(StateUrl::Sqlite)
        }
        Some(_) => Err("names no file behind \"sqlite:\"".to_owned()),
        None => Err("does not start with \"sqlite:\" or \"postgres://\"".to_owned()),
    }
}

fn postgres(text: &str) -> Parsed<PostgresSettings> {
    let url = Url::parse(text).map_err(|cause| format!("is no URL: {cause}"))?;
    let host = decoded("host", url.host_str().unwrap_or_default())?;
    let database = decoded("database", url.path().trim_start_matches('/'))?;
    let password = url.password().map(password).transpose()?;
    let mut settings = PostgresSettings {
        host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port: url.port().unwrap_or(5432),
        user: decoded("user", url.username())?,
        password,
        database,
        tls: TlsMode::Prefer,
        ca_file: None,
        client: None,
    };
    parameters(&url, &mut settings)?;
    for (name, value) in
        [("host", &settings.host), ("user", &settings.user), ("database", &settings.database)]
    {
        if value.is_empty() {
            return Err(format!("names no {name}"));
        }
    }
    if settings.host.contains(',') {
        return Err("names more than one host".to_owned());
    }
    if url.fragment().is_some() {
        return Err("has a fragment; write \"#\" as %23".to_owned());
    }
    Ok(settings)
}

/// Reads what stands behind the question mark, by libpq's names.
fn parameters(url: &Url, settings: &mut PostgresSettings) -> Parsed<()> {
    let (mut tls, mut certificate, mut key) = (None, None, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "sslmode" => {
                let known = TlsMode::ALL.into_iter().find(|mode| mode.name() == value);
                let names = TlsMode::ALL.map(TlsMode::name).join(", ");
                tls = Some(known.ok_or_else(|| format!("has an sslmode that is none of {names}"))?);
            }
            "sslrootcert" => settings.ca_file = Some(parse::path(&value)?),
            "sslcert" => certificate = Some(parse::path(&value)?),
            "sslkey" => key = Some(parse::path(&value)?),
            "host" => settings.host = value.into_owned(),
            // A name without a known value may be a password that was cut.
            _ => {
                return Err(
                    "has a parameter that is none of host, sslmode, sslrootcert, sslcert, \
                    sslkey"
                        .to_owned(),
                );
            }
        }
    }
    settings.client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("has one of sslcert and sslkey; both belong together".to_owned()),
    };
    let is_near = settings.host.starts_with('/') || provider::is_loopback(&settings.host);
    let tls = tls.unwrap_or(if is_near { TlsMode::Prefer } else { TlsMode::Require });
    // As libpq does: an authority that is named is there to be asked.
    let asks = tls == TlsMode::Require && settings.ca_file.is_some();
    settings.tls = if asks { TlsMode::VerifyCa } else { tls };
    Ok(())
}

fn password(text: &str) -> Parsed<Secret> {
    let secret = Secret::value(decoded("password", text)?);
    secret.read().map_err(|error| format!("carries a password: {error}"))?;
    Ok(secret)
}

fn decoded(name: &str, text: &str) -> Parsed<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| format!("has a {name} that is not UTF-8"))?;
    if decoded.contains('\0') {
        return Err(format!("has a {name} with a zero byte"));
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Loaded;

    fn load(vars: &[(&str, &str)]) -> crate::Result<Loaded> {
        Loaded::from_vars(
            vars.iter().map(|(name, value)| ((*name).to_owned(), Ok((*value).to_owned()))),
        )
    }

    fn postgres(url: &str) -> PostgresSettings {
        super::postgres(url).unwrap()
    }

    #[test]
    fn a_postgresql_url_is_read_whole() {
        let settings = postgres(
            "postgresql://land%40ing:s%23cret@db.example.org:6432/raw%20state\
             ?sslmode=verify-full&sslrootcert=/etc/ca.pem&sslcert=c.pem&sslkey=k.pem",
        );
        let expected = PostgresSettings {
            host: "db.example.org".into(),
            port: 6432,
            user: "land@ing".into(),
            password: Some(Secret::value("s#cret")),
            database: "raw state".into(),
            tls: TlsMode::VerifyFull,
            ca_file: Some("/etc/ca.pem".into()),
            client: Some(("c.pem".into(), "k.pem".into())),
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn off_this_machine_a_connection_is_encrypted_unless_the_url_says_otherwise() {
        for (url, host, tls) in [
            ("postgres://u@db.example.org/d", "db.example.org", TlsMode::Require),
            ("postgres://u@db.example.org/d?sslmode=disable", "db.example.org", TlsMode::Disable),
            ("postgres://u@10.0.0.7/d?sslrootcert=ca.pem", "10.0.0.7", TlsMode::VerifyCa),
            ("postgres://u@localhost/d", "localhost", TlsMode::Prefer),
            ("postgres://u@[::1]:5433/d", "::1", TlsMode::Prefer),
            ("postgres://u@%2Frun%2Fpostgresql/d", "/run/postgresql", TlsMode::Prefer),
            ("postgres://u@localhost/d?host=/run/postgresql", "/run/postgresql", TlsMode::Prefer),
        ] {
            let settings = postgres(url);
            assert_eq!((settings.host.as_str(), settings.tls), (host, tls), "{url}");
        }
    }

    #[test]
    fn g17_a_url_that_is_shown_has_no_password_and_one_that_is_refused_is_not_shown() {
        let vars = [("RAW_SINK_STATE_URL", "postgres://me:canary@localhost/d")];
        let loaded = load(&vars).unwrap();
        let shown = loaded.effective.iter().find(|shown| shown.name == "RAW_SINK_STATE_URL");
        assert_eq!(shown.unwrap().value, "postgres://me@localhost:5432/d?sslmode=prefer");
        assert!(!format!("{loaded:?}").contains("canary"));
        for (url, says) in [
            ("postgres://me:canary@localhost:x/d", "is no URL"),
            ("postgres://me:canary@/d", "is no URL"),
            ("postgres:///d?host=canary", "names no user"),
            ("postgres://:canary@localhost/d", "names no user"),
            ("postgres://me:canary@localhost", "names no database"),
            ("postgres://me:canary@one,two/d", "names more than one host"),
            ("postgres://me:can#ary@localhost/d", "is no URL"),
            ("postgres://me@localhost/d#canary", "has a fragment"),
            ("postgres://me@localhost/d?sslmode=canary", "has an sslmode that is none of disable"),
            ("postgres://me@localhost/d?password=canary", "has a parameter that is none of host"),
            ("postgres://me@localhost/d?sslcert=canary", "has one of sslcert and sslkey"),
            ("postgres://me:canary@localhost/d?sslrootcert=/nowhere", "names a file that cannot"),
            (
                "postgres://me:canary@localhost/d?sslrootcert=/dev/null",
                "names a file that holds no",
            ),
            ("postgres://me:canary@localhost/d?sslcert=/dev/null&sslkey=/nowhere", "names a file"),
            ("postgres://me:canary%00@localhost/d", "has a password with a zero byte"),
            ("postgres://me:canary%0A@localhost/d", "carries a password: the secret has a control"),
            ("postgres://me:canary%FF@localhost/d", "has a password that is not UTF-8"),
            ("mysql://me:canary@localhost/d", "does not start with \"sqlite:\" or"),
        ] {
            let error = load(&[("RAW_SINK_STATE_URL", url)]).unwrap_err();
            assert!(error.message().starts_with(&format!("RAW_SINK_STATE_URL {says}")), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_password_stands_in_one_place() {
        let url = ("RAW_SINK_STATE_URL", "postgres://me@localhost/d");
        let password = |vars: &[_]| match load(vars).unwrap().settings.state_url {
            StateUrl::Postgres(postgres) => postgres.password,
            StateUrl::Sqlite(_) => None,
        };
        let variable = ("RAW_SINK_STATE_PASSWORD", "secret");
        assert_eq!(password(&[url]), None);
        assert_eq!(password(&[url, variable]), Some(Secret::value("secret")));
        let written = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&written, "secret\n").unwrap();
        let file = ("RAW_SINK_STATE_PASSWORD_FILE", written.path().to_str().unwrap());
        assert_eq!(password(&[url, file]), Some(Secret::file(written.path())));
        let twice = ("RAW_SINK_STATE_URL", "postgres://me:other@localhost/d");
        let error = load(&[twice, variable]).unwrap_err();
        assert!(error.message().contains("RAW_SINK_STATE_PASSWORD is set"), "{error}");
        assert!(load(&[url, variable, file]).is_err());
        // It has no say where the state is a file.
        assert!(load(&[variable]).unwrap().warnings.is_empty());
    }
}
