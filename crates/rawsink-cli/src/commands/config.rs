//! `rawsink config`

use rawsink::{Backend, env::Origin};

use crate::{
    context::Context,
    exit::{Exit, Failure},
    output,
};

/// Print the effective settings and the origin of each
///
/// Settings come from environment variables only. The command warns of unknown variables that start
/// with `RAW_SINK_`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, context: &Context<'_>) -> Result<Exit, Failure> {
    for setting in &context.loaded.effective {
        let origin = match setting.origin {
            Origin::Default => "default",
            Origin::Environment => "environment",
            Origin::Provider => "provider",
        };
        context.output.data(setting, format!("{}={}\t{origin}", setting.name, setting.value))?;
    }
    if let Backend::Bucket(bucket) = &context.config().backend {
        output::note(format!("provider of the endpoint: {}", bucket.provider().name));
    }
    Ok(Exit::Success)
}
