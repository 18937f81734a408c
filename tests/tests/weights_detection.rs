//! Which model a file is: real files, the names and shapes of real large ones, and small ones made
//! after the names that trainers use.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use atelier_engine::EngineError;
use atelier_engine::weights::detect::{Base, Detection, Evidence, Family, Naming, Prediction};
use atelier_engine::weights::detect::{Variant, View, detect, detect_view};
use atelier_engine::weights::element::{Element, TensorInfo};
use atelier_engine::weights::inspect::inspect;
use atelier_engine::weights::open::{Checkpoint, Container};
use atelier_engine::weights::source::ByteSource;
use atelier_tests::manifest::{hollow, manifest};
use atelier_tests::source::fixture;
use serde_json::{Value, json};

fn detail<'a>(found: &'a Detection, name: &str) -> &'a str {
    found.details.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
}

#[test]
fn every_real_file_is_recognised_and_every_tensor_is_read() {
    use Container::{Gguf, Llama2c, Safetensors, TorchZip};
    let files = [
        ("taesd-decoder.gguf", Gguf, Family::TinyAutoencoder, None, 67),
        ("taef2_decoder.pth", TorchZip, Family::TinyAutoencoder, None, 79),
        ("realesr-animevideov3.pth", TorchZip, Family::Upscaler, None, 53),
        ("lpips_squeeze.pt", TorchZip, Family::Unknown, None, 66),
        ("csimo_lora_disney.safetensors", Safetensors, Family::Lora, Some(Base::Sd1), 386),
        ("csimo_analog_svd_rank4.safetensors", Safetensors, Family::Lora, Some(Base::Sd1), 384),
        ("csimo_lora_kiriko.pt", TorchZip, Family::Lora, Some(Base::Sd2), 256),
        ("csimo_lora_kiriko.text_encoder.pt", TorchZip, Family::Lora, Some(Base::Sd2), 184),
        ("fastai_learned_embeds.bin", TorchZip, Family::TextualInversion, Some(Base::Sd1), 1),
        ("aidreams260K.bin", Llama2c, Family::LanguageModel, None, 13),
        ("burn_mnist.pt", TorchZip, Family::Unknown, None, 20),
        ("burn_mnist.safetensors", Safetensors, Family::Unknown, None, 20),
        ("silero_vad_16k.safetensors", Safetensors, Family::Unknown, None, 15),
    ];
    for (name, container, family, base, count) in files {
        let Some(path) = fixture(&format!("checkpoints/{name}")) else { continue };
        let file = Checkpoint::open(&path).unwrap();
        let found = detect(&file);
        println!("{name}: {found:?}");
        assert_eq!(file.container(), container, "{name}");
        assert_eq!((found.family, found.base), (family, base), "{name}");
        assert_eq!(file.tensors().len(), count, "{name}");
        for (tensor, info) in file.tensors() {
            assert_eq!(file.bytes(tensor).unwrap().len() as u64, info.bytes(), "{name}: {tensor}");
        }
        assert_eq!(inspect(&file).tensors.count, count);
    }
}

#[test]
fn what_matters_about_real_files_is_told() {
    let open = |name: &str| {
        let file = Checkpoint::open(&fixture(&format!("checkpoints/{name}"))?).unwrap();
        Some(detect(&file))
    };
    let Some(disney) = open("csimo_lora_disney.safetensors") else { return };
    assert_eq!(detail(&disney, "rank"), "1");
    assert_eq!(detail(&disney, "new words"), "<s1>, <s2>");
    assert_eq!(detail(&disney, "changes"), "UNet and text encoder");
    assert_eq!(disney.naming, Some(Naming::Cloneofsimo));
    assert!(disney.missing.is_empty());
    let upscaler = open("realesr-animevideov3.pth").unwrap();
    assert_eq!(detail(&upscaler, "factor"), "×4");
    assert_eq!(detail(&upscaler, "size"), "16 convolutions of 64 features");
    let kiriko = open("csimo_lora_kiriko.text_encoder.pt").unwrap();
    assert_eq!((detail(&kiriko, "changes"), detail(&kiriko, "rank")), ("text encoder", "4"));
    let word = open("fastai_learned_embeds.bin").unwrap();
    assert_eq!((detail(&word, "word"), detail(&word, "vectors")), ("<birb-style>", "1"));
    let taesd = open("taesd-decoder.gguf").unwrap();
    assert_eq!(detail(&taesd, "latent channels"), "4");
    assert_eq!(taesd.missing, ["the encoder"]);
}

