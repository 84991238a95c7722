//! Keeps the process small: what is large is given back to the system when it is freed.
//!
//! The C library's allocator learns from the first large block that is freed (the 19 MiB that a password's
//! hash works in, an answer of many megabytes) to keep such blocks for later, in every thread. For a server
//! that seldom needs them that is a multiple of all its other memory.

/// Blocks from this size on are mapped by themselves and unmapped when freed.
#[cfg(target_env = "gnu")]
const LARGE_BYTES: i32 = 512 * 1024;
/// Heaps that threads share, at most.
#[cfg(target_env = "gnu")]
const HEAPS: i32 = 4;

/// Sets the allocator's limits, which also ends its learning. Does nothing where there is another allocator.
#[cfg(target_env = "gnu")]
pub fn limit() {
    for (what, value) in [(libc::M_MMAP_THRESHOLD, LARGE_BYTES), (libc::M_ARENA_MAX, HEAPS)] {
        #[expect(unsafe_code, reason = "there is no safe way to reach the allocator's settings")]
        // SAFETY: mallopt takes two integers, locks the allocator itself, and may be called at any time.
        let accepted = unsafe { libc::mallopt(what, value) };
        if accepted != 1 {
            tracing::warn!(what, value, "the allocator refused a limit");
        }
    }
}

/// Sets the allocator's limits, which also ends its learning. Does nothing where there is another allocator.
#[cfg(not(target_env = "gnu"))]
pub fn limit() {}
