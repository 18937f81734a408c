//! Pictures of other programs, real ones and hand-written ones: what is read out of them, what request
//! it becomes, and what is said not to be honoured.

use anyhow::{Context, Result, ensure};
use atelier_engine::protocol::{PictureRequest, PredictionChoice, SamplerKind, ScheduleKind, Size};
use atelier_engine::store::foreign::{self, ForeignSettings, PictureFormat, Program};
use atelier_tests::foreign::{
    SIDE, TextChunk, exif, jpeg, png, png_as, png_with_bits, png_with_hidden, unicode_comment, webp,
};
use atelier_tests::source::fixture;
use serde_json::{Value, json};

const A1111: &str = "a castle, (stone:1.2) <lora:ink:0.8>\nNegative prompt: blurry, low quality\n\
    Steps: 25, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 1234567890123, \
    Size: 512x768, Model hash: 0a1b2c3d4e, Model: dreamshaper_8, VAE: vae-ft-mse.safetensors, \
    Clip skip: 2, Eta: 0.7, Lora hashes: \"ink: aabbccdd\", Version: v1.10.1";

fn size(width_px: u32, height_px: u32) -> Size {
    Size { width_px, height_px }
}

fn settings(bytes: &[u8]) -> Result<ForeignSettings> {
    let found = foreign::read(bytes)?;
    found.settings.with_context(|| format!("nothing was found: {:?}", found.unread))
}

fn request(settings: &ForeignSettings) -> PictureRequest {
    settings.request(size(SIDE, SIDE))
}

/// Tells whether something that cannot be honoured is said with these words.
fn says(settings: &ForeignSettings, words: &str) -> bool {
    settings.unhonoured.iter().any(|sentence| sentence.contains(words))
}

fn loras(settings: &ForeignSettings) -> Vec<(&str, f32, f32)> {
    settings.loras.iter().map(|lora| (lora.name.as_str(), lora.unet, lora.text)).collect()
}

#[test]
fn what_the_web_ui_writes_is_the_same_in_every_kind_of_file() -> Result<()> {
    let mut files =
        vec![("hidden", png_with_hidden(A1111, true)), ("plain", png_with_hidden(A1111, false))];
    for how in [
        TextChunk::Plain,
        TextChunk::International,
        TextChunk::Packed,
        TextChunk::InternationalPacked,
    ] {
        files.push(("png", png_as(how, &[("parameters", A1111)])));
    }
    for block in [true, false] {
        for text in [true, false] {
            let comment = unicode_comment(A1111, text);
            let block = exif(&[(0x9286, 7, &comment)], block);
            files.push(("jpeg", jpeg(&block)));
            files.push(("webp", webp(&block)));
        }
    }
    let ascii = [b"ASCII\0\0\0", A1111.as_bytes()].concat();
    files.push(("jpeg, ASCII", jpeg(&exif(&[(0x9286, 7, &ascii)], true))));
    files.push(("jpeg, description", jpeg(&exif(&[(0x010e, 2, A1111.as_bytes())], false))));
    for (name, bytes) in files {
        let found = settings(&bytes).context(name)?;
        assert_eq!(found.program, Program::Automatic1111, "{name}");
        assert_eq!(found.prompt, "a castle, (stone:1.2) <lora:ink:0.8>", "{name}");
        assert_eq!(found.negative, "blurry, low quality");
        let model = found.model.as_ref().context("a model")?;
        assert_eq!(
            (model.name.as_str(), model.hash.as_deref()),
            ("dreamshaper_8", Some("0a1b2c3d4e"))
        );
        let request = request(&found);
        assert_eq!(request.sampling.sampler, SamplerKind::DpmPp2m);
        assert_eq!(request.sampling.schedule, ScheduleKind::Karras);
        assert_eq!((request.sampling.steps, request.sampling.guidance), (25, 6.5));
        assert_eq!((request.seed, request.size), (1_234_567_890_123, size(512, 768)));
        assert_eq!(request.extras.clip_skip, Some(2));
        assert_eq!(request.extras.vae.map(|vae| vae.name).as_deref(), Some("vae-ft-mse"));
        assert_eq!(request.sampling.eta, Some(0.7));
        ensure!(request.extras.loras.is_empty(), "the prompt names it itself");
        // The seed is all that differs.
        assert_eq!(found.unhonoured.len(), 1, "{name}: {:?}", found.unhonoured);
        ensure!(says(&found, "The seed makes other noise here"));
    }
    Ok(())
}

