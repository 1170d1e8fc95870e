//! Temporary keys, with a session token and no more rights than a policy gives.

use crate::{
    landing::{Landing, answer},
    parity::client::between,
};

/// Gives a landing its own key with exactly the rights of `policy`.
pub(super) fn limited(landing: Landing, policy: &str) -> Landing {
    let keys = ["RAW_SINK_ACCESS_KEY_ID", "RAW_SINK_SECRET_ACCESS_KEY"];
    let mut command = landing.command_of("curl");
    command
        .args(["-sf", "--aws-sigv4", "aws:amz:us-east-1:sts", "--user"])
        .arg(keys.map(|name| landing.var(name)).join(":"))
        .args(["-d", "Action=AssumeRole", "-d", "Version=2011-06-15", "--data-urlencode"])
        .arg(format!("Policy={policy}"))
        .arg(landing.var("RAW_SINK_ENDPOINT_URL"));
    let given = answer(command, b"").exits(0).stdout;
    let value =
        |name: &str| between(&given, &format!("<{name}>"), &format!("</{name}>"))[0].to_owned();
    landing
        .with("RAW_SINK_ACCESS_KEY_ID", value("AccessKeyId"))
        .with("RAW_SINK_SECRET_ACCESS_KEY", value("SecretAccessKey"))
        .with("RAW_SINK_SESSION_TOKEN", value("SessionToken"))
}
