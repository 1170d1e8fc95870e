//! Python values as JSON text: dict, list, tuple, str, int of any size, float, bool and None.
//!
//! As strict as `json.dumps(value, allow_nan=False)`, and stricter with names: only text is a name.
//! Nothing else is converted unless the caller's `default` does.

use std::ptr;

use pyo3::{
    Borrowed, ffi,
    prelude::*,
    types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple},
};

use crate::{errors, names::Names};

/// Deepest nesting: the stacks of threads are small, and a value that contains itself never ends.
const MAX_LEVELS: usize = 500;

/// Number of steps of a path that a message shows.
const MOST_STEPS: usize = 10;

/// Why a value has no JSON text.
pub(crate) enum Fault {
    /// It cannot be expressed.
    Refused(Box<Refusal>),
    /// `default`, or another method of the value, raised this.
    Raised(PyErr),
}

/// What cannot be expressed, and where.
pub(crate) struct Refusal {
    what: String,
    /// The path to the value, innermost first.
    path: Vec<String>,
    /// What `default` raised.
    pub(crate) cause: Option<PyErr>,
}

impl Refusal {
    /// Returns the reason, with the path: `.cost: NaN is not a JSON number`.
    pub(crate) fn reason(&self) -> String {
        let skipped = self.path.len().saturating_sub(MOST_STEPS);
        let mut path = if skipped > 0 { "...".to_owned() } else { String::new() };
        path.extend(self.path.iter().take(MOST_STEPS).rev().map(String::as_str));
        if path.is_empty() { self.what.clone() } else { format!("{path}: {}", self.what) }
    }
}

fn refused<T>(what: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Refused(Box::new(Refusal { what: what.into(), path: Vec::new(), cause: None })))
}

impl From<PyErr> for Fault {
    fn from(raised: PyErr) -> Self {
        Self::Raised(raised)
    }
}

/// Appends the JSON text of a value. After a fault the text is incomplete.
///
/// `names` keeps the text of names for the next row.
pub(crate) fn write(
    out: &mut Vec<u8>,
    value: &Bound<'_, PyAny>,
    default: Option<&Bound<'_, PyAny>>,
    names: Option<&mut Names>,
) -> Result<(), Fault> {
    Walk { out, default, names, levels: 0 }.value(value)
}

struct Walk<'o, 'd, 'py> {
    out: &'o mut Vec<u8>,
    default: Option<&'d Bound<'py, PyAny>>,
    names: Option<&'o mut Names>,
    levels: usize,
}

impl<'py> Walk<'_, '_, 'py> {
    fn value(&mut self, value: &Bound<'py, PyAny>) -> Result<(), Fault> {
        if let Ok(text) = value.cast_exact::<PyString>() {
            return self.text(text);
        }
        if let Ok(number) = value.cast_exact::<PyInt>() {
            return self.integer(number);
        }
        if let Ok(number) = value.cast_exact::<PyFloat>() {
            return self.number(number.value());
        }
        if value.is_none() {
            self.out.extend_from_slice(b"null");
            return Ok(());
        }
        if let Ok(flag) = value.cast_exact::<PyBool>() {
            self.out.extend_from_slice(if flag.is_true() { b"true" } else { b"false" });
            return Ok(());
        }
        // From here on Python code may run, and remove a value from what contains it.
        let value = value.clone();
        if let Ok(members) = value.cast_exact::<PyDict>() {
            return self.members(members);
        }
        if let Ok(items) = value.cast_exact::<PyList>() {
            return self.items(items);
        }
        self.unusual(&value)
    }

    /// Takes tuples and subclasses, as `json.dumps` does, and passes anything else to `default`.
    fn unusual(&mut self, value: &Bound<'py, PyAny>) -> Result<(), Fault> {
        if let Ok(items) = value.cast::<PyTuple>() {
            return self.array(items.iter());
        }
        if let Ok(text) = value.cast::<PyString>() {
            return self.text(text);
        }
        if let Ok(number) = value.cast::<PyInt>() {
            return self.integer(number);
        }
        if let Ok(number) = value.cast::<PyFloat>() {
            return self.number(number.value());
        }
        if let Ok(members) = value.cast::<PyDict>() {
            let items = members.call_method0("items")?;
            let pairs =
                items.try_iter()?.map(|pair| pair?.extract()).collect::<PyResult<Vec<_>>>()?;
            return self.object(pairs.into_iter());
        }
        if let Ok(items) = value.cast::<PyList>() {
            return self.array(items.iter());
        }
        let kind = value.get_type().name()?;
        let Some(default) = self.default else {
            return refused(format!(
                "a value of type {kind} is not JSON; convert it, or pass default="
            ));
        };
        self.enter()?;
        let converted = default.call1((value,));
        let outcome = match converted {
            Ok(converted) => self.value(&converted),
            Err(raised) if raised.is_instance_of::<pyo3::exceptions::PyException>(value.py()) => {
                let what = format!("default= does not convert a value of type {kind}");
                let cause = Some(raised);
                Err(Fault::Refused(Box::new(Refusal { what, path: Vec::new(), cause })))
            }
            Err(raised) => Err(Fault::Raised(raised)),
        };
        self.levels -= 1;
        outcome
    }

