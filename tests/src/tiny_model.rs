//! A house picture model of a few thousand random weights: every network is there and small, so
//! that whole pipelines are tested where no trained weights are.

use anyhow::Result;
use serde_json::{Map, Value, json};

/// Holds the files of a model.
pub struct TinyModel {
    /// The bytes of `model.safetensors`, all F32.
    pub weights: Vec<u8>,
    /// The text of `config.json`.
    pub config_json: String,
    /// The text of `lexicon.json`.
    pub lexicon_json: String,
}

impl TinyModel {
    /// Makes the model; `change` sees every tensor by its name before it is written.
    ///
    /// # Errors
    /// When the JSON cannot be written.
    pub fn make(mut change: impl FnMut(&str, &mut [f32])) -> Result<Self> {
        let mut header = Map::new();
        let mut data: Vec<u8> = Vec::new();
        for (salt, (name, shape)) in (1u64..).zip(shapes()) {
            let mut values = random(shape.iter().product(), salt);
            change(&name, &mut values);
            let start = data.len();
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            let entry = json!({
                "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()],
            });
            header.insert(name, entry);
        }
        let config = json!({
            "version": 3, "encoder": "area4", "prediction": "x0", "latent_channels": 48,
            "dec_width": 8, "dec_blocks": 1, "dec_out_width": 4, "vocab": 8, "max_tokens": 4,
            "width": WIDTH, "heads": 1, "mlp": MLP, "blocks": 2, "text_blocks": 1,
            "time_freqs": 4, "pos_freqs": 2, "rope_base": 100.0, "mend": MEND,
            "sketch_first": 2, "sketch_side": 2, "sketch_width": 4, "sketch_pixels": 8, "sketch_max": 2,
            "style_ids": [4, 5], "layouts": {"0": [[0.0, 0.0, 0.6]]}, "stir": [0.05, 0.12, 0.07],
            "latent_mean": vec![0.3; 48], "latent_std": vec![0.5; 48],
        });
        let lexicon = json!({
            "version": 1, "max_tokens": 4,
            "phrases": {"a": [], "the": [], "in": [], "red": [1], "fox": [2], "snow": [3], "狐狸": [2]},
        });
        Ok(Self {
            weights: safetensors(&header, &data)?,
            config_json: config.to_string(),
            lexicon_json: lexicon.to_string(),
        })
    }
}

const WIDTH: usize = 64;
const MLP: usize = 32;
const MEND: usize = 16;

/// Writes a safetensors file from its header and data.
///
/// # Errors
/// When the header cannot be written.
pub fn safetensors(header: &Map<String, Value>, data: &[u8]) -> Result<Vec<u8>> {
    let header = serde_json::to_string(header)?;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    Ok(bytes)
}

/// Every tensor of the model, by the names of the recipe.
fn shapes() -> Vec<(String, Vec<usize>)> {
    let mut all: Vec<(String, Vec<usize>)> = Vec::new();
    let mut add = |name: String, shape: &[usize]| all.push((name, shape.to_vec()));
    for (prefix, count) in [("text.blocks", 1), ("dit.blocks", 2)] {
        for block in 0..count {
            let name = |leaf: &str| format!("{prefix}.{block}.{leaf}");
            add(name("qkv.weight"), &[3 * WIDTH, WIDTH]);
            add(name("q_norm"), &[64]);
            add(name("k_norm"), &[64]);
            add(name("out.weight"), &[WIDTH, WIDTH]);
            add(name("w12.weight"), &[2 * MLP, WIDTH]);
            add(name("w3.weight"), &[WIDTH, MLP]);
            if prefix == "text.blocks" {
                add(name("norm1"), &[WIDTH]);
                add(name("norm2"), &[WIDTH]);
            } else {
                add(name("table"), &[6, WIDTH]);
            }
        }
    }
    add("text.tok".into(), &[8, WIDTH]);
    add("text.pos".into(), &[4, WIDTH]);
    add("text.null".into(), &[WIDTH]);
    add("text.norm".into(), &[WIDTH]);
    add("text.sketch.code".into(), &[6, 2, 4, 4]);
    add("text.sketch.show.weight".into(), &[64, 4]);
    add("text.sketch.show.bias".into(), &[64]);
    add("dit.hint.weight".into(), &[WIDTH, 256]);
    add("dit.owner.weight".into(), &[WIDTH, WIDTH]);
    add("dit.place.weight".into(), &[WIDTH, 8]);
    for (name, outputs, inputs) in [
        ("x_in", WIDTH, 192),
        ("time1", WIDTH, 8),
        ("time2", WIDTH, WIDTH),
        ("pool", WIDTH, WIDTH),
        ("ada", 6 * WIDTH, WIDTH),
        ("final_ada", 2 * WIDTH, WIDTH),
        ("final", 192, WIDTH),
        ("gate", 192, WIDTH),
    ] {
        add(format!("dit.{name}.weight"), &[outputs, inputs]);
        add(format!("dit.{name}.bias"), &[outputs]);
    }
    add("dit.mend.time.weight".into(), &[MEND, WIDTH]);
    for (name, outputs, inputs) in [
        ("dit.mend.conv1", MEND, 96),
        ("dit.mend.conv2", MEND, MEND),
        ("dit.mend.conv3", 48, MEND),
        ("dec.conv_in", 8, 3),
        ("dec.blocks.0.conv1", 8, 8),
        ("dec.blocks.0.conv2", 8, 8),
        ("dec.up3", 16, 8),
        ("dec.up4", 12, 4),
    ] {
        add(format!("{name}.weight"), &[outputs, inputs, 3, 3]);
        add(format!("{name}.bias"), &[outputs]);
    }
    all
}

/// Numbers in -0.25..0.25 that look random and are the same everywhere.
fn random(len: usize, salt: u64) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 25) as f32 - 0.25
    };
    (0..len).map(|_| next()).collect()
}
