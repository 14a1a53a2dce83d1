//! The allocator: jemalloc, told to keep little.
//!
//! JSON values are many small pieces; glibc's allocator took a quarter of the time of a write.

use std::ffi::c_char;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Two arenas for two or four threads; what is free goes back to the system within a second. Without a thread of its own
/// jemalloc looks at what is free only when it is asked for more: an idle server would keep what a burst took.
const SETTINGS: &[u8] = b"narenas:2,background_thread:true,max_background_threads:1,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

/// Read by jemalloc before its first allocation.
// SAFETY: the name is jemalloc's own for its settings; nothing else defines it.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: Option<&'static c_char> = Some(first(SETTINGS));

const fn first(text: &'static [u8]) -> &'static c_char {
    // SAFETY: the text is static, not empty, ends with a zero byte, and u8 and c_char have one layout.
    unsafe { &*text.as_ptr().cast() }
}
