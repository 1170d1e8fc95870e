//! The buffers that collect rows into parts.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Collects bytes into parts of exactly the size that the store requests.
///
/// A buffer is reused when the store has released its part, so there are as many buffers as parts
/// held at one time. New buffers for each part would leave equally large gaps in the heap, and the
/// system would have to map every page again.
#[derive(Debug)]
pub(super) struct PartBuffer {
    filling: Vec<u8>,
    part_bytes: usize,
    spent: Spent,
}

type Spent = Arc<Mutex<Vec<Vec<u8>>>>;

impl PartBuffer {
    pub(super) fn new(part_bytes: usize) -> Self {
        Self { filling: Vec::new(), part_bytes, spent: Spent::default() }
    }

    /// Sets the size of the following parts. Take the current part first.
    pub(super) fn set_part_bytes(&mut self, part_bytes: usize) {
        self.part_bytes = part_bytes;
    }

    /// Returns the number of bytes in the current part.
    pub(super) fn len(&self) -> usize {
        self.filling.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.filling.len() >= self.part_bytes
    }

    /// Adds as much of `bytes` as fits and returns the rest.
    pub(super) fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.filling.capacity() == 0 {
            self.filling = self.empty_buffer();
        }
        let (fits, rest) = bytes.split_at(bytes.len().min(self.part_bytes - self.filling.len()));
        self.filling.extend_from_slice(fits);
        rest
    }

    /// Returns the current part and starts an empty one.
    pub(super) fn take(&mut self) -> Bytes {
        let buffer = std::mem::take(&mut self.filling);
        Bytes::from_owner(Part { buffer, spent: self.spent.clone() })
    }

    fn empty_buffer(&self) -> Vec<u8> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        // Parts may have grown since: then this buffer is too small.
        while let Some(buffer) = spent.pop() {
            if buffer.capacity() >= self.part_bytes {
                return buffer;
            }
        }
        Vec::with_capacity(self.part_bytes)
    }
}

/// A part that is being sent. Dropping the last reference returns the buffer.
struct Part {
    buffer: Vec<u8>,
    spent: Spent,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::PartBuffer;

    fn full_part(parts: &mut PartBuffer) -> bytes::Bytes {
        while !parts.is_full() {
            parts.fill(b"123");
        }
        parts.take()
    }

    fn spare(parts: &PartBuffer) -> usize {
        parts.spent.lock().unwrap().len()
    }

    #[test]
    fn a_part_has_its_size_and_the_rest_goes_into_the_next() {
        let mut parts = PartBuffer::new(4);
        assert_eq!(parts.fill(b"abcdef"), b"ef");
        assert!(parts.is_full());
        assert_eq!(parts.take(), &b"abcd"[..]);
        assert_eq!(parts.fill(b"ef"), b"");
        assert_eq!((parts.len(), parts.is_full()), (2, false));
        assert_eq!(parts.take(), &b"ef"[..]);
        assert_eq!(parts.take(), &b""[..]);
    }

    #[test]
    fn g16_a_buffer_is_reused_when_its_part_is_released() {
        let mut parts = PartBuffer::new(1000);
        let first = full_part(&mut parts);
        let holder = first.clone();
        drop(first);
        let second = full_part(&mut parts);
        assert_eq!(spare(&parts), 0, "the first part is still held");
        drop(holder);
        assert_eq!(spare(&parts), 1);
        let third = full_part(&mut parts);
        assert_eq!(spare(&parts), 0, "the buffer is in use");
        assert_eq!([second.len(), third.len()], [1000, 1000]);
    }

    #[test]
    fn g16_buffers_of_smaller_parts_are_freed() {
        let mut parts = PartBuffer::new(10);
        drop([full_part(&mut parts), full_part(&mut parts)]);
        parts.set_part_bytes(1000);
        assert_eq!(full_part(&mut parts).len(), 1000);
        assert_eq!(spare(&parts), 1, "the two small buffers are freed");
    }

    #[test]
    fn a_part_outlives_its_part_buffer() {
        let part = full_part(&mut PartBuffer::new(3));
        assert_eq!(part, &b"123"[..]);
    }
}
