#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::json;

use super::*;
use crate::weights::detect::Base;

fn shapes_of(tensors: Vec<(String, Vec<usize>)>) -> Shapes {
    tensors.into_iter().collect()
}

fn sd1() -> Value {
    json!({
        "in_channels": 4, "out_channels": 4, "block_out_channels": [320, 640, 1280, 1280],
        "layers_per_block": 2, "attention_head_dim": 8, "cross_attention_dim": 768,
        "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    })
}

fn with(mut settings: Value, changes: Value) -> Value {
    for (key, value) in changes.as_object().into_iter().flatten() {
        settings[key] = value.clone();
    }
    settings
}

fn read(settings: &Value) -> Result<UnetConfig, EngineError> {
    UnetConfig::from_json(settings, Path::new("config.json"))
}

#[test]
fn settings_and_shapes_describe_the_same_nets() {
    let three = json!(["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"]);
    let three_up = json!(["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]);
    let refiner =
        json!(["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"]);
    let refiner_up = json!(["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]);
    let upscaler = json!([
        "DownBlock2D",
        "CrossAttnDownBlock2D",
        "CrossAttnDownBlock2D",
        "CrossAttnDownBlock2D"
    ]);
    let upscaler_up =
        json!(["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]);
    let cases = [
        ("SD 1.x", sd1()),
        ("inpainting", with(sd1(), json!({ "in_channels": 9 }))),
        ("LCM", with(sd1(), json!({ "time_cond_proj_dim": 256 }))),
        (
            "SD 2.x",
            with(
                sd1(),
                json!({
                    "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": true
                }),
            ),
        ),
        (
            "unCLIP",
            with(
                sd1(),
                json!({
                    "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": true,
                    "class_embed_type": "projection", "projection_class_embeddings_input_dim": 2048
                }),
            ),
        ),
        (
            "upscaler",
            with(
                sd1(),
                json!({
                    "in_channels": 7, "cross_attention_dim": 1024, "use_linear_projection": true, "num_class_embeds": 1000,
                    "block_out_channels": [256, 512, 512, 1024], "only_cross_attention": [true, true, true, false],
                    "down_block_types": upscaler, "up_block_types": upscaler_up,
                }),
            ),
        ),
        (
            "SDXL",
            with(
                sd1(),
                json!({
                    "cross_attention_dim": 2048, "attention_head_dim": [5, 10, 20], "use_linear_projection": true,
                    "block_out_channels": [320, 640, 1280], "transformer_layers_per_block": [1, 2, 10],
                    "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
                    "projection_class_embeddings_input_dim": 2816, "down_block_types": three, "up_block_types": three_up,
                }),
            ),
        ),
        (
            "refiner",
            with(
                sd1(),
                json!({
                    "cross_attention_dim": 1280, "attention_head_dim": [6, 12, 24, 24], "use_linear_projection": true,
                    "block_out_channels": [384, 768, 1536, 1536], "transformer_layers_per_block": 4,
                    "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
                    "projection_class_embeddings_input_dim": 2560, "down_block_types": refiner, "up_block_types": refiner_up,
                }),
            ),
        ),
        (
            "SSD-1B",
            with(
                sd1(),
                json!({
                    "cross_attention_dim": 2048, "attention_head_dim": [5, 10, 20], "use_linear_projection": true,
                    "block_out_channels": [320, 640, 1280], "transformer_layers_per_block": [0, [2, 2], [4, 4]],
                    "reverse_transformer_layers_per_block": [[4, 4, 10], [2, 1, 1], 0], "mid_block_type": "UNetMidBlock2D",
                    "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
                    "projection_class_embeddings_input_dim": 2816, "down_block_types": three, "up_block_types": three_up,
                }),
            ),
        ),
        (
            "BK-SDM Tiny",
            with(
                sd1(),
                json!({
                    "block_out_channels": [320, 640, 1280], "layers_per_block": 1, "mid_block_type": null,
                    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
                    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
                }),
            ),
        ),
    ];
    for (name, settings) in cases {
        let said = read(&settings).unwrap();
        let shapes = shapes_of(said.tensors());
        let path = Path::new("x");
        let found = UnetConfig::of(&shapes, None, path).unwrap();
        assert_eq!(found, said, "{name}: by shapes alone");
        assert_eq!(UnetConfig::of(&shapes, Some(&settings), path).unwrap(), said, "{name}");
    }
}

#[test]
fn settings_that_no_net_has_are_refused_with_a_sentence() {
    let cases = [
        (json!({ "block_out_channels": [] }), "describes 0 levels"),
        (json!({ "block_out_channels": [0, 1, 2, 3] }), "not a number from 1"),
        (json!({ "block_out_channels": [320, 640, 1280, 1e20] }), "not a number from 1"),
        (json!({ "block_out_channels": 320 }), "does not list"),
        (json!({ "layers_per_block": 1_000_000 }), "not a number from 1 to 16"),
        (json!({ "layers_per_block": [2, 2] }), "2 numbers as “layers_per_block” for 4 levels"),
        (json!({ "layers_per_block": -1 }), "not a number from 1"),
        (json!({ "attention_head_dim": 7 }), "320 features among 7 heads"),
        (json!({ "cross_attention_dim": null }), "does not say “cross_attention_dim”"),
        (json!({ "transformer_layers_per_block": 65 }), "not a number up to 64"),
        (json!({ "transformer_layers_per_block": [1, 1, 1, [1, 1]] }), "reverse_"),
        (json!({ "down_block_types": ["DownBlock2D"] }), "does not name the kinds"),
        (json!({ "mid_block_type": "Other" }), "a “Other”, which is not known"),
        (json!({ "addition_embed_type": "image" }), "adds “image”"),
        (json!({ "addition_embed_type": "text_time" }), "does not say how wide"),
        (json!({ "class_embed_type": "timestep" }), "classes of “timestep”"),
    ];
    for (changes, reason) in cases {
        let error = read(&with(sd1(), changes)).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let unknown = with(sd1(), json!({ "up_block_types": ["A", "B", "C", "D"] }));
    assert!(read(&unknown).unwrap_err().to_string().contains("blocks “D”"));
}

#[test]
fn settings_that_do_not_fit_the_tensors_are_refused() {
    let shapes = shapes_of(read(&sd1()).unwrap().tensors());
    let other = with(sd1(), json!({ "layers_per_block": 1 }));
    let error = UnetConfig::of(&shapes, Some(&other), Path::new("x")).unwrap_err();
    assert!(error.to_string().contains("other tensors than its config.json"), "{error}");
}

#[test]
fn shapes_that_no_net_has_are_refused_with_a_sentence() {
    let whole = shapes_of(read(&sd1()).unwrap().tensors());
    let refused = |name: &str, shape: Option<Vec<usize>>| {
        let mut shapes = whole.clone();
        match shape {
            Some(shape) => shapes.insert(name.to_owned(), shape),
            None => shapes.remove(name),
        };
        UnetConfig::of(&shapes, None, Path::new("x")).unwrap_err().to_string()
    };
    assert!(refused("conv_in.weight", None).contains("lacks the tensor “conv_in.weight”"));
    assert!(refused("conv_in.weight", Some(vec![])).contains("in the shape []"));
    assert!(refused("conv_in.weight", Some(vec![1, usize::MAX])).contains("in the shape"));
    let more = "up_blocks.0.resnets.3.norm1.weight";
    assert!(refused(more, Some(vec![1])).contains("2 layers down and 4 up at level 3"));
    assert!(UnetConfig::of(&Shapes::new(), None, Path::new("x")).is_err());
    let mut many = whole.clone();
    for level in 0..20 {
        many.insert(format!("down_blocks.{level}.resnets.0.conv1.weight"), vec![1]);
    }
    let error = UnetConfig::of(&many, None, Path::new("x")).unwrap_err().to_string();
    assert!(error.contains("has more than 8"), "{error}");
}

#[test]
fn autoencoders_and_text_encoders_are_described_by_settings_and_by_shapes() {
    let path = Path::new("x");
    let settings = json!({
        "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4,
        "scaling_factor": 0.13025,
    });
    let said = VaeConfig::from_json(&settings, path).unwrap();
    let mut shapes = shapes_of(said.tensors());
    let found = VaeConfig::of(&shapes, None, Some(Base::Sdxl), path).unwrap();
    assert_eq!(found, said);
    assert_eq!(VaeConfig::of(&shapes, None, None, path).unwrap().scaling_factor, 0.18215);
    shapes.retain(|name, _| !name.starts_with("encoder.") && !name.starts_with("quant_conv."));
    let half = VaeConfig::of(&shapes, Some(&settings), None, path).unwrap();
    assert!(!half.has_encoder && half.scaling_factor == 0.13025);
    assert_eq!(shapes_of(half.tensors()), shapes);
    let wrong = with(settings, json!({ "scaling_factor": 1e9 }));
    assert!(VaeConfig::from_json(&wrong, path).is_err());

    let settings = json!({
        "hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 20, "hidden_act": "gelu",
        "intermediate_size": 5120, "projection_dim": 1280, "vocab_size": 49408,
    });
    let said = TextConfig::from_json(&settings, path).unwrap();
    assert_eq!(TextConfig::of(&shapes_of(said.tensors()), None, path).unwrap(), said);
    let nested = json!({ "text_config": settings });
    assert_eq!(TextConfig::from_json(&nested, path).unwrap(), said);
    for changes in [json!({ "num_attention_heads": 7 }), json!({ "hidden_act": "relu" })] {
        assert!(TextConfig::from_json(&with(settings.clone(), changes), path).is_err());
    }
}