#[test]
fn files_of_torch_itself_are_recognised() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/containers");
    let word = detect(&Checkpoint::open(&golden.join("inversion-a1111.pt")).unwrap());
    assert_eq!((word.family, word.base), (Family::TextualInversion, Some(Base::Sd1)));
    assert_eq!((detail(&word, "word"), word.naming), ("fox", Some(Naming::A1111)));
    let trained = inspect(&Checkpoint::open(&golden.join("trained.ckpt")).unwrap());
    assert_eq!(trained.metadata["global_step"], "1234");
    assert!(trained.strange[0].contains("not run: argparse.Namespace"), "{:?}", trained.strange);
    assert!(trained.strange[1].contains("optimizer_states"), "{:?}", trained.strange);
    let old = Checkpoint::open(&golden.join("legacy-2.pt")).unwrap();
    assert_eq!(old.container(), Container::TorchLegacy);
    let new = Checkpoint::open(&golden.join("zip-5.pt")).unwrap();
    for name in old.tensors().keys() {
        assert_eq!(old.bytes(name).unwrap(), new.bytes(name).unwrap(), "{name}");
    }
}

#[test]
fn damaged_files_are_refused_with_a_sentence() {
    let files = [
        ("damaged/broken-length.safetensors", "ends before its header does"),
        ("damaged/version-1.gguf", "version 1"),
        ("damaged/reencoded-as-text.gguf", ""),
        ("checkpoints/aidreams_tok512.bin", "is no safetensors, torch or GGUF file"),
        ("README.md", "is no safetensors, torch or GGUF file"),
    ];
    for (name, reason) in files {
        let Some(path) = fixture(name) else { continue };
        let error = Checkpoint::open(&path).unwrap_err();
        println!("{error}");
        assert!(matches!(error, EngineError::Damaged { .. }), "{name}: {error}");
        assert!(error.to_string().contains(reason), "{name}: {error}");
    }
}

#[test]
fn real_large_models_are_recognised_by_names_and_shapes() {
    let files = [
        ("sdxl-unet", Family::StableDiffusion, Some(Base::Sdxl), Some(Naming::Diffusers)),
        ("sdxl-vae", Family::Vae, None, Some(Naming::Diffusers)),
        ("sdxl-text-encoder", Family::ClipText, None, Some(Naming::Transformers)),
        ("sdxl-text-encoder-2", Family::ClipText, None, Some(Naming::Transformers)),
        ("controlnet-canny-sd1", Family::ControlNet, Some(Base::Sd1), Some(Naming::Diffusers)),
        ("ip-adapter-sd1", Family::ClipImage, None, Some(Naming::Transformers)),
        ("lora-kohya-sd1", Family::Lora, Some(Base::Sd1), Some(Naming::Kohya)),
        ("realesrgan-x2plus", Family::Upscaler, None, None),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (name, family, base, naming) in files {
        let Some(tensors) = manifest(name).unwrap() else { continue };
        let file = folder.path().join("model.safetensors");
        hollow(&file, &tensors, json!({ "license": "test" })).unwrap();
        let checkpoint = Checkpoint::open(&file).unwrap();
        assert_eq!(*checkpoint.tensors(), tensors, "{name}");
        let found = detect(&checkpoint);
        println!("{name}: {found:?}");
        assert_eq!((found.family, found.base, found.naming), (family, base, naming), "{name}");
        assert!(found.strange.is_empty(), "{name}: {:?}", found.strange);
        assert_eq!(inspect(&checkpoint).licence.as_deref(), Some("test"));
        match name {
            "sdxl-unet" => {
                assert_eq!(found.variant, Some(Variant::TextToImage));
                assert_eq!(found.prediction, Some(Prediction::Epsilon));
                assert_eq!(found.missing.len(), 3);
                assert_eq!(detail(&found, "pruned"), "");
            }
            "realesrgan-x2plus" => assert_eq!(detail(&found, "factor"), "×2"),
            "lora-kohya-sd1" => assert_eq!(detail(&found, "rank"), "128"),
            "sdxl-text-encoder-2" => assert!(detail(&found, "model").contains("bigG")),
            _ => {}
        }
    }
}

/// Detects a model of these tensors.
fn made(tensors: &[(&str, &[usize])]) -> Detection {
    made_with(tensors, &[], &|_| None)
}

fn made_with(
    tensors: &[(&str, &[usize])],
    facts: &[(&str, &str)],
    numbers: &dyn Fn(&str) -> Option<Vec<f32>>,
) -> Detection {
    let info = |shape: &[usize]| TensorInfo { shape: shape.to_vec(), element: Element::F16 };
    let tensors = tensors.iter().map(|(name, shape)| ((*name).to_owned(), info(shape))).collect();
    let facts: Vec<_> =
        facts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    detect_view(&View { tensors: &tensors, facts: &facts, file_name: "m.safetensors", numbers })
}

/// Returns the telling tensors of a net with CompVis's names.
fn ldm(prefix: &str, channels: usize, context: usize) -> Vec<(String, Vec<usize>)> {
    let named = |name: &str| format!("{prefix}{name}");
    vec![
        (named("input_blocks.0.0.weight"), vec![320, channels, 3, 3]),
        (named("input_blocks.1.0.in_layers.0.weight"), vec![320]),
        (named("input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"), vec![320, context]),
    ]
}

fn borrowed(tensors: &[(String, Vec<usize>)]) -> Vec<(&str, &[usize])> {
    tensors.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())).collect()
}

