//! Step 3: wait until a slower writer of the run had time to seal, to yield or to give up.

use std::time::Duration;

use super::S3Attempt;

impl S3Attempt {
    /// Returns the rest of the grace.
    fn grace_left(&self) -> Duration {
        let met_leftover = self.replaced.as_ref().is_some_and(|replaced| !replaced.own);
        let met_upload = self.aborted_another && !self.enforces_conditions();
        if !met_leftover && !met_upload {
            return Duration::ZERO;
        }
        (self.quiet_since + self.context.timing.leftover_grace).saturating_sub(self.monotonic())
    }

    /// Waits until the grace is over.
    pub(super) async fn wait_for_grace(&self) {
        let left = self.grace_left();
        if !left.is_zero() {
            let seconds = left.as_secs() + 1;
            tracing::info!(
                "waiting {seconds} s: an earlier writer of this run may still be active"
            );
        }
        // A sleep may end early.
        while !self.grace_left().is_zero() {
            self.context.retrier.runtime.clock.sleep(self.grace_left()).await;
        }
    }
}