    fn enter(&mut self) -> Result<(), Fault> {
        if self.levels >= MAX_LEVELS {
            return refused(format!(
                "the value has more than {MAX_LEVELS} levels, or contains itself"
            ));
        }
        self.levels += 1;
        Ok(())
    }

    /// Takes a dict. `default` may change it meanwhile, so it gets a copy.
    #[expect(unsafe_code, reason = "borrows the members")]
    fn members(&mut self, members: &Bound<'py, PyDict>) -> Result<(), Fault> {
        let copy = self.default.map(|_| members.copy()).transpose()?;
        let members = copy.as_ref().unwrap_or(members);
        self.enter()?;
        self.out.push(b'{');
        let (mut position, mut number, count) = (0, 0, members.len());
        // SAFETY: `member` runs Python code only after its last use of what is not its own.
        while let Some((name, value)) = unsafe { next_member(members, &mut position) } {
            self.member(number, &name, &value)?;
            number += 1;
            if number > count {
                break;
            }
        }
        if number != count || members.len() != count {
            return refused("the dict changed while it was written");
        }
        self.out.push(b'}');
        self.levels -= 1;
        Ok(())
    }

    /// Takes a list.
    #[expect(unsafe_code, reason = "borrows the items")]
    fn items(&mut self, items: &Bound<'py, PyList>) -> Result<(), Fault> {
        self.enter()?;
        self.out.push(b'[');
        let mut number = 0;
        // SAFETY: `value` runs Python code only after its last use of what is not its own.
        while let Some(item) = unsafe { item_at(items, number) } {
            self.item(number, &item)?;
            number += 1;
        }
        self.out.push(b']');
        self.levels -= 1;
        Ok(())
    }

    fn object(
        &mut self,
        members: impl Iterator<Item = (Bound<'py, PyAny>, Bound<'py, PyAny>)>,
    ) -> Result<(), Fault> {
        self.enter()?;
        self.out.push(b'{');
        for (number, (name, value)) in members.enumerate() {
            self.member(number, &name, &value)?;
        }
        self.out.push(b'}');
        self.levels -= 1;
        Ok(())
    }