#[test]
fn single_file_checkpoints_are_told_apart() {
    let cases = [
        (4, 768, Base::Sd1, Variant::TextToImage),
        (9, 768, Base::Sd1, Variant::Inpainting),
        (8, 768, Base::Sd1, Variant::InstructPix2Pix),
        (9, 1024, Base::Sd2, Variant::Inpainting),
        (5, 1024, Base::Sd2, Variant::DepthToImage),
        (4, 2048, Base::Sdxl, Variant::TextToImage),
        (9, 2048, Base::Sdxl, Variant::Inpainting),
        (4, 1280, Base::SdxlRefiner, Variant::TextToImage),
    ];
    for (channels, context, base, variant) in cases {
        let mut net = ldm("model.diffusion_model.", channels, context);
        let bare = made(&borrowed(&net));
        assert_eq!((bare.family, bare.base), (Family::StableDiffusion, Some(base)));
        assert_eq!((bare.variant, bare.naming), (Some(variant), Some(Naming::Ldm)));
        assert!(!bare.missing.is_empty());
        for part in [
            "first_stage_model.decoder.conv_in.weight",
            "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
            "conditioner.embedders.0.model.token_embedding.weight",
            "conditioner.embedders.1.model.token_embedding.weight",
        ] {
            net.push((part.to_owned(), vec![1, 1]));
        }
        assert!(made(&borrowed(&net)).missing.is_empty());
    }
}

#[test]
fn what_a_net_predicts_is_told_where_it_can_be() {
    let net = ldm("model.diffusion_model.", 4, 1024);
    let net = borrowed(&net);
    let spread = |spread: f32| {
        move |name: &str| {
            name.ends_with("output_blocks.11.1.transformer_blocks.0.norm1.bias")
                .then(|| vec![spread, -spread])
        }
    };
    let predicts =
        |facts: &[_], numbers: &dyn Fn(&str) -> _| made_with(&net, facts, numbers).prediction;
    assert_eq!(predicts(&[], &|_| None), None);
    assert_eq!(predicts(&[], &spread(0.2)), Some(Prediction::V));
    assert_eq!(predicts(&[], &spread(0.05)), Some(Prediction::Epsilon));
    let said = [("modelspec.prediction_type", "epsilon")];
    assert_eq!(predicts(&said, &spread(0.2)), Some(Prediction::Epsilon));
    let by =
        |facts: &[_], numbers: &dyn Fn(&str) -> _| made_with(&net, facts, numbers).prediction_by;
    assert_eq!(by(&[], &|_| None), None);
    assert_eq!(by(&[], &spread(0.2)), Some(Evidence::Numbers));
    assert_eq!(by(&said, &spread(0.2)), Some(Evidence::Metadata));
    let mut marked = ldm("model.diffusion_model.", 4, 2048);
    marked.extend([("v_pred".to_owned(), vec![0]), ("ztsnr".to_owned(), vec![0])]);
    let marked = made(&borrowed(&marked));
    assert_eq!(marked.prediction, Some(Prediction::V));
    assert_eq!(marked.prediction_by, Some(Evidence::Mark));
    assert!(marked.strange[0].contains("zero terminal SNR"));
}

