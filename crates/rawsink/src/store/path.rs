//! A path below a store's root.

use std::fmt;

/// A path below a store's root: safe segments joined by `/`. The root is empty.
///
/// Sorts byte by byte, like listings of object storage.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct StorePath(String);

impl StorePath {
    /// Returns the root.
    pub fn root() -> Self {
        Self::default()
    }

    /// Returns this path with one more segment. The caller checks the segment.
    ///
    /// # Panics
    /// If the segment is empty, `.`, `..` or contains a `/`.
    #[must_use]
    pub fn join(&self, segment: &str) -> Self {
        assert!(
            !matches!(segment, "" | "." | "..") && !segment.contains('/'),
            "unsafe segment {segment:?}"
        );
        if self.0.is_empty() {
            Self(segment.to_owned())
        } else {
            Self(format!("{}/{segment}", self.0))
        }
    }

    /// Returns the path's text, without a slash at either end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the segments, outermost first.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|segment| !segment.is_empty())
    }

    /// Returns the path above this one, and the last segment; `None` for the root.
    pub fn parent(&self) -> Option<(Self, &str)> {
        match self.0.rsplit_once('/') {
            Some((above, name)) => Some((Self(above.to_owned()), name)),
            None => Some((Self::root(), self.as_str())).filter(|_| !self.0.is_empty()),
        }
    }

    /// Returns the path relative to `dir`: `Some("")` for `dir` itself, `None` for a path outside
    /// it.
    pub fn below(&self, dir: &Self) -> Option<&str> {
        if dir.0.is_empty() {
            return Some(&self.0);
        }
        let rest = self.0.strip_prefix(dir.as_str())?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_compares_whole_segments() {
        let dir = StorePath::root().join("a=1");
        assert_eq!(dir.join("b").join("c").below(&dir), Some("b/c"));
        assert_eq!(dir.below(&dir), Some(""));
        assert_eq!(dir.below(&StorePath::root()), Some("a=1"));
        assert_eq!(StorePath::root().join("a=10").below(&dir), None);
    }

    #[test]
    #[should_panic(expected = "unsafe segment")]
    fn a_segment_cannot_leave_the_directory() {
        let _ = StorePath::root().join("..");
    }
}