#[test]
fn chinese_prompts_survive_utf16_of_either_order() -> Result<()> {
    let text =
        "雪地里的红狐狸\nNegative prompt: 模糊\nSteps: 20, Sampler: Euler a, Seed: 1, Size: 8x8";
    for order in [true, false] {
        let comment = unicode_comment(text, order);
        let found = settings(&jpeg(&exif(&[(0x9286, 7, &comment)], !order)))?;
        assert_eq!((found.prompt.as_str(), found.negative.as_str()), ("雪地里的红狐狸", "模糊"));
        assert_eq!(request(&found).sampling.sampler, SamplerKind::EulerA);
    }
    Ok(())
}

#[test]
fn relatives_of_the_web_ui_say_who_they_are() -> Result<()> {
    for (version, program) in [
        ("Version: f2.0.1v1.10.1-previous-535", Program::Forge),
        ("App: SD.Next, Version: 5fb290f", Program::SdNext),
        ("Version: v1.6.0", Program::Automatic1111),
        ("Version: stable-diffusion.cpp", Program::StableDiffusionCpp),
    ] {
        let text = format!(
            "fox\nSteps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 8x8, Model: m, {version}"
        );
        assert_eq!(settings(&png(&[("parameters", &text)]))?.program, program);
    }
    Ok(())
}

#[test]
fn what_the_web_ui_did_besides_is_said_not_to_be_honoured() -> Result<()> {
    let text = "fox\nSteps: 200, Sampler: DPM fast, CFG scale: 44, Seed: -1, Size: 512x512, Model: m, \
        Denoising strength: 0.4, Hires upscale: 2, Hires steps: 10, Clip skip: 40, \
        Variation seed: 5, Variation seed strength: 0.3, Refiner: r, Schedule type: KL Optimal, \
        ControlNet 0: \"Module: canny, Model: c\", ADetailer model: face.pt, Token merging ratio: 0.5";
    let found = settings(&png(&[("parameters", text)]))?;
    for words in [
        "200 steps",
        "The sampler “DPM fast” is not here; Euler stands in its place",
        "guidance of 44",
        "The seed “-1” makes no sense",
        "hires fix, 2",
        "CLIP skip of 40",
        "variation seed 5",
        "The refiner “r”",
        "The noise schedule “KL Optimal”",
        "ControlNet",
        "ADetailer",
        "Token merging",
        "The seed is not named",
    ] {
        ensure!(says(&found, words), "{words} is not in {:#?}", found.unhonoured);
    }
    ensure!(!says(&found, "made from another"), "the strength is that of the second pass");
    let request = request(&found);
    assert_eq!((request.sampling.steps, request.sampling.guidance), (150, 30.0));
    assert_eq!(request.extras.clip_skip, None);
    let changed = "fox\nSteps: 20, Sampler: Euler, Seed: 1, Size: 8x8, Denoising strength: 0.4";
    ensure!(says(&settings(&png(&[("parameters", changed)]))?, "made from another one"));
    for sentence in &found.unhonoured {
        ensure!(
            !sentence.ends_with('.')
                && sentence.starts_with(|c: char| c.is_uppercase() || c.is_numeric())
        );
    }
    Ok(())
}

#[test]
fn no_name_of_a_file_leads_out_of_the_folders_of_models() -> Result<()> {
    let text = "fox\nSteps: 20, Sampler: Euler, Seed: 1, Size: 8x8, \
        Model: ../../etc/passwd, VAE: C:\\secret\\v.safetensors";
    let request = request(&settings(&png(&[("parameters", text)]))?);
    assert_eq!(request.model.name, "passwd");
    assert_eq!(request.extras.vae.map(|vae| vae.name).as_deref(), Some("v"));
    let hash = "AB".repeat(32);
    let text =
        format!("fox\nSteps: 20, Seed: 1, Sampler: Euler, Model hash: {hash}, Model: sub/m.ckpt");
    let model = self::request(&settings(&png(&[("parameters", &text)]))?).model;
    assert_eq!((model.name.as_str(), model.sha256), ("m", "ab".repeat(32)));
    Ok(())
}

