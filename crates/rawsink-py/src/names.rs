//! The JSON text of names that return in each row. Rows of one program mostly share the objects of their names.

use pyo3::{prelude::*, types::PyString};

/// Number of places; a power of two.
const PLACES: usize = 256;

/// Number of neighbouring places in which a name may be.
const NEIGHBOURS: usize = 4;

/// Number of names in vain after which nothing is kept: each row brings objects of its own.
const MOST_IN_VAIN: i32 = 1_000;

/// Longest text that is kept, in bytes.
const MOST_BYTES: usize = 256;

/// Names by the address of their object, which stays the same while the object is kept here.
///
/// Belongs to one call: it may be dropped only while the interpreter is attached.
pub(crate) struct Names {
    places: Vec<Option<Name>>,
    /// Number of names that were missing, less those that were found.
    in_vain: i32,
}

struct Name {
    object: Py<PyString>,
    /// The name with its quotation marks and the colon.
    text: Box<[u8]>,
}

impl Names {
    pub(crate) fn new() -> Self {
        let mut places = Vec::new();
        places.resize_with(PLACES, || None);
        Self { places, in_vain: 0 }
    }

    /// Returns the text of a name that was kept.
    pub(crate) fn get(&mut self, name: &Bound<'_, PyAny>) -> Option<&[u8]> {
        let first = first_place(name);
        let mut places = (first..first + NEIGHBOURS).map(|place| place % PLACES);
        let is_it = |found: &Name| found.object.as_ptr() == name.as_ptr();
        let place = places.find(|&place| self.places[place].as_ref().is_some_and(is_it))?;
        self.in_vain = self.in_vain.saturating_sub(1);
        self.places[place].as_ref().map(|found| &*found.text)
    }

    /// Keeps the text of a name, in an empty place or that of another one.
    pub(crate) fn keep(&mut self, name: &Bound<'_, PyString>, text: &[u8]) {
        if self.in_vain >= MOST_IN_VAIN || text.len() > MOST_BYTES {
            return;
        }
        self.in_vain += 1;
        let first = first_place(name.as_any());
        let mut places = (first..first + NEIGHBOURS).map(|place| place % PLACES);
        let place = places.find(|&place| self.places[place].is_none()).unwrap_or(first);
        self.places[place] = Some(Name { object: name.clone().unbind(), text: text.into() });
    }
}

/// Returns the place of a name: objects are at multiples of 16 bytes.
fn first_place(name: &Bound<'_, PyAny>) -> usize {
    let address = name.as_ptr().addr() >> 4;
    (address ^ (address >> 8)) % PLACES
}