#[test]
fn every_trainers_names_of_a_lora_are_known() {
    use Naming::{Cloneofsimo, Diffusers, DiffusersOld, Kohya, Peft};
    let kohya = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k";
    let block = "down_blocks.0.attentions.0.transformer_blocks.0.attn2";
    let cases = [
        (format!("{kohya}.lora_down.weight"), format!("{kohya}.lora_up.weight"), Kohya),
        (
            format!("unet.{block}.to_k.lora_A.weight"),
            format!("unet.{block}.to_k.lora_B.weight"),
            Diffusers,
        ),
        (
            format!("unet.{block}.to_k.lora.down.weight"),
            format!("unet.{block}.to_k.lora.up.weight"),
            Diffusers,
        ),
        (
            format!("{block}.processor.to_k_lora.down.weight"),
            format!("{block}.processor.to_k_lora.up.weight"),
            DiffusersOld,
        ),
        (
            format!("base_model.model.{block}.to_k.lora_A.weight"),
            format!("base_model.model.{block}.to_k.lora_B.weight"),
            Peft,
        ),
        ("unet:0:down".to_owned(), "unet:0:up".to_owned(), Cloneofsimo),
    ];
    for (down, up, naming) in &cases {
        for (width, base) in [(768, Base::Sd1), (1024, Base::Sd2), (2048, Base::Sdxl)] {
            let found = made(&[(down, &[8, width]), (up, &[320, 8])]);
            assert_eq!((found.family, found.base), (Family::Lora, Some(base)), "{down}");
            assert_eq!(found.naming, Some(*naming), "{down}");
            assert_eq!(found.variant, Some(Variant::Lora));
            assert_eq!(detail(&found, "rank"), "8");
            assert!(found.missing.is_empty());
        }
        assert!(made(&[(down, &[8, 768])]).missing[0].contains("other half"), "{down}");
    }
}

#[test]
fn the_kin_of_lora_are_told_apart() {
    let a = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k";
    let named = |end: &str| format!("{a}.{end}");
    let (down, up) = (named("lora_down.weight"), named("lora_up.weight"));
    let numbers = |name: &str| name.ends_with(".alpha").then(|| vec![4.0]);
    let dora = [
        (&*down, &[8, 768][..]),
        (&*up, &[1280, 8]),
        (&*named("dora_scale"), &[1280, 1]),
        (&*named("alpha"), &[]),
    ]
    .map(|(name, shape)| (name.to_owned(), shape.to_vec()));
    let dora = made_with(&borrowed(&dora), &[], &numbers);
    assert_eq!((dora.variant, detail(&dora, "alpha")), (Some(Variant::Dora), "4"));
    let locon = made(&[(&down, &[8, 320, 3, 3]), (&up, &[320, 8, 1, 1])]);
    assert_eq!(locon.variant, Some(Variant::LoCon));
    let loha = [named("hada_w1_a"), named("hada_w1_b")];
    let loha = made(&[(&loha[0], &[1280, 4]), (&loha[1], &[4, 768])]);
    assert_eq!((loha.variant, loha.base), (Some(Variant::LoHa), Some(Base::Sd1)));
    assert_eq!(detail(&loha, "rank"), "4");
    let lokr = [named("lokr_w1"), named("lokr_w2")];
    let lokr = made(&[(&lokr[0], &[16, 16]), (&lokr[1], &[80, 48])]);
    assert_eq!((lokr.family, lokr.variant), (Family::Lora, Some(Variant::LoKr)));
}