/// A graph with everything between sampler and model that is understood.
fn graph() -> Value {
    json!({
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sub\\dream.safetensors"}},
        "2": {"class_type": "LoraLoader", "inputs": {"model": ["1", 0], "clip": ["1", 1],
            "lora_name": "a.safetensors", "strength_model": 0.5, "strength_clip": 0.25}},
        "3": {"class_type": "LoraLoaderModelOnly", "inputs": {"model": ["2", 0],
            "lora_name": "b.safetensors", "strength_model": 1.5}},
        "4": {"class_type": "CLIPSetLastLayer", "inputs": {"clip": ["2", 1], "stop_at_clip_layer": -2}},
        "5": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["4", 0], "text": ["11", 0]}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["4", 0], "text": "blurry"}},
        "7": {"class_type": "EmptyLatentImage", "inputs": {"width": 640, "height": ["13", 0], "batch_size": 1}},
        "8": {"class_type": "KSampler", "inputs": {"model": ["14", 0], "positive": ["12", 0],
            "negative": ["6", 0], "latent_image": ["7", 0], "seed": ["15", 0], "steps": 30, "cfg": 7.5,
            "sampler_name": "dpmpp_2m_sde", "scheduler": "karras", "denoise": 1.0}},
        "9": {"class_type": "VAEDecode", "inputs": {"samples": ["8", 0], "vae": ["16", 0]}},
        "10": {"class_type": "SaveImage", "inputs": {"images": ["9", 0], "filename_prefix": "x"}},
        "11": {"class_type": "StringConcatenate", "inputs": {"string_a": "a fox", "string_b": "in the snow",
            "delimiter": ", "}},
        "12": {"class_type": "Reroute", "inputs": {"": ["5", 0]}},
        "13": {"class_type": "PrimitiveInt", "inputs": {"value": 960}},
        "14": {"class_type": "RescaleCFG", "inputs": {"model": ["17", 0], "multiplier": 0.7}},
        "15": {"class_type": "Seed (rgthree)", "inputs": {"seed": 18446744073709551615_u64}},
        "16": {"class_type": "VAELoader", "inputs": {"vae_name": "mse.safetensors"}},
        "17": {"class_type": "ModelSamplingDiscrete", "inputs": {"model": ["3", 0],
            "sampling": "v_prediction", "zsnr": false}}
    })
}

#[test]
fn a_graph_is_followed_from_the_picture_to_the_model_and_the_words() -> Result<()> {
    let found = settings(&png(&[("prompt", &graph().to_string())]))?;
    assert_eq!(found.program, Program::ComfyUi);
    assert_eq!((found.prompt.as_str(), found.negative.as_str()), ("a fox, in the snow", "blurry"));
    assert_eq!(found.model.as_ref().map(|model| model.name.as_str()), Some("dream"));
    assert_eq!(loras(&found), [("a", 0.5, 0.25), ("b", 1.5, 1.5)]);
    let request = request(&found);
    assert_eq!(request.sampling.sampler, SamplerKind::DpmPp2mSde);
    assert_eq!(request.sampling.schedule, ScheduleKind::Karras);
    assert_eq!((request.sampling.steps, request.sampling.guidance), (30, 7.5));
    assert_eq!(request.sampling.cfg_rescale, 0.7);
    assert_eq!((request.seed, request.size), (u64::MAX, size(640, 960)));
    assert_eq!(request.extras.clip_skip, Some(2));
    assert_eq!(request.extras.prediction, Some(PredictionChoice::V));
    assert_eq!(request.extras.vae.map(|vae| vae.name).as_deref(), Some("mse"));
    assert_eq!(request.extras.loras.len(), 2);
    assert_eq!(found.unhonoured.len(), 1, "{:?}", found.unhonoured);
    Ok(())
}

#[test]
fn a_graph_is_found_in_webp_files_and_with_values_that_are_no_numbers() -> Result<()> {
    let text =
        graph().to_string().replacen("\"batch_size\":1", "\"batch_size\":1,\"is_changed\":NaN", 1);
    ensure!(text.contains("NaN"));
    let (prompt, workflow) = (format!("prompt:{text}"), "Workflow:{\"nodes\": []}");
    let block = exif(&[(0x010f, 2, workflow.as_bytes()), (0x0110, 2, prompt.as_bytes())], false);
    let found = settings(&webp(&block))?;
    assert_eq!((found.program, found.seed), (Program::ComfyUi, Some(u64::MAX)));
    Ok(())
}

