//! A path that is parsed prints as a path that is parsed to the same place.
//!
//! The input is the root and the path, separated by a zero byte; without one the root is empty.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rawsink::{
    ErrorKind, LogicalDate,
    layout::{Level, Place},
    store::StorePath,
};

fuzz_target!(|text: &str| {
    let (root, path) = text.split_once('\0').unwrap_or(("", text));
    match Place::parse(path, root) {
        Ok(place) => prints_as_itself(&place, root),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid),
    }
});

fn prints_as_itself(place: &Place, root: &str) {
    let printed = place.to_string();
    assert_eq!(Place::parse(&printed, "").unwrap(), *place);
    // A root with the name of a customer, and a source with that of a query: the path may be one below another root.
    let is_of_customer = root.contains("customer_id=") && printed.starts_with("query_name=");
    // A source with the name of a date: below three segments it is where a short path has its date.
    let root_length = root.split('/').filter(|segment| !matches!(*segment, "" | ".")).count();
    let is_short =
        !root.starts_with('/') && root_length == 3 && printed.parse::<LogicalDate>().is_ok();
    if !is_of_customer && !is_short {
        assert_eq!(Place::parse(&format!("{root}/{printed}"), root).unwrap(), *place, "{root}");
    }
    // One segment after the other, as a listing finds them.
    let children = place.store_path().segments().try_fold(Place::top(), |at, it| at.child(it));
    assert_eq!(children.as_ref(), Some(place));
    for (value, level) in place.values().zip(Level::ALL) {
        level.check(value).unwrap();
        assert!(!matches!(value, "." | "..") && !value.contains('/'), "{value}");
    }
    if let (Some(key), Some(run)) = (place.partition(), place.run()) {
        assert_eq!(Place::of_run(&key, &run), *place);
        assert!(place.store_path().below(&StorePath::root()).is_some());
    }
}
