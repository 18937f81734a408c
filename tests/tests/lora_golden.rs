//! LoRAs and new words: small ones against what diffusers and PEFT make of them
//! (`golden/lora/make.py`), and real ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use atelier_engine::EngineError;
use atelier_engine::protocol::JobContext;
use atelier_engine::weights::element::{Element, TensorInfo};
use atelier_engine::weights::embedding;
use atelier_engine::weights::lora::{Lora, Patched, Stack, Strength, Targets};
use atelier_engine::weights::names::{Named, Part};
use atelier_engine::weights::open::Checkpoint;
use atelier_engine::weights::sd_config::{TextConfig, UnetConfig};
use atelier_tests::manifest::{hollow, manifest};
use atelier_tests::source::fixture;
use serde_json::{Value, json};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// Returns the small model that the golden LoRAs are for.
fn small() -> (Checkpoint, Targets) {
    let file = Checkpoint::open(&golden("sd/sd1.safetensors")).unwrap();
    let job = JobContext::detached();
    let net = Named::of(&file, Part::Unet, &job).unwrap();
    let text = Named::of(&file, Part::TextEncoder, &job).unwrap();
    let net = UnetConfig::of(net.shapes(), None, file.path()).unwrap();
    let text = TextConfig::of(text.shapes(), None, file.path()).unwrap();
    (file, Targets::new(Some(&net), Some(&text), None))
}

#[test]
fn every_trainers_file_changes_the_weights_as_its_reference_does() {
    let (file, targets) = small();
    let job = JobContext::detached();
    let net = Named::of(&file, Part::Unet, &job).unwrap();
    let text = Named::of(&file, Part::TextEncoder, &job).unwrap();
    let expected = Checkpoint::open(&golden("lora/expected.safetensors")).unwrap();
    let cases = std::fs::read(golden("lora/cases.json")).unwrap();
    let cases: BTreeMap<String, Vec<(String, f32)>> = serde_json::from_slice(&cases).unwrap();
    assert_eq!(cases.len(), 16);
    for (case, files) in cases {
        let open = |name: &String| Lora::open(&golden("lora").join(name), &targets).unwrap();
        let loras: Vec<(Lora, f32)> = files.iter().map(|(name, by)| (open(name), *by)).collect();
        let mut stack = Stack::default();
        let mut changed = BTreeSet::new();
        for (lora, strength) in &loras {
            assert!(lora.unmatched().is_empty(), "{case}: {:?}", lora.unmatched());
            changed.extend(lora.changed().map(|(part, name)| (part, name.to_owned())));
            stack.push(lora, Strength::both(*strength)).unwrap();
        }
        let mut worst = 0.0_f32;
        for (part, name) in &changed {
            let (folder, base) = match part {
                Part::Unet => ("unet", &net),
                _ => ("text_encoder", &text),
            };
            let key = format!("{case}/{folder}/{name}");
            let info = expected.tensors().get(&key).unwrap_or_else(|| panic!("no {key}"));
            let weight = base.read(name, &info.shape).unwrap();
            let patched = Patched::new(base, &stack).read(name, &info.shape).unwrap();
            let delta = stack.delta(*part, name, &weight).unwrap().unwrap();
            for (at, wanted) in expected.floats(&key).unwrap().into_iter().enumerate() {
                worst = worst.max((delta[at] - wanted).abs());
                assert_eq!(patched[at], weight[at] + delta[at], "{key}");
            }
        }
        let prefix = format!("{case}/");
        let count = expected.tensors().keys().filter(|key| key.starts_with(&prefix)).count();
        assert_eq!(changed.len(), count, "{case}");
        println!("{case}: {count} weights, the worst difference {worst:e}");
        assert!(worst < 1e-5, "{case}: {worst}");
    }
}