#[test]
fn a_sampler_of_parts_and_two_passes_give_the_settings_of_the_first_pass() -> Result<()> {
    let graph = json!({
        "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux.safetensors"}},
        "2": {"class_type": "DualCLIPLoader", "inputs": {"clip_name1": "l", "clip_name2": "t5"}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["2", 0], "text": "a boat"}},
        "4": {"class_type": "FluxGuidance", "inputs": {"conditioning": ["3", 0], "guidance": 3.5}},
        "5": {"class_type": "BasicGuider", "inputs": {"model": ["1", 0], "conditioning": ["4", 0]}},
        "6": {"class_type": "RandomNoise", "inputs": {"noise_seed": 99}},
        "7": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "8": {"class_type": "BasicScheduler", "inputs": {"model": ["1", 0], "scheduler": "simple", "steps": 20, "denoise": 1.0}},
        "9": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 512, "batch_size": 1}},
        "10": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["6", 0], "guider": ["5", 0],
            "sampler": ["7", 0], "sigmas": ["8", 0], "latent_image": ["9", 0]}},
        "11": {"class_type": "LatentUpscale", "inputs": {"samples": ["10", 0], "width": 2048, "height": 1024}},
        "12": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "positive": ["4", 0], "negative": ["4", 0],
            "latent_image": ["11", 0], "seed": 5, "steps": 8, "cfg": 1.0, "sampler_name": "lcm",
            "scheduler": "normal", "denoise": 0.4}},
        "13": {"class_type": "VAEDecode", "inputs": {"samples": ["12", 0], "vae": ["1", 2]}},
        "14": {"class_type": "SaveImage", "inputs": {"images": ["13", 0]}}
    });
    let found = settings(&png(&[("prompt", &graph.to_string())]))?;
    assert_eq!((found.prompt.as_str(), found.seed), ("a boat", Some(99)));
    assert_eq!((found.sampling.steps, found.size), (Some(20), Some(size(1024, 512))));
    assert_eq!(found.sampling.sampler.as_deref(), Some("euler"));
    assert_eq!(found.sampling.schedule.as_deref(), Some("simple"));
    assert_eq!(found.model.as_ref().map(|model| model.name.as_str()), Some("flux"));
    for words in ["2 passes", "distilled into a model", "text encoders"] {
        ensure!(says(&found, words), "{words} is not in {:#?}", found.unhonoured);
    }
    Ok(())
}

#[test]
fn a_drawing_without_what_was_run_is_read_as_well() -> Result<()> {
    let path = fixture("pictures/comfyui-img2img.png");
    let Some(path) = path else { return Ok(()) };
    let bytes = std::fs::read(path)?;
    let run = settings(&bytes)?;
    // Without the text of what was run only the drawing is left.
    let at = bytes.windows(7).position(|piece| piece == b"prompt\0").context("the text")?;
    let length = u32::from_be_bytes(bytes[at - 8..at - 4].try_into()?) as usize;
    let drawn = [&bytes[..at - 8], &bytes[at + length + 4..]].concat();
    let drawn = settings(&drawn)?;
    assert_eq!((drawn.prompt, drawn.negative), (run.prompt, run.negative));
    assert_eq!((drawn.seed, drawn.sampling, drawn.model), (run.seed, run.sampling, run.model));
    Ok(())
}

