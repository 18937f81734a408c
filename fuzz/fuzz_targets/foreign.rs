//! Reads what pictures of other programs say about how they were made.
#![no_main]

use atelier_engine::protocol::Size;
use atelier_engine::store::foreign;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(found) = foreign::read(bytes) else { return };
    if let Some(settings) = found.settings {
        let _ = settings.request(Size { width_px: 64, height_px: 64 });
    }
});