    fn member(
        &mut self,
        number: usize,
        name: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> Result<(), Fault> {
        if number > 0 {
            self.out.push(b',');
        }
        let start = self.out.len();
        self.name(name)?;
        let end = self.out.len();
        self.value(value).map_err(|fault| {
            let name = String::from_utf8_lossy(&self.out[start + 1..end - 2]);
            below(fault, || format!(".{name}"))
        })
    }

    /// Writes the name of a member, and the colon.
    fn name(&mut self, name: &Bound<'py, PyAny>) -> Result<(), Fault> {
        if let Some(text) = self.names.as_mut().and_then(|names| names.get(name)) {
            self.out.extend_from_slice(text);
            return Ok(());
        }
        let start = self.out.len();
        if let Ok(text) = name.cast_exact::<PyString>() {
            self.text(text)?;
            self.out.push(b':');
            if let Some(names) = &mut self.names {
                names.keep(text, &self.out[start..]);
            }
            return Ok(());
        }
        let Ok(text) = name.clone().cast_into::<PyString>() else {
            let kind = name.get_type().name()?;
            return refused(format!("a name is of type {kind}; JSON names are text"));
        };
        self.text(&text)?;
        self.out.push(b':');
        Ok(())
    }

    fn item(&mut self, number: usize, item: &Bound<'py, PyAny>) -> Result<(), Fault> {
        if number > 0 {
            self.out.push(b',');
        }
        self.value(item).map_err(|fault| below(fault, || format!("[{number}]")))
    }

    fn array(&mut self, items: impl Iterator<Item = Bound<'py, PyAny>>) -> Result<(), Fault> {
        self.enter()?;
        self.out.push(b'[');
        for (number, item) in items.enumerate() {
            self.item(number, &item)?;
        }
        self.out.push(b']');
        self.levels -= 1;
        Ok(())
    }

    fn text(&mut self, text: &Bound<'py, PyString>) -> Result<(), Fault> {
        match text.to_str() {
            Ok(text) if is_plain(text.as_bytes()) => {
                self.out.reserve(text.len() + 2);
                self.out.push(b'"');
                self.out.extend_from_slice(text.as_bytes());
                self.out.push(b'"');
            }
            Ok(text) => serde_json::to_writer(&mut *self.out, text).map_err(errors::bug)?,
            Err(_) => self.surrogates(&text.clone())?,
        }
        Ok(())
    }

    /// Writes a text with lone surrogates, which UTF-8 cannot express: as escapes.
    fn surrogates(&mut self, text: &Bound<'py, PyString>) -> Result<(), Fault> {
        let units: Vec<u8> =
            text.call_method1("encode", ("utf-16-le", "surrogatepass"))?.extract()?;
        let units = units.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        self.out.push(b'"');
        let mut written = Vec::new();
        for unit in char::decode_utf16(units) {
            match unit {
                Ok(character) => {
                    written.clear();
                    let text = character.encode_utf8(&mut [0; 4]).to_owned();
                    serde_json::to_writer(&mut written, &text).map_err(errors::bug)?;
                    self.out.extend_from_slice(&written[1..written.len() - 1]);
                }
                Err(lone) => {
                    let escape = format!("\\u{:04x}", lone.unpaired_surrogate());
                    self.out.extend_from_slice(escape.as_bytes());
                }
            }
        }
        self.out.push(b'"');
        Ok(())
    }

    fn integer(&mut self, number: &Bound<'py, PyInt>) -> Result<(), Fault> {
        if let Ok(number) = number.extract::<i64>() {
            return Ok(serde_json::to_writer(&mut *self.out, &number).map_err(errors::bug)?);
        }
        let number = number.clone();
        // An exact decimal has no limit of digits, which the text of an int has.
        let decimal = number.py().import("decimal")?.getattr("Decimal")?.call1((number,))?;
        let digits = decimal.str()?;
        self.out.extend_from_slice(digits.to_str()?.as_bytes());
        Ok(())
    }

    fn number(&mut self, number: f64) -> Result<(), Fault> {
        if !number.is_finite() {
            return refused(format!("{number} is not a JSON number"));
        }
        Ok(serde_json::to_writer(&mut *self.out, &number).map_err(errors::bug)?)
    }
}

/// Returns the next member, borrowed from the dict: to count its references takes a sixth of the time of a row.
///
/// # Safety
/// Neither may be used after Python code ran.
#[expect(unsafe_code, reason = "the safe iterator counts references")]
unsafe fn next_member<'a, 'py>(
    members: &'a Bound<'py, PyDict>,
    position: &mut ffi::Py_ssize_t,
) -> Option<(Borrowed<'a, 'py, PyAny>, Borrowed<'a, 'py, PyAny>)> {
    let (mut name, mut value) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the dict lives as long as `members`, and the interpreter is attached. A dict that was changed
    // has other members, or none.
    unsafe {
        if ffi::PyDict_Next(members.as_ptr(), position, &raw mut name, &raw mut value) == 0 {
            return None;
        }
        let py = members.py();
        Some((Borrowed::from_ptr(py, name), Borrowed::from_ptr(py, value)))
    }
}

/// Returns an item, borrowed from the list; `None` at its end.
///
/// # Safety
/// It may not be used after Python code ran.
#[expect(unsafe_code, reason = "the safe iterator counts references")]
unsafe fn item_at<'a, 'py>(
    items: &'a Bound<'py, PyList>,
    number: usize,
) -> Option<Borrowed<'a, 'py, PyAny>> {
    if number >= items.len() {
        return None;
    }
    // SAFETY: the list lives as long as `items`, the interpreter is attached, and the item exists.
    unsafe {
        let item = ffi::PyList_GetItem(items.as_ptr(), number.cast_signed());
        Some(Borrowed::from_ptr(items.py(), item))
    }
}

/// Returns whether a text needs no escape.
#[expect(clippy::needless_bitwise_bool, reason = "without branches it is vectorised")]
fn is_plain(text: &[u8]) -> bool {
    let needs_escape = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    !text.iter().fold(false, |found, &byte| found | needs_escape(byte))
}

/// Adds a step to the path of a fault.
fn below(mut fault: Fault, step: impl FnOnce() -> String) -> Fault {
    if let Fault::Refused(refusal) = &mut fault {
        refusal.path.push(step());
    }
    fault
}

/// Returns the JSON text of a value, as bytes.
///
/// Raises `TypeError` for a value that has none.
#[pyfunction]
#[pyo3(signature = (value, default=None))]
pub(crate) fn dumps<'py>(
    value: &Bound<'py, PyAny>,
    default: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, pyo3::types::PyBytes>> {
    let mut out = Vec::new();
    text_of(&mut out, value, default)?;
    Ok(pyo3::types::PyBytes::new(value.py(), &out))
}

/// Appends the JSON text of a value that is no row, such as metadata.
pub(crate) fn text_of(
    out: &mut Vec<u8>,
    value: &Bound<'_, PyAny>,
    default: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    write(out, value, default, None).map_err(|fault| match fault {
        Fault::Raised(raised) => raised,
        Fault::Refused(refusal) => {
            let raised = pyo3::exceptions::PyTypeError::new_err(refusal.reason());
            raised.set_cause(value.py(), refusal.cause);
            raised
        }
    })
}
