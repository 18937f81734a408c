//! Parts of Stable Diffusion under diffusers' names, against what diffusers itself reads out of the
//! same files (`golden/sd/make.py`), and the names and shapes of real large models.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use atelier_engine::EngineError;
use atelier_engine::protocol::JobContext;
use atelier_engine::weights::detect::{Base, detect};
use atelier_engine::weights::element::{Element, TensorInfo};
use atelier_engine::weights::names::{Named, Part};
use atelier_engine::weights::open::Checkpoint;
use atelier_engine::weights::sd_config::{
    Activation, ControlConfig, Shapes, TextConfig, UnetConfig, VaeConfig,
};
use atelier_tests::manifest::{hollow, manifest};
use serde_json::{Value, json};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/sd")
}

fn expected() -> BTreeMap<String, BTreeMap<String, Value>> {
    serde_json::from_slice(&std::fs::read(golden().join("expected.json")).unwrap()).unwrap()
}

fn part_of(name: &str) -> Part {
    match name {
        "unet" => Part::Unet,
        "vae" => Part::Vae,
        "text_encoder" => Part::TextEncoder,
        "text_encoder_2" => Part::TextEncoder2,
        "controlnet" => Part::ControlNet,
        other => panic!("no part “{other}”"),
    }
}

fn file_of(case: &str) -> PathBuf {
    match case.ends_with("gguf") {
        true => golden().join("sd1.gguf"),
        false => golden().join(format!("{case}.safetensors")),
    }
}

/// Returns the list of tensors that a part's settings and shapes describe.
fn described(part: Part, shapes: &Shapes, settings: Option<&Value>) -> Vec<(String, Vec<usize>)> {
    let path = Path::new("golden");
    match part {
        Part::Unet => UnetConfig::of(shapes, settings, path).unwrap().tensors(),
        Part::ControlNet => ControlConfig::of(shapes, settings, path).unwrap().tensors(),
        Part::Vae => VaeConfig::of(shapes, settings, None, path).unwrap().tensors(),
        _ => TextConfig::of(shapes, settings, path).unwrap().tensors(),
    }
}

#[test]
fn every_name_of_a_single_file_is_the_one_that_diffusers_reads() {
    let job = JobContext::detached();
    let mut compared = 0;
    for (case, parts) in expected() {
        let file = Checkpoint::open(&file_of(&case)).unwrap();
        for (name, about) in parts {
            let part = part_of(&name);
            let named = Named::of(&file, part, &job).unwrap();
            let wanted = about["tensors"].as_object().unwrap();
            let names: BTreeSet<&str> = named.names().collect();
            let theirs: BTreeSet<&str> = wanted.keys().map(String::as_str).collect();
            assert_eq!(names, theirs, "{case}: {name}");
            let tensors = described(part, named.shapes(), Some(&about["config"]));
            named.check(&tensors).unwrap();
            for (tensor, shape) in tensors {
                let figures = wanted[&tensor].as_array().unwrap();
                let [their_shape, sum, weighted] = figures.as_slice() else {
                    panic!("{figures:?}")
                };
                assert_eq!(json!(shape), *their_shape, "{case}: {tensor}");
                let values = named.read(&tensor, &shape).unwrap();
                let numbers = || values.iter().enumerate().map(|(at, v)| (at, f64::from(*v)));
                let (ours, scale) =
                    numbers().fold((0.0, 1.0), |(a, b), (_, v)| (a + v, b + v.abs()));
                assert!((ours - sum.as_f64().unwrap()).abs() < 1e-6 * scale, "{case}: {tensor}");
                let ours: f64 = numbers().map(|(at, v)| (at % 97 + 1) as f64 * v).sum();
                let theirs = weighted.as_f64().unwrap();
                assert!((ours - theirs).abs() < 1e-4 * scale, "{case}: {tensor}: {ours} {theirs}");
                compared += 1;
            }
        }
    }
    println!("{compared} tensors are the same");
    assert!(compared > 1200, "only {compared} tensors were compared");
}

