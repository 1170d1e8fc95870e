//! The server and the settings of a seed.

use std::time::Duration;

use fake_s3::{
    AbortDuringComplete, AbortedUpload, Behaviour, CompleteCondition, CompletedUpload, PageLimits,
};
use rawsink::{
    secret::Secret,
    store::s3::{AccessKey, CompleteConditions, S3Config, Timing},
};

use super::{PART_ROWS, PREFIX, ROW_BYTES};
use crate::simulation::{
    options::{Lateness, Lie, Options},
    random::Random,
};

/// Draws the behaviour of the server.
pub(super) fn behaviour(random: &mut Random, options: Options) -> Behaviour {
    let complete_condition =
        random.pick(&[CompleteCondition::Ignored, CompleteCondition::Enforced]);
    let ignored = complete_condition == CompleteCondition::Ignored;
    // No server that enforces conditions loses contents. One that does guarantees nothing for requests
    // that it applies after the grace.
    let loses = ignored && random.happens(400) && options.lateness == Lateness::Assumed;
    let pages = random.pick(&[1, 2, 1000]);
    Behaviour {
        complete_condition,
        abort_during_complete: if loses {
            AbortDuringComplete::LosesContent
        } else {
            AbortDuringComplete::CancelsComplete
        },
        completed_upload: random.pick(&[
            CompletedUpload::NoSuchUpload,
            CompletedUpload::SameTag,
            CompletedUpload::EmptyTag,
            if ignored {
                CompletedUpload::TagOfCurrentObject
            } else {
                CompletedUpload::NoSuchUpload
            },
        ]),
        aborted_upload: random.pick(&[AbortedUpload::Gone, AbortedUpload::ListedAfterLatePart]),
        page_limits: PageLimits { objects: pages, uploads: pages, ..PageLimits::default() },
        // The upload listing is drawn with the cleaners, which alone use it.
        ..Behaviour::default()
    }
}

/// Draws the settings. They may know that the server enforces conditions.
pub(super) fn settings(random: &mut Random, behaviour: &Behaviour, options: Options) -> S3Config {
    let known = behaviour.complete_condition == CompleteCondition::Enforced && random.happens(700);
    let known = known || options.lie == Some(Lie::ConditionsIgnored);
    let (grace, deadline, timeout, complete) =
        random.pick(&[(90, 60, 20, 600), (90, 60, 20, 600), (20, 5, 10, 200), (600, 60, 20, 300)]);
    let loses = behaviour.abort_during_complete == AbortDuringComplete::LosesContent;
    let timing = Timing {
        leftover_grace: Duration::from_secs(match options.lie {
            Some(Lie::GraceTooShort) => 1,
            _ if loses => complete + 60,
            _ => grace,
        }),
        seal_deadline: Duration::from_secs(deadline),
        seal_timeout: Duration::from_secs(timeout),
        complete_deadline: Duration::from_secs(complete),
    };
    let key = AccessKey::new(Secret::value("key"), Secret::value("secret"));
    let config = S3Config::builder("http://s3.test", "landing", PREFIX, key)
        .allow_http(true)
        .uploads_in_flight(random.pick(&[1, 4]))
        .complete_conditions(if known {
            CompleteConditions::Enforced
        } else {
            CompleteConditions::Ignored
        })
        .build()
        .expect("the values are constants");
    // Parts below the minimum of real servers, so that a few rows fill several of them.
    config
        .with_unchecked_part_bytes(ROW_BYTES * usize::try_from(PART_ROWS).expect("a few rows"))
        .with_unchecked_timing(timing)
}
