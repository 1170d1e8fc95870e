//! `rawsink config`

use std::io;

use rawsink::{
    Backend,
    env::{Effective, Origin},
    store::s3::S3Config,
};

use crate::{
    context::Context,
    exit::{Exit, Failure},
    output,
};

/// Print the effective settings and the origin of each
///
/// Settings come from environment variables, or from the file of --env alone; `proxy` is the proxy of requests to the bucket, without its
/// password. Paths are absolute. The command warns of unknown variables that start with `RAW_SINK_`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    for setting in &context.loaded.effective {
        print(setting, context)?;
    }
    if let Backend::Bucket(bucket) = &context.config().backend {
        print(&proxy(bucket), context)?;
        output::note(format!("provider of the endpoint: {}", bucket.provider().name));
    }
    Ok(Exit::Success)
}

fn print(setting: &Effective, context: &Context<'_>) -> io::Result<()> {
    let origin = match setting.origin {
        Origin::Default => "default",
        Origin::Environment => "environment",
        Origin::File => "file",
        Origin::Provider => "provider",
    };
    context.output.data(setting, format!("{}={}\t{origin}", setting.name, setting.value))
}

/// Returns the proxy, which no variable of this software sets.
fn proxy(bucket: &S3Config) -> Effective {
    let (value, origin) = match bucket.proxy_in_use() {
        Some(proxy) => (proxy.to_string(), Origin::Environment),
        None => ("none".to_owned(), Origin::Default),
    };
    Effective { name: "proxy", value, origin }
}