#[test]
fn what_belongs_to_a_part_and_is_not_read_is_listed() {
    let job = JobContext::detached();
    let sd2 = Checkpoint::open(&golden().join("sd2.safetensors")).unwrap();
    let named = Named::of(&sd2, Part::TextEncoder, &job).unwrap();
    let unused = named.surplus();
    assert!(unused.iter().any(|name| name.contains("resblocks.2.attn.in_proj_weight")));
    assert!(unused.iter().any(|name| name.ends_with("text_projection")), "{unused:?}");
    assert_eq!(unused.len(), 13, "{unused:?}");
    let sd1 = Checkpoint::open(&golden().join("sd1.safetensors")).unwrap();
    for part in [Part::Unet, Part::Vae, Part::TextEncoder] {
        assert!(Named::of(&sd1, part, &job).unwrap().surplus().is_empty(), "{part}");
    }
    for part in [Part::TextEncoder2, Part::ControlNet] {
        let error = Named::of(&sd1, part, &job).err().unwrap();
        assert!(error.to_string().starts_with(&format!("The file holds no {part}: ")), "{error}");
    }
}

#[test]
fn a_model_that_lacks_tensors_is_refused_with_the_first_of_them() {
    let job = JobContext::detached();
    let file = Checkpoint::open(&golden().join("sd1.safetensors")).unwrap();
    let named = Named::of(&file, Part::Unet, &job).unwrap();
    let mut needed = described(Part::Unet, named.shapes(), None);
    assert!(named.check(&needed).unwrap().is_empty());
    let taken = needed.split_off(needed.len() - 2);
    assert_eq!(named.check(&needed).unwrap(), ["conv_out.bias", "conv_out.weight"]);
    needed.extend(taken);
    for number in 0..5 {
        needed.push((format!("more.{number}.weight"), vec![1]));
    }
    let error = named.check(&needed).unwrap_err();
    let said =
        "lacks 5 tensors of the UNet: “more.0.weight”, “more.1.weight”, “more.2.weight” and more";
    assert!(error.to_string().contains(said), "{error}");
    assert!(matches!(error, EngineError::Damaged { .. }));
    let wrong = [("conv_in.bias".to_owned(), vec![9])];
    let error = named.check(&wrong).unwrap_err().to_string();
    assert!(error.contains("“conv_in.bias” in shape [4], not [9]"), "{error}");
    assert!(named.read("conv_in.bias", &[9]).is_err() && named.read("x", &[4]).is_err());
}

#[test]
fn real_large_models_have_exactly_the_tensors_that_their_shapes_describe() {
    let job = JobContext::detached();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("real.safetensors");
    let models = [
        ("sdxl-unet", Part::Unet),
        ("sdxl-vae", Part::Vae),
        ("sdxl-text-encoder", Part::TextEncoder),
        ("sdxl-text-encoder-2", Part::TextEncoder2),
        ("controlnet-canny-sd1", Part::ControlNet),
    ];
    for (name, part) in models {
        let Some(tensors) = manifest(name).unwrap() else { continue };
        hollow(&path, &tensors, json!({})).unwrap();
        let file = Checkpoint::open(&path).unwrap();
        let named = Named::of(&file, part, &job).unwrap();
        let listed = described(part, named.shapes(), None);
        assert!(named.check(&listed).unwrap().is_empty(), "{name}");
        let listed: Shapes = listed.into_iter().collect();
        let shapes = tensors.iter().filter(|(name, _)| !name.ends_with("position_ids"));
        let shapes: Shapes =
            shapes.map(|(name, info)| (name.clone(), info.shape.clone())).collect();
        assert_eq!(listed, shapes, "{name}");
        match part {
            Part::Unet => {
                let config = UnetConfig::of(named.shapes(), None, &path).unwrap();
                let levels = config.levels.iter().map(|level| (level.channels, level.heads));
                assert_eq!(levels.collect::<Vec<_>>(), [(320, 5), (640, 10), (1280, 20)]);
                assert_eq!(config.levels[2].down, [10, 10]);
                assert_eq!((config.context, config.mid.as_deref()), (2048, Some(&[10][..])));
                assert_eq!(config.addition.map(|added| added.input), Some(2816));
            }
            Part::TextEncoder => {
                let config = TextConfig::of(named.shapes(), None, &path).unwrap();
                assert_eq!((config.heads, config.activation), (12, Activation::QuickGelu));
            }
            Part::TextEncoder2 => {
                let config = TextConfig::of(named.shapes(), None, &path).unwrap();
                assert_eq!((config.heads, config.layers), (20, 32));
                assert_eq!((config.activation, config.projection), (Activation::Gelu, Some(1280)));
            }
            Part::ControlNet => {
                let config = ControlConfig::of(named.shapes(), None, &path).unwrap();
                assert_eq!((config.hint_channels, config.net.levels[0].heads), (3, 8));
                assert_eq!(config.embedding, [16, 32, 96, 256]);
            }
            Part::TinyVae => unreachable!("no manifest of one"),
            Part::Vae => {
                let base = detect(&file).base.or(Some(Base::Sdxl));
                let config = VaeConfig::of(named.shapes(), None, base, &path).unwrap();
                assert_eq!((config.scaling_factor, config.layers), (0.13025, 2));
            }
        }
    }
}

