//! Reads GGUF files: every tensor of a file that is opened,
//! and every part that it may hold.
#![no_main]

use std::path::Path;

use atelier_engine::protocol::JobContext;
use atelier_engine::weights::detect::detect;
use atelier_engine::weights::embedding;
use atelier_engine::weights::names::{Named, Part};
use atelier_engine::weights::open::Checkpoint;
use atelier_engine::weights::source::ByteSource;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let source = ByteSource::memory(bytes.to_vec());
    let Ok(file) = Checkpoint::read(source, Path::new("x.gguf")) else { return };
    let _ = detect(&file);
    let _ = embedding::read(&file);
    for name in file.tensors().keys() {
        let _ = file.floats(name);
    }
    let job = JobContext::detached();
    for part in [Part::Unet, Part::Vae, Part::TextEncoder, Part::TextEncoder2, Part::ControlNet] {
        let Ok(named) = Named::of(&file, part, &job) else { continue };
        for (name, shape) in named.shapes() {
            let _ = named.read(name, shape);
        }
    }
});
