//! `clean` beside writers: it ends uploads that have seen nothing for so long that no request of
//! then is under way any more.

use super::{
    configuration::Configuration,
    ids::Ids,
    network::Sent,
    time::Marks,
    world::{Cleaning, State, World},
};

impl State {
    /// Returns the uploads that may be ended next.
    pub(super) fn cleanable(&self, configuration: &Configuration) -> Ids {
        let listed = self.listed().into_iter().collect::<Ids>();
        match self.cleaning {
            Cleaning::Counts(ids) if self.may_outwait(configuration, Marks::CLEAN) => {
                ids.within(listed)
            }
            Cleaning::Ends(ids) => ids.within(listed),
            Cleaning::No | Cleaning::Counts(_) => Ids::NONE,
        }
    }
}

impl World<'_> {
    /// Notes the uploads that are listed; their age counts from here.
    pub(super) fn clean_begins(&mut self) {
        let listed = self.state.listed().into_iter().collect();
        self.state.cleaning = Cleaning::Counts(listed);
        self.quiet_since(Marks::CLEAN);
    }

    /// An upload saw a part, so it is not old.
    pub(super) fn clean_sees_part(&mut self, id: u8) {
        if let Cleaning::Counts(ids) = self.state.cleaning {
            self.state.cleaning = Cleaning::Counts(ids.without(Ids::one(id)));
        }
    }

    /// Ends an upload.
    pub(super) fn cleans(&mut self, id: u8) {
        let ids = match self.state.cleaning {
            Cleaning::Counts(ids) => {
                self.outwait(Marks::CLEAN);
                ids
            }
            Cleaning::Ends(ids) => ids,
            Cleaning::No => unreachable!("it cleans"),
        };
        self.apply(Sent::Abort(id));
        self.state.cleaning = Cleaning::Ends(ids.without(Ids::one(id)));
    }

    /// Ends the work where nothing is left to end.
    pub(super) fn tidy_cleaning(&mut self) {
        let listed = self.state.listed().into_iter().collect::<Ids>();
        self.state.cleaning = match self.state.cleaning {
            Cleaning::Counts(ids) if !ids.within(listed).is_empty() => {
                Cleaning::Counts(ids.within(listed))
            }
            Cleaning::Ends(ids) if !ids.within(listed).is_empty() => {
                Cleaning::Ends(ids.within(listed))
            }
            Cleaning::No => Cleaning::No,
            Cleaning::Counts(_) | Cleaning::Ends(_) => {
                self.forget_wait(Marks::CLEAN);
                Cleaning::No
            }
        };
    }
}