#[test]
fn graphs_that_lead_in_circles_or_nowhere_end() -> Result<()> {
    let round = json!({
        "1": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0],
            "latent_image": ["1", 0], "seed": ["1", 0], "steps": ["4", 0], "cfg": ["5", 0],
            "sampler_name": ["1", 0], "scheduler": "karras"}},
        "2": {"class_type": "ConditioningCombine", "inputs": {"conditioning_1": ["2", 0], "conditioning_2": ["3", 0]}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": ["6", 0], "clip": ["3", 0]}},
        "4": {"class_type": "PrimitiveNode", "inputs": {"value": ["5", 0]}},
        "5": {"class_type": "PrimitiveNode", "inputs": {"value": ["4", 0]}},
        "6": {"class_type": "StringConcatenate", "inputs": {"string_a": ["6", 0], "string_b": "fox"}},
        "7": {"class_type": "SaveImage", "inputs": {"images": ["7", 0]}}
    });
    let found = settings(&png(&[("prompt", &round.to_string())]))?;
    assert_eq!((found.prompt.as_str(), found.seed), ("fox", None));
    // Many nodes, each linked to all before it.
    let mut wide = serde_json::Map::new();
    for n in 0..600_u32 {
        let inputs: serde_json::Map<String, Value> = (n.saturating_sub(120)..n)
            .map(|m| (format!("conditioning_{m}"), json!([m.to_string(), 0])))
            .collect();
        wide.insert(n.to_string(), json!({"class_type": "ConditioningCombine", "inputs": inputs}));
    }
    wide.insert(
        "900".to_owned(),
        json!({"class_type": "KSampler", "inputs": {"positive": ["599", 0],
        "negative": ["598", 0], "model": ["597", 0], "seed": 3, "steps": 2, "cfg": 1}}),
    );
    let begun = std::time::Instant::now();
    assert_eq!(settings(&png(&[("prompt", &Value::Object(wide).to_string())]))?.seed, Some(3));
    ensure!(begun.elapsed().as_secs() < 5, "it took {:?}", begun.elapsed());
    let none =
        foreign::read(&png(&[("prompt", r#"{"1": {"class_type": "LoadImage", "inputs": {}}}"#)]))?;
    ensure!(none.settings.is_none() && none.unread.len() == 1, "{none:?}");
    Ok(())
}

#[test]
fn every_form_of_invokeai_is_read() -> Result<()> {
    let new = json!({
        "app_version": "4.2.0", "generation_mode": "sdxl_txt2img", "positive_prompt": "a fox",
        "negative_prompt": "blurry", "width": 832, "height": 1216, "seed": 42, "cfg_scale": 7.5,
        "cfg_rescale_multiplier": 0.5, "steps": 30, "scheduler": "dpmpp_2m_k", "clip_skip": 1,
        "model": {"key": "k", "hash": "blake3:00ff", "name": "juggernaut", "base": "sdxl", "type": "main"},
        "loras": [{"model": {"name": "ink"}, "weight": 0.6}],
        "vae": {"model_name": "fixed"}, "controlnets": [], "ipAdapters": [{"weight": 1}]
    });
    let found = settings(&png(&[("invokeai_metadata", &new.to_string())]))?;
    assert_eq!((found.program, found.prompt.as_str()), (Program::InvokeAi, "a fox"));
    assert_eq!(loras(&found), [("ink", 0.6, 0.6)]);
    let made = request(&found);
    assert_eq!(
        (made.sampling.sampler, made.sampling.schedule),
        (SamplerKind::DpmPp2m, ScheduleKind::Karras)
    );
    assert_eq!((made.size, made.extras.clip_skip), (size(832, 1216), Some(2)));
    assert_eq!((made.model.name.as_str(), made.model.sha256.as_str()), ("juggernaut", ""));
    ensure!(says(&found, "Pictures as prompts") && !says(&found, "ControlNet"));

    let old = json!({
        "model": "stable diffusion", "model_weights": "deliberate", "model_hash": "56".repeat(32),
        "app_version": "2.3.0", "image": {"prompt": [{"prompt": "a fox [blurry]", "weight": 1.0}],
            "steps": 50, "cfg_scale": 5, "threshold": 0, "perlin": 0.2, "width": 512, "height": 768,
            "seed": 7, "sampler": "k_lms", "type": "img2img"}
    });
    let found = settings(&png(&[("sd-metadata", &old.to_string()), ("Dream", "\"x\" -s 1")]))?;
    assert_eq!((found.prompt.as_str(), found.negative.as_str()), ("a fox", "blurry"));
    assert_eq!(request(&found).model.sha256, "56".repeat(32));
    assert_eq!(request(&found).sampling.sampler, SamplerKind::Lms);
    ensure!(says(&found, "made from another one") && says(&found, "Perlin"));

    let first = r#""a red fox, in "snow" [grey, blurry]" -s 50 -S 2980747362 -W512 -W 512 -H 768 -C 5 -A k_euler_a -G 0.9"#;
    let found = settings(&png(&[("Dream", first)]))?;
    assert_eq!(
        (found.prompt.as_str(), found.negative.as_str()),
        ("a red fox, in \"snow\"", "grey, blurry")
    );
    assert_eq!((found.seed, found.size), (Some(2_980_747_362), Some(size(512, 768))));
    assert_eq!(request(&found).sampling.sampler, SamplerKind::EulerA);
    Ok(())
}

#[test]
fn swarmui_is_read_out_of_png_and_exif() -> Result<()> {
    let text = json!({
        "sui_image_params": {"prompt": "a cat", "negativeprompt": "dog", "model": "Official/sd_xl_base.safetensors",
            "seed": 1, "steps": 20, "cfgscale": 7.0, "width": 1024, "height": 768, "sampler": "dpmpp_sde",
            "scheduler": "sgm_uniform", "loras": ["ink", "b/pen"], "loraweights": ["0.5", "1"],
            "clipstopatlayer": "-2", "refinerupscale": 2, "swarm_version": "0.9.3.1"},
        "sui_models": [{"name": "sd_xl_base.safetensors", "param": "model", "hash": "0xd7a9"}]
    })
    .to_string();
    let comment = unicode_comment(&text, false);
    for bytes in [
        png(&[("parameters", &text)]),
        jpeg(&exif(&[(0x9286, 7, &comment)], false)),
        webp(&exif(&[(0x0110, 2, text.as_bytes())], true)),
    ] {
        let found = settings(&bytes)?;
        assert_eq!((found.program, found.prompt.as_str()), (Program::SwarmUi, "a cat"));
        assert_eq!(loras(&found), [("ink", 0.5, 0.5), ("pen", 1.0, 1.0)]);
        let made = request(&found);
        assert_eq!(
            (made.sampling.sampler, made.sampling.schedule),
            (SamplerKind::DpmPpSde, ScheduleKind::SgmUniform)
        );
        assert_eq!((made.model.name.as_str(), made.extras.clip_skip), ("sd_xl_base", Some(2)));
        ensure!(says(&found, "enlargement in a second pass"));
    }
    Ok(())
}

#[test]
fn fooocus_is_read_in_all_three_of_its_forms() -> Result<()> {
    let new = json!({"prompt": "goldfish", "negative_prompt": "", "base_model": "jugger", "base_model_hash": "aeb7",
        "steps": 30, "seed": "6952411511246973023", "guidance_scale": 4, "sampler": "dpmpp_2m_sde_gpu",
        "scheduler": "karras", "resolution": "(768, 1280)", "loras": [["x.safetensors", 0.1, "ff"]],
        "styles": "['Fooocus V2']", "metadata_scheme": "fooocus", "version": "Fooocus v2.4.3", "clip_skip": 2})
    .to_string();
    let old = json!({"Prompt": "goldfish", "Seed": 5, "Resolution": "(768, 1280)", "Sampler": "dpmpp_2m_sde_gpu",
        "Scheduler": "karras", "Performance": "Speed", "Guidance Scale": 4, "Base Model": "jugger.safetensors",
        "LoRA 1": "x.safetensors : 0.1", "Styles": "['Fooocus V2']", "Version": "Fooocus v2.1.8"})
    .to_string();
    let text = "goldfish, cinematic\nSteps: 30, Sampler: DPM++ 2M SDE Karras, Seed: 5, Size: 768x1280, CFG scale: 4, \
        Model: jugger, Raw prompt: goldfish, Styles: \"['Fooocus V2']\", Lora weights: \"x: 0.1\", Version: Fooocus v2.4.3";
    for bytes in [
        png(&[("fooocus_scheme", "fooocus"), ("parameters", &new)]),
        png(&[("parameters", &old)]),
        png(&[("fooocus_scheme", "a1111"), ("parameters", text)]),
        jpeg(&exif(&[(0x9286, 2, new.as_bytes()), (0x927c, 2, b"fooocus")], true)),
    ] {
        let found = settings(&bytes)?;
        assert_eq!((found.program, found.prompt.as_str()), (Program::Fooocus, "goldfish"));
        assert_eq!((found.size, found.sampling.steps), (Some(size(768, 1280)), Some(30)));
        assert_eq!(loras(&found), [("x", 0.1, 0.1)]);
        let made = request(&found);
        assert_eq!(
            (made.sampling.sampler, made.sampling.schedule),
            (SamplerKind::DpmPp2mSde, ScheduleKind::Karras)
        );
        assert_eq!(made.model.name, "jugger");
        ensure!(says(&found, "styles Fooocus V2"), "{:?}", found.unhonoured);
    }
    Ok(())
}

#[test]
fn novelai_is_read_out_of_texts_and_out_of_transparency() -> Result<()> {
    let comment =
        json!({"prompt": "{fox}, (snow)", "steps": 28, "height": 1216, "width": 832, "scale": 5.0,
        "uc": "[blurry]", "seed": 9, "sampler": "k_euler_ancestral", "noise_schedule": "karras",
        "cfg_rescale": 0.2, "sm": false, "request_type": "PromptGenerateRequest"})
        .to_string();
    let hidden = json!({"Description": "x", "Software": "NovelAI", "Source": "NovelAI Diffusion V3 81274D13",
        "Comment": comment})
    .to_string();
    for bytes in [
        png(&[
            ("Software", "NovelAI"),
            ("Source", "NovelAI Diffusion V3 81274D13"),
            ("Comment", &comment),
        ]),
        png_with_hidden(&hidden, true),
        png_with_hidden(&hidden, false),
    ] {
        let found = settings(&bytes)?;
        assert_eq!(
            (found.program, found.prompt.as_str()),
            (Program::NovelAi, "(fox:1.050), \\(snow\\)")
        );
        assert_eq!(
            (found.negative.as_str(), found.size),
            ("(blurry:0.952)", Some(size(832, 1216)))
        );
        let made = request(&found);
        assert_eq!(
            (made.sampling.sampler, made.sampling.schedule),
            (SamplerKind::EulerA, ScheduleKind::Karras)
        );
        assert_eq!((made.sampling.cfg_rescale, made.seed), (0.2, 9));
        ensure!(says(&found, "cannot be had as a file") && !says(&found, "SMEA"));
    }
    // Without a second mark, with a length that is longer than the picture, and broken when unpacked.
    for body in [&b"stealth_pnginfo\xff\xff\xff\xf8"[..], b"stealth_pngcomp\0\0\0\x40not gzip"] {
        let found = foreign::read(&png_with_bits(body))?;
        ensure!(found.settings.is_none() && found.unread.len() == 1, "{found:?}");
    }
    ensure!(foreign::read(&png_with_bits(b"nothing"))?.unread.is_empty());
    Ok(())
}

#[test]
fn stable_diffusion_cpp_has_quirks_of_its_own() -> Result<()> {
    let text = "a field\nNegative prompt: sky\nSteps: 30, CFG scale: 5.000000, Skip layers: [7, 8, 9, ], \
        Guidance: 3.500000, Eta: 0.000000, Seed: 197583933, Size: 512x512, Model: , RNG: cuda, \
        Sampler: dpm++2mv2 karras, TE: t5.gguf, Unet: net.gguf, VAE: ae.safetensors, Clip skip: 2, \
        Version: stable-diffusion.cpp";
    let found = settings(&png(&[("parameters", text)]))?;
    let made = request(&found);
    assert_eq!(
        (made.sampling.sampler, made.sampling.schedule),
        (SamplerKind::DpmPp2m, ScheduleKind::Karras)
    );
    assert_eq!((made.sampling.eta, made.sampling.guidance), (None, 5.0));
    assert_eq!((made.model.name.as_str(), made.extras.clip_skip), ("net", Some(2)));
    for words in
        ["“dpm++2mv2 karras” is not here; DPM++ 2M is close", "layers 7, 8, 9", "text encoders"]
    {
        ensure!(says(&found, words), "{words} is not in {:#?}", found.unhonoured);
    }
    Ok(())
}

#[test]
fn what_says_nothing_is_silent_and_what_is_broken_says_why() -> Result<()> {
    let plain = foreign::read(&png(&[("Title", "a holiday"), ("Comment", "at the sea")]))?;
    ensure!(plain.settings.is_none() && plain.unread.is_empty(), "{plain:?}");
    assert_eq!((plain.format, plain.size), (PictureFormat::Png, size(SIDE, SIDE)));
    for (bytes, format) in [(jpeg(b""), PictureFormat::Jpeg), (webp(b"II*\0"), PictureFormat::WebP)]
    {
        let found = foreign::read(&bytes)?;
        assert_eq!((found.format, found.size), (format, size(SIDE, SIDE)));
        ensure!(found.settings.is_none() && found.unread.is_empty());
    }
    let bomb = "0".repeat(40 << 20);
    let long = foreign::read(&png_as(TextChunk::Packed, &[("prompt", &bomb)]))?;
    assert_eq!(long.unread, ["The text “prompt” is too long to be read"]);
    let hidden = foreign::read(&png_with_hidden(&bomb, true))?;
    assert_eq!(hidden.unread, ["The text hidden in the transparency is broken"]);
    for (keyword, text) in
        [("prompt", "{\"a\": "), ("invokeai_metadata", "[1]"), ("sd-metadata", "{{")]
    {
        let found = foreign::read(&png(&[(keyword, text)]))?;
        ensure!(found.unread.len() == 1 && found.unread[0].contains(keyword), "{found:?}");
    }
    for bytes in [&b""[..], b"GIF89a", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP", b"\x89PNG\r\n\x1a\n"] {
        ensure!(foreign::read(bytes).is_err());
    }
    Ok(())
}

#[test]
fn real_pictures_of_every_program_become_requests() -> Result<()> {
    for (name, program, prompt, seed, made_size, sampler, model) in [
        (
            "a1111.png",
            Program::Automatic1111,
            "photo of a duck",
            235_284_042,
            (512, 400),
            SamplerKind::UniPc,
            "realistic_realisticVisionV20_v20",
        ),
        (
            "a1111.jpg",
            Program::Automatic1111,
            "photo of a duck",
            235_284_042,
            (512, 400),
            SamplerKind::UniPc,
            "realistic_realisticVisionV20_v20",
        ),
        (
            "comfyui-img2img.png",
            Program::ComfyUi,
            "photograph of victorian woman",
            280_823_642_470_253,
            (1, 1),
            SamplerKind::DpmPp2m,
            "v1-5-pruned-emaonly",
        ),
        (
            "comfyui-regions.png",
            Program::ComfyUi,
            "",
            335_608_130_539_327,
            (704, 1280),
            SamplerKind::DpmPpSde,
            "",
        ),
        (
            "fooocus.png",
            Program::Fooocus,
            "a smiling goldfish",
            6_952_411_511_246_973_023,
            (768, 1280),
            SamplerKind::DpmPp2mSde,
            "juggernautXL_v8Rundiffusion",
        ),
        (
            "invokeai-dream.png",
            Program::InvokeAi,
            "professional full body photo",
            2_980_747_362,
            (512, 768),
            SamplerKind::Lms,
            "",
        ),
        (
            "novelai.png",
            Program::NovelAi,
            "masterpiece, best quality,  cat, space, icon",
            2_253_955_223,
            (1, 1),
            SamplerKind::EulerA,
            "Stable Diffusion 1D44365E",
        ),
        (
            "sdcpp.png",
            Program::StableDiffusionCpp,
            "a lovely cat holding a sign",
            42,
            (1024, 1024),
            SamplerKind::Euler,
            "sd3_medium_incl_clips_t5xxlfp16",
        ),
    ] {
        let Some(path) = fixture(&format!("pictures/{name}")) else { continue };
        let found = foreign::read(&std::fs::read(path)?)?;
        ensure!(found.unread.is_empty(), "{name}: {:?}", found.unread);
        let settings = found.settings.with_context(|| name.to_owned())?;
        let request = settings.request(found.size);
        println!("{name}: {settings:#?}");
        assert_eq!(settings.program, program, "{name}");
        ensure!(
            settings.prompt.starts_with(prompt) && !settings.prompt.is_empty(),
            "{name}: {}",
            settings.prompt
        );
        assert_eq!((request.seed, request.size), (seed, size(made_size.0, made_size.1)), "{name}");
        assert_eq!(request.sampling.sampler, sampler, "{name}");
        ensure!(model.is_empty() || request.model.name == model, "{name}: {:?}", request.model);
        ensure!(!settings.unhonoured.is_empty(), "{name}: the seed at least");
    }
    Ok(())
}