#[test]
fn smaller_parts_are_recognised() {
    let family = |tensors: &[(&str, &[usize])]| made(tensors).family;
    let adapter = [
        ("image_proj.proj.weight", &[3072, 1024][..]),
        ("ip_adapter.1.to_k_ip.weight", &[320, 768]),
    ];
    assert_eq!(family(&adapter), Family::IpAdapter);
    let control = ldm("control_model.", 4, 768);
    let mut control = borrowed(&control);
    control.push(("control_model.input_hint_block.0.weight", &[16, 3, 3, 3]));
    assert_eq!(made(&control).base, Some(Base::Sd1));
    assert_eq!(family(&control), Family::ControlNet);
    let old = [
        ("model.0.weight", &[64, 3, 3, 3][..]),
        ("model.1.sub.0.RDB1.conv1.0.weight", &[32, 64, 3, 3]),
        ("model.3.weight", &[64, 64, 3, 3]),
        ("model.6.weight", &[64, 64, 3, 3]),
        ("model.8.weight", &[64, 64, 3, 3]),
        ("model.10.weight", &[3, 64, 3, 3]),
    ];
    assert_eq!(detail(&made(&old), "factor"), "×4");
    let open = [
        ("token_embedding.weight", &[49408, 1024][..]),
        ("transformer.resblocks.0.ln_1.weight", &[1024]),
    ];
    assert_eq!(made(&open).naming, Some(Naming::OpenClip));
    let nameless = [
        ("embeddings.token_embedding.weight", &[49408, 768][..]),
        ("encoder.layers.0.self_attn.q_proj.weight", &[768, 768]),
    ];
    assert_eq!(made(&nameless).naming, Some(Naming::Transformers));
    assert_eq!(family(&[("emb_params", &[4, 768])]), Family::TextualInversion);
    assert_eq!(made(&[("clip_g", &[2, 1280]), ("clip_l", &[2, 768])]).base, Some(Base::Sdxl));
    let house = atelier_tests::source::root().join("assets/models");
    let folder = house.join("house-picture");
    if folder.join("model.safetensors").is_file() {
        // A folder of one part is what its weights are, with the settings beside them.
        let opened = Checkpoint::open(&folder).unwrap();
        assert_eq!(opened.container(), Container::Safetensors);
        assert_eq!(inspect(&opened).licence.as_deref(), Some("MIT AND Apache-2.0"));
    }
    for (file, family) in [
        ("house-picture/model.safetensors", Family::HousePicture),
        ("house-writer/model.gguf", Family::HouseWriter),
        ("house-composer/model.gguf", Family::HouseComposer),
    ] {
        let path = house.join(file);
        if path.is_file() {
            assert_eq!(detect(&Checkpoint::open(&path).unwrap()).family, family);
        }
    }
}

#[test]
fn a_folder_of_diffusers_is_one_model_and_says_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &Value| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.to_string()).unwrap();
    };
    let parts = json!({
        "_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"], "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"], "safety_checker": [null, null]
    });
    write("model_index.json", &parts);
    write("scheduler/scheduler_config.json", &json!({ "prediction_type": "v_prediction" }));
    write("unet/config.json", &json!({ "in_channels": 4 }));
    let info = |shape: &[usize]| TensorInfo { shape: shape.to_vec(), element: Element::F16 };
    let unet = [
        ("conv_in.weight", info(&[320, 4, 3, 3])),
        ("down_blocks.0.resnets.0.norm1.weight", info(&[320])),
    ];
    let more = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight";
    let shards = [
        ("diffusion_pytorch_model-00001-of-00002.safetensors", unet.to_vec()),
        ("diffusion_pytorch_model-00002-of-00002.safetensors", vec![(more, info(&[320, 1024]))]),
    ];
    let mut places = serde_json::Map::new();
    for (shard, tensors) in shards {
        let tensors = tensors.into_iter().map(|(name, info)| (name.to_owned(), info)).collect();
        hollow(&folder.path().join("unet").join(shard), &tensors, json!({})).unwrap();
        places.extend(tensors.into_keys().map(|name| (name, json!(shard))));
    }
    write("unet/diffusion_pytorch_model.safetensors.index.json", &json!({ "weight_map": places }));
    let file = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(file.container(), Container::Diffusers);
    assert_eq!(file.bytes("unet/conv_in.weight").unwrap().len(), 320 * 4 * 9 * 2);
    let found = detect(&file);
    assert_eq!((found.family, found.base), (Family::StableDiffusion, Some(Base::Sd2)));
    assert_eq!(found.prediction, Some(Prediction::V));
    let missing = inspect(&file).missing;
    assert!(missing.contains(&"the VAE".to_owned()), "{missing:?}");
    assert!(missing.iter().any(|what| what.contains("“text_encoder”")), "{missing:?}");

    for elsewhere in ["../x.safetensors", "a/b.safetensors", "..", "c:x"] {
        write("unet/model.safetensors.index.json", &json!({ "weight_map": { "w": elsewhere } }));
        let index = folder.path().join("unet/model.safetensors.index.json");
        let said = Checkpoint::open(&index).unwrap_err().to_string();
        assert!(said.contains("is not beside it"), "{said}");
    }
}

