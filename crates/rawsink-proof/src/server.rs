//! An S3 server as data: one bucket, whose requests are applied one at a time.
//!
//! It knows no network, no time and no chance: whoever applies a request decides when that is and
//! which names the server gives. So the model can explore every order, and the simulation can draw
//! one from a seed, over the same behaviour. Where real servers differ, [`Behaviour`] says how.
//!
//! All requests but Complete are applied in one go. Complete may take time: `begin_complete` and
//! `end_complete` are its two ends, and what meets it in between is a matter of behaviour.

mod behaviour;
mod cleaning;
mod requests;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt::Debug, hash::Hash};

pub use self::{
    behaviour::{
        AbortMeetingComplete, Behaviour, Conditions, LatePart, SecondComplete, UploadListing,
    },
    requests::{Condition, Head, Moment, OpenUpload, Refusal, Reply, Request, Tag, UploadId},
};

/// A name of an object.
pub trait Key: Clone + Ord + Hash + Debug {
    /// Tells whether a listing of this prefix shows the object.
    fn is_below(&self, prefix: &Self) -> bool;

    /// Tells whether every object is below this prefix.
    fn is_top(&self) -> bool;
}

impl Key for String {
    fn is_below(&self, prefix: &Self) -> bool {
        self.starts_with(prefix.as_str())
    }

    fn is_top(&self) -> bool {
        self.is_empty()
    }
}

/// An object's content.
pub trait Body: Clone + Eq + Hash + Debug {
    /// Returns the length in bytes.
    fn bytes(&self) -> u64;

    /// Puts the parts of an upload together, in the order of their numbers.
    fn join<'a>(parts: impl Iterator<Item = &'a Self>) -> Self
    where
        Self: 'a;
}

/// The server: keys, bodies and writers' tokens are the caller's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server<K: Ord, B, W> {
    /// How it differs from others.
    pub behaviour: Behaviour,
    /// The objects.
    pub objects: BTreeMap<K, Stored<B, W>>,
    /// What an upload listing shows.
    pub uploads: BTreeMap<UploadId, Upload<K, B, W>>,
    /// Uploads that were ended while their Complete ran, on a server that completes them even so.
    ended_running: BTreeMap<UploadId, Upload<K, B, W>>,
    /// Uploads that were ended, where a late part lists them again.
    ended: BTreeMap<UploadId, Upload<K, B, W>>,
    /// Uploads that were completed, where a second Complete is answered.
    completed: BTreeMap<UploadId, Tag>,
    /// The keys of uploads that are gone, where a Complete of one is answered by what is there.
    gone: BTreeMap<UploadId, K>,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Stored<B, W> {
    /// The content.
    pub body: B,
    /// The token in the user metadata.
    pub token: W,
    /// The tag that the server gave.
    pub tag: Tag,
    /// Time of the last change.
    pub modified: u64,
    /// Whether the content stays.
    pub fate: Fate,
}

/// Whether an object's content stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It does.
    Whole,
    /// It looks whole; the server's garbage collection will take it.
    Doomed,
    /// HEAD still shows it; its content is gone.
    Lost,
}

/// A multipart upload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Upload<K, B, W> {
    /// The object that it is going to be.
    pub key: K,
    /// The token in the user metadata.
    pub token: W,
    /// Time of the creation, as the server that took it saw it.
    pub initiated: u64,
    /// The parts by their numbers.
    pub parts: BTreeMap<i32, (Tag, B)>,
    /// How far it has come.
    pub state: UploadState,
}

/// How far an upload has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UploadState {
    /// It takes parts.
    Open,
    /// A Complete of these parts runs.
    Completing(Vec<(i32, Tag)>, Condition),
    /// It was ended and is listed again; it cannot complete.
    Echo,
    /// It was completed and is listed all the same; to end it takes the object's content.
    Completed,
}