#[test]
fn a_strength_of_nothing_and_other_weights_leave_the_model_as_it_is() {
    let (file, targets) = small();
    let job = JobContext::detached();
    let net = Named::of(&file, Part::Unet, &job).unwrap();
    let lora = Lora::open(&golden("lora/kohya.safetensors"), &targets).unwrap();
    let name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight";
    let plain = net.read(name, &[4, 4]).unwrap();
    let mut stack = Stack::default();
    stack.push(&lora, Strength { unet: 0.0, text: 1.0 }).unwrap();
    assert_eq!(Patched::new(&net, &stack).read(name, &[4, 4]).unwrap(), plain);
    stack.push(&lora, Strength { unet: 0.5, text: 0.0 }).unwrap();
    assert_ne!(Patched::new(&net, &stack).read(name, &[4, 4]).unwrap(), plain);
    let other = net.read("conv_in.weight", &[4, 4, 3, 3]).unwrap();
    assert_eq!(Patched::new(&net, &stack).read("conv_in.weight", &[4, 4, 3, 3]).unwrap(), other);
    for wrong in [f32::NAN, f32::INFINITY, 101.0] {
        let error = stack.push(&lora, Strength::both(wrong)).unwrap_err();
        assert!(error.to_string().contains("strength of the LoRA must be from"), "{error}");
    }
}

