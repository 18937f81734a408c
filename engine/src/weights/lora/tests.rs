#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::json;

use super::*;
use crate::weights::sd_config::UnetConfig;
use crate::weights::source::ByteSource;

const Q: &str = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";
const CONV: &str = "lora_unet_down_blocks_1_resnets_0_conv1";

/// A net of two levels: `Q` is 8×8 and `CONV` is 8×4×3×3.
fn targets() -> Targets {
    let settings = json!({
        "block_out_channels": [4, 8], "layers_per_block": 1, "cross_attention_dim": 6,
        "attention_head_dim": 2, "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    });
    let net = UnetConfig::from_json(&settings, Path::new("config.json")).unwrap();
    Targets::new(Some(&net), None, None)
}

fn bytes_of(tensors: &[(String, &[usize], f32)]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data: Vec<u8> = Vec::new();
    for (name, shape, value) in tensors {
        let start = data.len();
        let count: usize = shape.iter().product();
        data.extend(std::iter::repeat_n(value.to_le_bytes(), count).flatten());
        let about = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
        header.insert(name.clone(), about);
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

/// Opens a LoRA of these tensors, each filled with one number.
fn lora(tensors: &[(&str, &str, &[usize], f32)]) -> Result<Lora, EngineError> {
    let named: Vec<(String, &[usize], f32)> = tensors
        .iter()
        .map(|(module, end, shape, value)| (format!("{module}.{end}"), *shape, *value))
        .collect();
    let source = ByteSource::memory(bytes_of(&named));
    Lora::of(Checkpoint::read(source, Path::new("x.safetensors"))?, &targets())
}

const DOWN: &str = "lora_down.weight";
const UP: &str = "lora_up.weight";

#[test]
fn a_file_that_contradicts_itself_is_refused_with_a_sentence() {
    let halves = |up: &'static [usize], down: &'static [usize]| {
        lora(&[(Q, UP, up, 1.0), (Q, DOWN, down, 1.0)]).unwrap_err().to_string()
    };
    let with_alpha = |alpha: f32| {
        lora(&[(Q, UP, &[8, 2], 1.0), (Q, DOWN, &[2, 8], 1.0), (Q, "alpha", &[], alpha)])
    };
    let said = |result: Result<Lora, EngineError>| result.unwrap_err().to_string();
    assert!(halves(&[8, 2], &[3, 8]).contains("halves of the ranks 2 and 3 in the module"));
    assert!(halves(&[8, 0], &[0, 8]).contains("in the shape [8, 0]"));
    assert!(halves(&[8, 9], &[9, 8]).contains("rank 9, more than a matrix of 8×8 can have"));
    assert!(halves(&[], &[2, 8]).contains("in the shape []"));
    assert!(said(with_alpha(f32::NAN)).contains("has the alpha NaN"));
    assert!(said(with_alpha(f32::INFINITY)).contains("has the alpha inf"));
    assert!(said(with_alpha(1e9)).contains("as no LoRA is"));
    assert!(said(with_alpha(-1e30)).contains("as no LoRA is"));
    let two = lora(&[(Q, UP, &[8, 2], 1.0), (Q, DOWN, &[2, 8], 1.0), (Q, "alpha", &[2], 1.0)]);
    assert!(said(two).contains("alpha” in the shape [2]"));
    let lone = lora(&[(Q, DOWN, &[2, 8], 1.0)]);
    assert!(said(lone).contains("lacks the half “Up”"));
    let odd = lora(&[(Q, UP, &[8, 2], 1.0), (Q, DOWN, &[2, 8], 1.0), (Q, "dora_scale", &[3], 1.0)]);
    assert!(said(odd).contains("dora_scale” in the shape [3]"));
}

#[test]
fn cores_and_products_that_do_not_fit_are_refused_before_they_are_computed() {
    let said = |result: Result<Lora, EngineError>| result.unwrap_err().to_string();
    let core = |mid: &'static [usize]| {
        said(lora(&[
            (CONV, UP, &[8, 2, 1, 1], 1.0),
            (CONV, "lora_mid.weight", mid, 1.0),
            (CONV, DOWN, &[2, 4, 1, 1], 1.0),
        ]))
    };
    assert!(core(&[2, 2]).contains("in the shape [2, 2]"));
    assert!(core(&[2, 3, 3, 3]).contains("halves of the ranks 2 and 3"));
    // Right in number, but not where the weight has its sides.
    let moved = lora(&[
        (CONV, UP, &[8, 2, 1, 1], 1.0),
        (CONV, "lora_mid.weight", &[2, 2, 1, 1], 1.0),
        (CONV, DOWN, &[2, 36, 1, 1], 1.0),
    ]);
    assert!(said(moved).contains("changes nothing in this model"));
    let uneven = lora(&[
        (Q, "hada_w1_a", &[8, 2], 1.0),
        (Q, "hada_w1_b", &[2, 8], 1.0),
        (Q, "hada_w2_a", &[4, 2], 1.0),
        (Q, "hada_w2_b", &[2, 8], 1.0),
    ]);
    assert!(said(uneven).contains("multiplies 8×8 by 4×8"));
    let half = lora(&[(Q, "hada_w1_a", &[8, 2], 1.0), (Q, "hada_w1_b", &[2, 8], 1.0)]);
    assert!(said(half).contains("lacks the half “HadaW2A”"));
    let small = lora(&[(Q, "lokr_w1", &[2, 2], 1.0), (Q, "lokr_w2", &[2, 2], 1.0)]);
    assert!(said(small).contains("is for a matrix of 4×4, and the model's is 8×8"));
}

#[test]
fn numbers_that_are_not_finite_are_refused_when_they_are_read() {
    for value in [f32::NAN, f32::INFINITY, 1e30] {
        let lora = lora(&[(Q, UP, &[8, 2], value), (Q, DOWN, &[2, 8], value)]).unwrap();
        let (part, name) = lora.changed().next().unwrap();
        let error = lora.delta(part, name, &[0.0; 64]).unwrap_err().to_string();
        assert!(error.contains("numbers that are not finite"), "{error}");
    }
}

#[test]
fn a_weight_of_another_length_is_refused() {
    let lora = lora(&[(Q, UP, &[8, 2], 1.0), (Q, DOWN, &[2, 8], 1.0)]).unwrap();
    let (part, name) = lora.changed().next().unwrap();
    assert!(lora.delta(part, name, &[0.0; 63]).is_err());
    assert_eq!(lora.delta(part, "conv_in.weight", &[0.0; 63]), Ok(None));
    assert_eq!(lora.delta(part, name, &[0.0; 64]), Ok(Some(vec![2.0; 64])));
}

#[test]
fn every_cut_of_a_file_is_refused_with_a_sentence() {
    let named =
        [(format!("{Q}.{UP}"), &[8, 2][..], 1.0), (format!("{Q}.{DOWN}"), &[2, 8][..], 1.0)];
    let bytes = bytes_of(&named);
    for end in 0..bytes.len() {
        let source = ByteSource::memory(bytes[..end].to_vec());
        let opened = Checkpoint::read(source, Path::new("x.safetensors"));
        let error = opened.and_then(|file| Lora::of(file, &targets())).unwrap_err();
        assert!(matches!(error, EngineError::Damaged { .. }), "cut at {end}: {error}");
    }
}

#[test]
fn a_weight_of_nothing_stays_finite_under_dora() {
    let lora =
        lora(&[(Q, UP, &[8, 2], 0.0), (Q, DOWN, &[2, 8], 1.0), (Q, "dora_scale", &[8, 1], 1.0)])
            .unwrap();
    let (part, name) = lora.changed().next().unwrap();
    assert_eq!(lora.delta(part, name, &[0.0; 64]), Ok(Some(vec![0.0; 64])));
}
