//! Matches LoRAs against a small net and computes what they change.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use atelier_engine::weights::lora::{Lora, Targets};
use atelier_engine::weights::open::Checkpoint;
use atelier_engine::weights::sd_config::UnetConfig;
use atelier_engine::weights::source::ByteSource;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

static TARGETS: LazyLock<Targets> = LazyLock::new(|| {
    let settings = json!({
        "block_out_channels": [4, 8], "layers_per_block": 1, "cross_attention_dim": 32,
        "attention_head_dim": 2, "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    });
    let net = UnetConfig::from_json(&settings, Path::new("config.json"));
    Targets::new(Some(&net.expect("a net of two levels")), None, None)
});

fuzz_target!(|bytes: &[u8]| {
    let source = ByteSource::memory(bytes.to_vec());
    let Ok(file) = Checkpoint::read(source, Path::new("x.safetensors")) else { return };
    let Ok(lora) = Lora::of(file, &TARGETS) else { return };
    for (part, tensor) in lora.changed() {
        for count in [4, 8, 16, 64, 288] {
            let _ = lora.delta(part, tensor, &vec![0.5; count]);
        }
    }
});