fn sd(context: usize) -> UnetConfig {
    let heads = if context == 768 { json!(8) } else { json!([5, 10, 20, 20]) };
    let settings = json!({
        "block_out_channels": [320, 640, 1280, 1280], "attention_head_dim": heads,
        "cross_attention_dim": context, "use_linear_projection": context != 768,
        "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    });
    UnetConfig::from_json(&settings, Path::new("sd")).unwrap()
}

fn clip(width: usize, layers: usize) -> TextConfig {
    let settings = json!({
        "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": width / 64,
        "intermediate_size": 4 * width,
    });
    TextConfig::from_json(&settings, Path::new("clip")).unwrap()
}

fn sd1() -> Targets {
    Targets::new(Some(&sd(768)), Some(&clip(768, 12)), None)
}

#[test]
fn every_key_of_real_files_matches_the_model_that_they_are_for() {
    let (sd1, sd2) = (sd1(), Targets::new(Some(&sd(1024)), Some(&clip(1024, 23)), None));
    let files = [
        ("csimo_lora_disney.safetensors", &sd1, 192, 2),
        ("csimo_analog_svd_rank4.safetensors", &sd1, 192, 0),
        ("csimo_lora_kiriko.pt", &sd2, 128, 0),
        ("csimo_lora_kiriko.text_encoder.pt", &sd2, 92, 0),
    ];
    for (name, targets, count, words) in files {
        let Some(path) = fixture(&format!("checkpoints/{name}")) else { continue };
        let lora = Lora::open(&path, targets).unwrap();
        assert!(lora.unmatched().is_empty(), "{name}: {:?}", lora.unmatched());
        assert_eq!((lora.changed().count(), lora.words().len()), (count, words), "{name}");
        for word in lora.words() {
            word.check(&[768]).unwrap();
        }
        let (part, first) = lora.changed().next().unwrap();
        println!("{name}: {first}");
        let sides: [usize; 2] = match part {
            Part::Unet => [320, 320],
            _ => [targets_width(name), targets_width(name)],
        };
        let base = vec![0.5; sides[0] * sides[1]];
        let delta = lora.delta(part, first, &base).unwrap().unwrap();
        assert!(delta.iter().any(|value| *value != 0.0), "{name}");
    }
    let Some(tensors) = manifest("lora-kohya-sd1").unwrap() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lora.safetensors");
    hollow(&path, &tensors, json!({})).unwrap();
    let lora = Lora::open(&path, &sd1).unwrap();
    assert!(lora.unmatched().is_empty(), "{:?}", lora.unmatched());
    assert_eq!(lora.changed().count(), 264);
    // What a loader does for the net: read both halves, multiply them, add them to the weight.
    let net: BTreeMap<String, usize> =
        sd(768).tensors().into_iter().map(|(name, shape)| (name, shape.iter().product())).collect();
    let begin = std::time::Instant::now();
    let mut stack = Stack::default();
    stack.push(&lora, Strength::both(0.8)).unwrap();
    let mut count = 0;
    for (part, name) in lora.changed().filter(|(part, _)| *part == Part::Unet) {
        let mut weight = vec![0.5; net[name]];
        stack.apply(part, name, &mut weight).unwrap();
        assert!(weight.iter().all(|value| *value == 0.5), "{name}");
        count += 1;
    }
    println!("{count} weights changed at rank 128 in {:.2} s", begin.elapsed().as_secs_f32());
}

fn targets_width(name: &str) -> usize {
    if name.contains("kiriko") { 1024 } else { 768 }
}

#[test]
fn counted_modules_stand_where_their_trainer_walked() {
    let Some(path) = fixture("checkpoints/csimo_lora_disney.safetensors") else { return };
    let lora = Lora::open(&path, &sd1()).unwrap();
    let file = Checkpoint::open(&path).unwrap();
    // Of nine in a transformer block, the feed-forward map is the fifth, and the middle comes last.
    let places = [
        ("unet:0", "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q", [320, 320]),
        ("unet:4", "down_blocks.0.attentions.0.transformer_blocks.0.ff.net.0.proj", [2560, 320]),
        ("unet:6", "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k", [320, 768]),
        ("unet:54", "up_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q", [1280, 1280]),
        ("unet:143", "mid_block.attentions.0.transformer_blocks.0.attn2.to_out.0", [1280, 1280]),
    ];
    for (counted, module, [to, from]) in places {
        let up = file.floats(&format!("{counted}:up")).unwrap();
        let down = file.floats(&format!("{counted}:down")).unwrap();
        assert_eq!((up.len(), down.len()), (to, from), "{counted}");
        let base = vec![0.0; to * from];
        let delta = lora.delta(Part::Unet, &format!("{module}.weight"), &base).unwrap().unwrap();
        for at in [0, 7, to * from / 2, to * from - 1] {
            let wanted = up[at / from] * down[at % from];
            assert!((delta[at] - wanted).abs() <= 1e-6 * wanted.abs().max(1e-3), "{counted}");
        }
    }
}

/// Writes a LoRA of one module in kohya's names.
fn one(folder: &Path, module: &str, to: usize, from: usize) -> PathBuf {
    let info = |shape: [usize; 2]| TensorInfo { shape: shape.to_vec(), element: Element::F16 };
    let tensors = BTreeMap::from([
        (format!("{module}.lora_down.weight"), info([4, from])),
        (format!("{module}.lora_up.weight"), info([to, 4])),
    ]);
    let path = folder.join("one.safetensors");
    hollow(&path, &tensors, json!({})).unwrap();
    path
}

#[test]
fn a_lora_of_another_family_is_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let module = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k";
    let path = one(folder.path(), module, 640, 2048);
    let error = Lora::open(&path, &sd1()).unwrap_err();
    let said = "The LoRA is made for SDXL, and the model is SD 1.x: ";
    assert!(error.to_string().starts_with(said), "{error}");
    assert!(matches!(error, EngineError::OtherFamily { .. }));
    let module = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k";
    let path = one(folder.path(), module, 320, 1024);
    let error = Lora::open(&path, &sd1()).unwrap_err();
    assert!(error.to_string().contains("made for SD 2.x, and the model is SD 1.x"), "{error}");
}

#[test]
fn what_matches_nothing_is_listed_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let info = |shape: [usize; 2]| TensorInfo { shape: shape.to_vec(), element: Element::F16 };
    let block = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0";
    let mut tensors = BTreeMap::new();
    for (module, from) in [
        (format!("{block}_attn2_to_k"), 768),
        (format!("{block}_attn1_to_k"), 640),
        ("lora_unet_nowhere".to_owned(), 768),
        ("lora_te_text_model_encoder_layers_0_mlp_fc1".to_owned(), 768),
    ] {
        tensors.insert(format!("{module}.lora_down.weight"), info([4, from]));
        tensors.insert(format!("{module}.lora_up.weight"), info([320, 4]));
    }
    tensors.insert(format!("{block}_attn1_to_q.oft_blocks"), info([4, 4]));
    tensors.insert("strange".to_owned(), info([4, 4]));
    let path = folder.path().join("mixed.safetensors");
    hollow(&path, &tensors, json!({ "ss_base_model_version": "sd_v1" })).unwrap();
    let lora = Lora::open(&path, &Targets::new(Some(&sd(768)), None, None)).unwrap();
    assert_eq!(lora.changed().count(), 1);
    let reasons: BTreeMap<&str, &str> =
        lora.unmatched().iter().map(|one| (one.key.as_str(), one.reason.as_str())).collect();
    assert_eq!(reasons.len(), 5, "{reasons:?}");
    assert_eq!(reasons["lora_unet_nowhere"], "names no module of this model's UNet");
    assert_eq!(reasons["strange"], "is no part of a LoRA that is known");
    let key = format!("{block}_attn1_to_q.oft_blocks");
    assert_eq!(reasons[key.as_str()], "is a rotation (OFT), which is not supported");
    let key = format!("{block}_attn1_to_k");
    assert_eq!(reasons[key.as_str()], "is for a matrix of 320×640, and the model's is 320×320");
    let key = "lora_te_text_model_encoder_layers_0_mlp_fc1";
    assert_eq!(reasons[key], "is for a text encoder, which this model does not have");
}

