//! Which customers and queries are expected, whether they were seen or not.

use std::{
    collections::BTreeSet,
    io::{self, Read},
    path::{Path, PathBuf},
};

use rawsink::{Error, Result, coverage::Scope, error::system_text, key::Selection};

/// Options about what is expected.
#[derive(Debug, clap::Args)]
pub(super) struct ExpectedArgs {
    /// Expect these customers and no others, whether anything of them is there or not
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with = "customer")]
    customers: Vec<String>,

    /// The same, from a file with one customer a line; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "customer")]
    customers_file: Option<PathBuf>,

    /// Expect these queries and no others, whether anything of them is there or not
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "query")]
    queries: Vec<String>,
}

impl ExpectedArgs {
    /// Returns the scope of a selection and these options.
    ///
    /// `Invalid` for a file that cannot be read, or that names nobody.
    pub(super) fn scope(&self, selection: Selection) -> Result<Scope> {
        let mut customers: BTreeSet<String> = self.customers.iter().cloned().collect();
        if let Some(path) = &self.customers_file {
            let refused = |why: &str| {
                let message = format!("cannot take the customers from a file: {why}");
                Error::invalid(message).on_path(path.display())
            };
            let text = read(path).map_err(|cause| refused(&system_text(&cause)))?;
            let named = text.lines().map(str::trim).filter(|line| !line.is_empty());
            customers.extend(named.map(str::to_owned));
            if customers.is_empty() {
                return Err(refused("it names nobody"));
            }
        }
        let queries = self.queries.iter().cloned().collect();
        Ok(Scope { selection, customers, queries })
    }
}

fn read(path: &Path) -> io::Result<String> {
    if path.as_os_str() != "-" {
        return std::fs::read_to_string(path);
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}
