//! `clean` next to writers: it aborts uploads that no request has used for so long that all requests of
//! that time have ended.

use super::{
    configuration::Configuration,
    ids::UploadSet,
    network::SentRequest,
    time::WaitMarks,
    world::{CleanRun, ModelState, NextState},
};

impl ModelState {
    /// Returns the uploads that `clean` may abort next.
    pub(super) fn cleanable(&self, configuration: &Configuration) -> UploadSet {
        let listed = self.listed().into_iter().collect::<UploadSet>();
        match self.cleaning {
            CleanRun::Counts(ids) if self.may_outwait(configuration, WaitMarks::CLEAN) => {
                ids.within(listed)
            }
            CleanRun::Ends(ids) => ids.within(listed),
            CleanRun::No | CleanRun::Counts(_) => UploadSet::NONE,
        }
    }
}

impl NextState<'_> {
    /// Notes the listed uploads. Their age counts from now.
    pub(super) fn clean_begins(&mut self) {
        let listed = self.state.listed().into_iter().collect();
        self.state.cleaning = CleanRun::Counts(listed);
        self.quiet_since(WaitMarks::CLEAN);
    }

    /// Notes a part of an upload, which is no longer old.
    pub(super) fn clean_sees_part(&mut self, id: u8) {
        if let CleanRun::Counts(ids) = self.state.cleaning {
            self.state.cleaning = CleanRun::Counts(ids.without(UploadSet::one(id)));
        }
    }

    /// Aborts an upload.
    pub(super) fn cleans(&mut self, id: u8) {
        let ids = match self.state.cleaning {
            CleanRun::Counts(ids) => {
                self.outwait(WaitMarks::CLEAN);
                ids
            }
            CleanRun::Ends(ids) => ids,
            CleanRun::No => unreachable!("it cleans"),
        };
        self.apply(SentRequest::Abort(id));
        self.state.cleaning = CleanRun::Ends(ids.without(UploadSet::one(id)));
    }

    /// Ends the clean-up when no upload is left to abort.
    pub(super) fn tidy_cleaning(&mut self) {
        let listed = self.state.listed().into_iter().collect::<UploadSet>();
        self.state.cleaning = match self.state.cleaning {
            CleanRun::Counts(ids) if !ids.within(listed).is_empty() => {
                CleanRun::Counts(ids.within(listed))
            }
            CleanRun::Ends(ids) if !ids.within(listed).is_empty() => {
                CleanRun::Ends(ids.within(listed))
            }
            CleanRun::No => CleanRun::No,
            CleanRun::Counts(_) | CleanRun::Ends(_) => {
                self.forget_wait(WaitMarks::CLEAN);
                CleanRun::No
            }
        };
    }
}