/// Names of tensors with their shapes.
type Shapes<'a> = &'a [(&'a str, &'a [usize])];

#[test]
fn new_words_of_every_kind_of_file_are_read() {
    let a1111 = embedding::open(&golden("containers/inversion-a1111.pt")).unwrap();
    assert_eq!((a1111.len(), a1111[0].word.as_str()), (1, "fox"));
    a1111[0].check(&[768]).unwrap();
    let error = a1111[0].check(&[768, 1280]).unwrap_err();
    let said =
        "The textual inversion “fox” has vectors of width 768, and this model's words have 1280";
    assert_eq!(error.to_string(), said);
    let folder = tempfile::tempdir().unwrap();
    let info = |shape: &[usize]| TensorInfo { shape: shape.to_vec(), element: Element::F32 };
    let path = folder.path().join("night.safetensors");
    let write = |tensors: Shapes<'_>| {
        let tensors =
            tensors.iter().map(|(name, shape)| ((*name).to_owned(), info(shape))).collect();
        hollow(&path, &tensors, json!({})).unwrap();
        embedding::open(&path)
    };
    let kohya = write(&[("emb_params", &[8, 768])]).unwrap();
    assert_eq!((kohya[0].word.as_str(), kohya[0].vectors[0].count()), ("night", 8));
    let sdxl = write(&[("clip_l", &[2, 768]), ("clip_g", &[2, 1280])]).unwrap();
    sdxl[0].check(&[768, 1280]).unwrap();
    assert_eq!(sdxl[0].for_width(1280).unwrap().values.len(), 2560);
    let several = write(&[("<one>", &[768]), ("<two>", &[768])]).unwrap();
    assert_eq!(several.iter().map(|e| e.word.as_str()).collect::<Vec<_>>(), ["<one>", "<two>"]);
    let refused: [(Shapes<'_>, &str); 5] = [
        (&[("emb_params", &[76, 768])], "holds 76 vectors of 768 numbers"),
        (&[("emb_params", &[0, 768])], "holds 0 vectors"),
        (&[("clip_l", &[2, 768]), ("clip_g", &[3, 1280])], "do not fit each other"),
        (&[("a", &[2, 3, 4])], "holds no new words"),
        (&[], "holds no new words"),
    ];
    for (tensors, reason) in refused {
        let error = write(tensors).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let Some(path) = fixture("checkpoints/fastai_learned_embeds.bin") else { return };
    let fastai = embedding::open(&path).unwrap();
    assert_eq!((fastai.len(), fastai[0].word.as_str()), (1, "<birb-style>"));
    let vectors = fastai[0].for_width(768).unwrap();
    assert_eq!(vectors.count(), 1);
    assert!(vectors.values.iter().any(|value| *value != 0.0));
}

#[test]
fn settings_of_an_adapter_that_are_no_json_are_refused() {
    let (_, targets) = small();
    let folder = tempfile::tempdir().unwrap();
    let from = golden("lora/peft/adapter_model.safetensors");
    let to = folder.path().join("adapter_model.safetensors");
    std::fs::copy(from, &to).unwrap();
    std::fs::write(folder.path().join("adapter_config.json"), "{").unwrap();
    let error = Lora::open(&to, &targets).unwrap_err().to_string();
    assert!(error.contains("holds no settings"), "{error}");
    let wrong: Value = json!({ "r": 0, "lora_alpha": 1e300 });
    std::fs::write(folder.path().join("adapter_config.json"), wrong.to_string()).unwrap();
    let error = Lora::open(&to, &targets).unwrap_err().to_string();
    assert!(error.contains("as no LoRA is"), "{error}");
}