impl<K: Key, B: Body, W: Clone + Eq + Hash + Debug> Server<K, B, W> {
    /// Returns an empty server.
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
            ended_running: BTreeMap::new(),
            ended: BTreeMap::new(),
            completed: BTreeMap::new(),
            gone: BTreeMap::new(),
        }
    }

    /// Applies a request in one go and returns what the server answers.
    pub fn apply(&mut self, request: Request<K, B, W>, at: Moment) -> Reply<K, B, W> {
        match request {
            Request::List { prefix, after } => self.list(&prefix, after.as_ref()),
            Request::Head { key } => Reply::Head(self.objects.get(&key).map(Stored::head)),
            Request::Get { key } => self.get(&key),
            Request::Create { key, body, token } => self.create(key, body, token, at),
            Request::CreateUpload { key, token } => {
                let (initiated, parts) = (at.time, BTreeMap::new());
                let state = UploadState::Open;
                self.uploads.insert(at.name, Upload { key, token, initiated, parts, state });
                Reply::UploadCreated(at.name)
            }
            Request::UploadPart { upload, number, body } => {
                self.upload_part(upload, number, body, at)
            }
            Request::ListUploads { key } => Reply::Uploads(self.open_uploads(&key)),
            Request::Complete { upload, parts, condition } => {
                match self.begin_complete(upload, parts, condition) {
                    Ok(()) => self.end_complete(upload, at),
                    Err(reply) => reply,
                }
            }
            Request::Abort { upload } => self.abort(upload),
            Request::ListUploadsBelow { prefix, after } => {
                self.uploads_below(&prefix, after.as_ref())
            }
            Request::ListParts { upload } => self.parts_of(upload),
            Request::Delete { key, tag } => self.delete(&key, tag),
        }
    }

    /// Begins a Complete. While it runs its upload is listed and its object does not appear.
    ///
    /// # Errors
    /// The answer, where there is nothing to complete.
    pub fn begin_complete(
        &mut self,
        upload: UploadId,
        parts: Vec<(i32, Tag)>,
        condition: Condition,
    ) -> Result<(), Reply<K, B, W>> {
        let missing = self.missing(upload);
        let Some(open) = self.uploads.get_mut(&upload) else {
            return Err(missing);
        };
        match open.state {
            UploadState::Echo | UploadState::Completed => {
                return Err(Reply::Refused(Refusal::NoSuchUpload));
            }
            UploadState::Completing(..) => return Err(Reply::Refused(Refusal::InProgress)),
            UploadState::Open => {}
        }
        let has = |(number, tag): &(i32, Tag)| open.parts.get(number).is_some_and(|p| p.0 == *tag);
        if parts.is_empty() || !parts.iter().all(has) {
            return Err(Reply::Refused(Refusal::InvalidPart));
        }
        open.state = UploadState::Completing(parts, condition);
        Ok(())
    }

    /// Ends a Complete that runs, and returns what the server answers.
    pub fn end_complete(&mut self, id: UploadId, at: Moment) -> Reply<K, B, W> {
        let (upload, fate) = match (self.uploads.remove(&id), self.ended_running.remove(&id)) {
            (Some(upload), _) => (upload, Fate::Whole),
            (None, Some(upload)) => (upload, Fate::Doomed),
            (None, None) => return self.missing(id),
        };
        let UploadState::Completing(parts, condition) = &upload.state else {
            // Ended and listed again meanwhile.
            self.uploads.insert(id, upload);
            return Reply::Refused(Refusal::NoSuchUpload);
        };
        let refused = *condition == Condition::CreateOnly
            && self.behaviour.conditions == Conditions::Enforced
            && self.objects.contains_key(&upload.key);
        if refused {
            if fate == Fate::Whole {
                self.uploads.insert(id, Upload { state: UploadState::Open, ..upload });
            }
            return Reply::Refused(Refusal::PreconditionFailed);
        }
        let bodies = parts.iter().filter_map(|(number, _)| Some(&upload.parts.get(number)?.1));
        let body = B::join(bodies);
        let tag = at.name;
        let stored = Stored { body, token: upload.token, tag, modified: at.time, fate };
        self.objects.insert(upload.key.clone(), stored);
        match self.behaviour.second_complete {
            SecondComplete::NoSuchUpload => {}
            SecondComplete::SameTag | SecondComplete::EmptyTag => {
                self.completed.insert(id, tag);
            }
            SecondComplete::TagOfWhatIsThere => {
                self.gone.insert(id, upload.key);
                return Reply::Completed(None);
            }
        }
        Reply::Completed(Some(tag))
    }

    /// Returns what the Complete of an upload is answered that is not there.
    fn missing(&self, id: UploadId) -> Reply<K, B, W> {
        let second = self.behaviour.second_complete;
        match (self.completed.get(&id), self.gone.get(&id).map(|key| self.objects.get(key))) {
            (Some(_), _) if second == SecondComplete::EmptyTag => Reply::Completed(None),
            (Some(tag), _) => Reply::Completed(Some(*tag)),
            (None, Some(Some(there))) => Reply::Completed(Some(there.tag)),
            (None, Some(None)) => Reply::Refused(Refusal::InProgress),
            (None, None) => Reply::Refused(Refusal::NoSuchUpload),
        }
    }

    /// Tells whether the Complete of an upload runs.
    pub fn is_completing(&self, id: UploadId) -> bool {
        let listed = self.uploads.get(&id);
        self.ended_running.contains_key(&id)
            || listed.is_some_and(|upload| matches!(upload.state, UploadState::Completing(..)))
    }

    /// Tells whether an upload id was given and still means something.
    pub fn knows_upload(&self, id: UploadId) -> bool {
        self.uploads.contains_key(&id)
            || self.ended_running.contains_key(&id)
            || self.ended.contains_key(&id)
            || self.completed.contains_key(&id)
            || self.gone.contains_key(&id)
    }

    /// Forgets uploads that are gone and that nobody is going to name any more.
    pub fn forget_gone(&mut self, is_named: impl Fn(UploadId) -> bool) {
        self.completed.retain(|id, _| is_named(*id));
        self.gone.retain(|id, _| is_named(*id));
    }

    /// Lists an upload that was ended again.
    pub fn list_again(&mut self, id: UploadId) {
        if let Some(upload) = self.ended.remove(&id) {
            self.uploads.insert(id, Upload { state: UploadState::Echo, ..upload });
        }
    }

    /// Returns the uploads that may be listed again.
    pub fn ended(&self) -> impl Iterator<Item = UploadId> {
        self.ended.keys().copied()
    }

    /// Takes the content of doomed objects, as the server does hours later.
    pub fn collect_garbage(&mut self) {
        for stored in self.objects.values_mut().filter(|stored| stored.fate == Fate::Doomed) {
            stored.fate = Fate::Lost;
        }
    }

    fn list(&self, prefix: &K, after: Option<&K>) -> Reply<K, B, W> {
        let mut found = self
            .objects
            .iter()
            .filter(|(key, _)| key.is_below(prefix) && after.is_none_or(|after| *key > after))
            .map(|(key, stored)| (key.clone(), Head { token: None, ..stored.head() }));
        let page: Vec<_> = found.by_ref().take(self.behaviour.page_keys).collect();
        let next = page.last().filter(|_| found.next().is_some()).map(|(key, _)| key.clone());
        Reply::Listed(page, next)
    }

    fn get(&self, key: &K) -> Reply<K, B, W> {
        match self.objects.get(key) {
            Some(stored) if stored.fate != Fate::Lost => {
                Reply::Content(Some((stored.head(), stored.body.clone())))
            }
            _ => Reply::Content(None),
        }
    }

    fn create(&mut self, key: K, body: B, token: W, at: Moment) -> Reply<K, B, W> {
        if self.objects.contains_key(&key) {
            return Reply::Refused(Refusal::PreconditionFailed);
        }
        let (tag, modified, fate) = (at.name, at.time, Fate::Whole);
        self.objects.insert(key, Stored { body, token, tag, modified, fate });
        Reply::Created(tag)
    }

    fn upload_part(&mut self, id: UploadId, number: i32, body: B, at: Moment) -> Reply<K, B, W> {
        if self.behaviour.late_part == LatePart::ListsUploadAgain {
            self.list_again(id);
        }
        let Some(upload) = self.uploads.get_mut(&id) else {
            return Reply::Refused(Refusal::NoSuchUpload);
        };
        upload.parts.insert(number, (at.name, body));
        Reply::PartTaken(at.name)
    }

    fn open_uploads(&self, key: &K) -> Vec<OpenUpload> {
        let of_key = self.uploads.iter().filter(|(_, upload)| upload.key == *key);
        of_key.map(|(id, upload)| OpenUpload { initiated: upload.initiated, id: *id }).collect()
    }

    fn abort(&mut self, id: UploadId) -> Reply<K, B, W> {
        let Some(upload) = self.uploads.remove(&id) else {
            return Reply::Refused(Refusal::NoSuchUpload);
        };
        if self.behaviour.second_complete == SecondComplete::TagOfWhatIsThere {
            self.gone.insert(id, upload.key.clone());
        }
        let runs = matches!(upload.state, UploadState::Completing(..));
        if upload.state == UploadState::Completed {
            self.ruin(&upload.key);
        }
        if runs && self.behaviour.abort_meeting_complete == AbortMeetingComplete::Ruins {
            self.ended_running.insert(id, upload);
        } else if self.behaviour.late_part == LatePart::ListsUploadAgain {
            self.ended.insert(id, upload);
        }
        Reply::Aborted
    }
}

impl<B: Body, W: Clone> Stored<B, W> {
    /// Returns what HEAD shows.
    pub fn head(&self) -> Head<W> {
        let (tag, modified, bytes) = (self.tag, self.modified, self.body.bytes());
        Head { tag, modified, bytes, token: Some(self.token.clone()) }
    }
}