#[test]
fn hostile_safetensors_are_refused() {
    let file = |header: &str| {
        let length = (header.len() as u64).to_le_bytes();
        let bytes = [&length, header.as_bytes(), &[0; 8]].concat();
        Checkpoint::read(ByteSource::memory(bytes), Path::new("x.safetensors"))
    };
    let entry = |name: &str, start: u64, end: u64, side: u64| {
        format!(r#""{name}":{{"dtype":"F32","shape":[{side}],"data_offsets":[{start},{end}]}}"#)
    };
    let two = |first: String, second: String| file(&format!("{{{first},{second}}}"));
    assert!(two(entry("a", 0, 4, 1), entry("b", 4, 8, 1)).is_ok());
    let refused = [
        (two(entry("a", 0, 4, 1), entry("a", 4, 8, 1)), "twice"),
        (two(entry("a", 0, 8, 2), entry("b", 4, 8, 1)), "overlap"),
        (file(&format!("{{{}}}", entry("a", 0, 12, 3))), "cut short"),
        (file(&format!("{{{}}}", entry("a", 0, 8, 3))), "does not fit"),
        (file(&format!("{{{}}}", entry("a", 8, 0, 2))), "does not fit"),
        (file(&format!("{{{}}}", entry("a", 0, 8, 1 << 63))), "does not fit"),
        (file(&format!("{{{}}}", entry("a", 0, u64::MAX, 1 << 62))), "cut short"),
        (file(&"[".repeat(1000)), "does not begin"),
        (file(&format!("{{\"a\":{}", "[".repeat(100_000))), "does not begin"),
    ];
    for (opened, reason) in refused {
        let said = opened.unwrap_err().to_string();
        assert!(said.contains(reason), "{said}");
    }
    for length in [1_u64 << 63, u64::MAX, u64::MAX - 7, 9, 0] {
        let bytes = [&length.to_le_bytes()[..], b"{}"].concat();
        assert!(Checkpoint::read(ByteSource::memory(bytes), Path::new("x.safetensors")).is_err());
    }
}

/// Writes a GGUF file with one tensor of floats for each name and offset.
fn gguf(tensors: &[(&str, u64)]) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend(0_u64.to_le_bytes());
    for (name, offset) in tensors {
        out.extend((name.len() as u64).to_le_bytes());
        out.extend(name.as_bytes());
        out.extend(1_u32.to_le_bytes());
        out.extend(8_u64.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend(offset.to_le_bytes());
    }
    out.resize(out.len().next_multiple_of(32) + 64, 0);
    out
}

#[test]
fn hostile_gguf_files_are_refused() {
    let read = |bytes: Vec<u8>| Checkpoint::read(ByteSource::memory(bytes), Path::new("x.gguf"));
    assert_eq!(read(gguf(&[("a", 0), ("b", 32)])).unwrap().bytes("b").unwrap(), [0; 32]);
    let refused = [
        (gguf(&[("a", 0), ("a", 32)]), "twice"),
        (gguf(&[("a", 0), ("b", 16)]), "overlap"),
        (gguf(&[("a", 64)]), "cut short"),
        (gguf(&[("a", u64::MAX - 40)]), "impossible place"),
    ];
    for (bytes, reason) in refused {
        let said = read(bytes).unwrap_err().to_string();
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn cut_and_damaged_headers_never_panic() {
    let mut tensors = BTreeMap::new();
    for name in ["a", "b", "c"] {
        tensors.insert(name.to_owned(), TensorInfo { shape: vec![2, 2], element: Element::F16 });
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    hollow(&path, &tensors, json!({ "a": "b" })).unwrap();
    let safe = std::fs::read(&path).unwrap();
    let read = |bytes: &[u8]| Checkpoint::read(ByteSource::memory(bytes.to_vec()), &path);
    let gguf = gguf(&[("a", 0), ("b", 32)]);
    for whole in [&safe, &gguf] {
        assert!(read(whole).is_ok());
        for end in 0..whole.len() {
            let opened = read(&whole[..end]);
            assert!(matches!(opened, Err(EngineError::Damaged { .. })), "cut at {end}");
        }
        let mut state = 5_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize
        };
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..=random() % 3 {
                let at = random() % bytes.len();
                bytes[at] = random() as u8;
            }
            let Ok(file) = read(&bytes) else { continue };
            for (name, info) in file.tensors() {
                assert!(info.bytes() <= bytes.len() as u64);
                assert_eq!(file.bytes(name).unwrap().len() as u64, info.bytes());
            }
            inspect(&file);
        }
    }
}