#[test]
fn the_last_layer_of_sd_2_is_left_out_where_the_names_are_those_of_transformers_too() {
    let config = TextConfig {
        width: 1024,
        layers: 24,
        heads: 16,
        inner: 4096,
        vocabulary: 10,
        positions: 77,
        activation: Activation::Gelu,
        projection: None,
    };
    let info = |shape| TensorInfo { shape, element: Element::F16 };
    let prefix = "cond_stage_model.transformer.";
    let mut tensors: BTreeMap<String, TensorInfo> = config
        .tensors()
        .into_iter()
        .map(|(name, shape)| (format!("{prefix}{name}"), info(shape)))
        .collect();
    let projection = format!("{prefix}text_model.text_projection");
    tensors.insert(projection, info(vec![1024, 1024]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sd2.safetensors");
    hollow(&path, &tensors, json!({})).unwrap();
    let (file, job) = (Checkpoint::open(&path).unwrap(), JobContext::detached());
    let named = Named::of(&file, Part::TextEncoder, &job).unwrap();
    let found = TextConfig::of(named.shapes(), None, &path).unwrap();
    assert_eq!(found, TextConfig { layers: 23, projection: Some(1024), ..config });
    assert_eq!(named.surplus().len(), 16);
    // The other encoders use all of theirs.
    let wide = |(name, info): (String, TensorInfo)| (name.replace(prefix, ""), info);
    let tensors = tensors.into_iter().map(wide).collect();
    hollow(&path, &tensors, json!({})).unwrap();
    let file = Checkpoint::open(&path).unwrap();
    assert!(Named::of(&file, Part::TextEncoder, &job).unwrap().surplus().is_empty());
}

#[test]
fn a_folder_of_diffusers_is_read_with_its_settings() {
    let job = JobContext::detached();
    let folder = tempfile::tempdir().unwrap();
    let single = Checkpoint::open(&golden().join("sd1.safetensors")).unwrap();
    let index = json!({
        "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
    });
    std::fs::write(folder.path().join("model_index.json"), index.to_string()).unwrap();
    let about = &expected()["sd1"];
    for name in ["unet", "vae", "text_encoder"] {
        let part = part_of(name);
        let named = Named::of(&single, part, &job).unwrap();
        let place = folder.path().join(name);
        std::fs::create_dir(&place).unwrap();
        let config = about[name]["config"].to_string();
        std::fs::write(place.join("config.json"), config).unwrap();
        let info = |shape: &Vec<usize>| TensorInfo { shape: shape.clone(), element: Element::F16 };
        let tensors = named.shapes().iter().map(|(name, shape)| (name.clone(), info(shape)));
        hollow(&place.join("model.safetensors"), &tensors.collect(), json!({})).unwrap();
    }
    let whole = Checkpoint::open(folder.path()).unwrap();
    for (name, part) in
        [("unet", Part::Unet), ("vae", Part::Vae), ("text_encoder", Part::TextEncoder)]
    {
        let parts = [Checkpoint::open(&folder.path().join(name)).unwrap()];
        for file in [&whole, &parts[0]] {
            let named = Named::of(file, part, &job).unwrap();
            assert_eq!(named.settings(), Some(&about[name]["config"]), "{name}");
            let tensors = described(part, named.shapes(), named.settings());
            assert!(named.check(&tensors).unwrap().is_empty());
        }
    }
    let text = Named::of(&whole, Part::TextEncoder, &job).unwrap();
    let config = TextConfig::of(text.shapes(), text.settings(), folder.path()).unwrap();
    assert_eq!((config.heads, config.width), (4, 32));
}
