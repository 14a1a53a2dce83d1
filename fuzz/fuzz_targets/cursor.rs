//! Continue tokens: what is accepted leads to the same place once more.
#![no_main]

use api::cursor::Cursor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|token: &str| {
    if let Ok(cursor) = Cursor::parse(token) {
        assert_eq!(Cursor::parse(&cursor.token()).ok(), Some(cursor));
    }
});
