//! The customers and queries that coverage expects, even if they have no data.

use std::{
    collections::BTreeSet,
    io::{self, Read},
    path::{Path, PathBuf},
};

use rawsink::{Error, Result, error::system_text, partition::Selection};
use rawsink_ops::coverage::Scope;

/// Options that list the expected customers and queries.
#[derive(Debug, clap::Args)]
pub(super) struct ExpectedArgs {
    /// Expect exactly these customers, even if they have no data
    #[arg(long, value_name = "ID", value_delimiter = ',', conflicts_with = "customer")]
    customers: Vec<String>,

    /// Read the expected customers from a file, one per line; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "customer")]
    customers_file: Option<PathBuf>,

    /// Expect exactly these queries, even if they have no data
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "query")]
    queries: Vec<String>,
}

impl ExpectedArgs {
    /// Combines a selection with these options.
    ///
    /// `Invalid` for a file that cannot be read or has no customers.
    pub(super) fn scope(&self, selection: Selection) -> Result<Scope> {
        let mut customers: BTreeSet<String> = self.customers.iter().cloned().collect();
        if let Some(path) = &self.customers_file {
            let refused = |why: &str| {
                let message = format!("cannot read the customers: {why}");
                Error::invalid(message).on_path(path.display())
            };
            let text = read(path).map_err(|cause| refused(&system_text(&cause)))?;
            let named = text.lines().map(str::trim).filter(|line| !line.is_empty());
            customers.extend(named.map(str::to_owned));
            if customers.is_empty() {
                return Err(refused("the file is empty"));
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
