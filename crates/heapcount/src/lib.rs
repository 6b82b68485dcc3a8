//! An allocator that counts: what a test program holds, and the most that it held.
//!
//! A program for tests makes one its global allocator, resets the peak, does something, and looks
//! how far the peak rose. So limits in bytes are held against what really was allocated, not
//! against what the limited code says of itself.
//!
//! What counts is what was asked for: the system's slack and its caches are not seen, neither are
//! stacks and mapped files. An allocation costs three atomic operations more. For development
//! only, and the one place besides `disk` and `codec` that may allow unsafe code: the trait of
//! allocators cannot be implemented without.

#![allow(
    unsafe_code,
    reason = "an allocator is unsafe to be; all that is done here is to count and to hand on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator with two counters: `#[global_allocator] static HEAP: Counting = …`.
#[derive(Debug)]
pub struct Counting {
    bytes: AtomicUsize,
    peak_bytes: AtomicUsize,
}

impl Counting {
    /// An allocator that has given nothing yet.
    #[must_use]
    #[allow(
        clippy::new_without_default,
        reason = "a default cannot be made for a static"
    )]
    pub const fn new() -> Counting {
        Counting {
            bytes: AtomicUsize::new(0),
            peak_bytes: AtomicUsize::new(0),
        }
    }

    /// Bytes that are allocated.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// The most bytes that were allocated at a time since the last reset.
    #[must_use]
    pub fn peak_bytes(&self) -> usize {
        self.peak_bytes.load(Relaxed)
    }

    /// From now on the peak is what is allocated now; returns that.
    pub fn reset_peak(&self) -> usize {
        let bytes = self.bytes();
        self.peak_bytes.store(bytes, Relaxed);
        bytes
    }

    fn grow(&self, bytes: usize) {
        let held = self.bytes.fetch_add(bytes, Relaxed) + bytes;
        // Most allocations make no new peak, and a load is cheaper than an exchange.
        if held > self.peak_bytes() {
            self.peak_bytes.fetch_max(held, Relaxed);
        }
    }

    fn shrink(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Relaxed);
    }
}

// SAFETY: every call is handed on to the system's allocator as it came, and its answer back; the
// counters do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.grow(layout.size());
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.grow(layout.size());
        // SAFETY: the caller's promise, handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        self.shrink(layout.size());
        // SAFETY: the caller's promise, handed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // Old and new are not counted together: large ones are moved by the kernel's page tables.
        if bytes > layout.size() {
            self.grow(bytes - layout.size());
        } else {
            self.shrink(layout.size() - bytes);
        }
        // SAFETY: the caller's promise, handed on.
        unsafe { System.realloc(at, layout, bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_held_and_the_most_of_it() {
        let heap = Counting::new();
        let small = Layout::from_size_align(100, 8).expect("a layout");
        let large = Layout::from_size_align(300, 8).expect("a layout");
        // SAFETY: each is freed once, with the layout that it has by then.
        unsafe {
            let first = heap.alloc(small);
            let second = heap.alloc_zeroed(small);
            assert_eq!((heap.bytes(), heap.peak_bytes()), (200, 200));
            heap.dealloc(second, small);
            assert_eq!((heap.bytes(), heap.peak_bytes()), (100, 200));
            assert_eq!(heap.reset_peak(), 100);
            let first = heap.realloc(first, small, 300);
            assert_eq!((heap.bytes(), heap.peak_bytes()), (300, 300));
            let first = heap.realloc(first, large, 100);
            assert_eq!((heap.bytes(), heap.peak_bytes()), (100, 300));
            heap.dealloc(first, small);
        }
        assert_eq!(heap.bytes(), 0);
    }
}
