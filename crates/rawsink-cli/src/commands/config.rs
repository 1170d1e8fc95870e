//! `rawsink config`

use rawsink::config::Origin;

use crate::{
    context::Context,
    exit::{Answer, Failure},
    output,
};

/// Show the effective settings and where each came from
///
/// Settings come from environment variables alone. Variables that look like settings and are not
/// known are warned about.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_args: &Args, context: &Context<'_>) -> Result<Answer, Failure> {
    for setting in &context.loaded.effective {
        let origin = match setting.origin {
            Origin::Default => "default",
            Origin::Environment => "environment",
            Origin::Provider => "provider",
        };
        context.output.data(setting, format!("{}={}\t{origin}", setting.name, setting.value))?;
    }
    if let Some(object) = &context.settings().object {
        output::note(format!("the endpoint's provider: {}", object.provider.name));
    }
    Ok(Answer::Yes)
}
