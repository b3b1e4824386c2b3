//! A click's record: any bytes are a click or an error, and a click comes back as it was.
#![no_main]

use archive::record::{decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(click) = decode(bytes) else { return };
    let mut again = Vec::new();
    encode(&click, &mut again);
    assert_eq!(decode(&again), Ok(click));
});
