//! Models of the Stable Diffusion family through the engine: from every container the same picture,
//! LoRAs on and off, cancelling, memory, and what is said when something is wrong.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use atelier_engine::EngineError;
use atelier_engine::canvas::{Area, RegionPlan, SizeRules, Tiles};
use atelier_engine::library::Models;
use atelier_engine::protocol::{
    ControlUse, Event, HintKind, LoraUse, ModelRef, Notice, PictureFile, PictureRequest, Pixels,
    Precision, PromptIssue, Region, RegionMode, Request, Size, Source, Stage,
};
use atelier_engine::service::{Engine, Studio};
use atelier_engine::store::png;
use atelier_engine::weights::sd_config::TinyVaeConfig;
use atelier_tests::containers::{write_gguf, write_shards, write_torch};
use atelier_tests::painting::{engine, request, run};
use atelier_tests::seeded::{Named, seeded, tensors, write_safetensors};
use atelier_tests::tiny_diffusion::{copy_folder, golden, models, write_lora};
use half::f16;
use serde_json::{Value, json};

fn pixels(engine: &Engine, request: PictureRequest) -> Result<Arc<Pixels>> {
    Ok(run(engine, request)?.pictures[0].pixels.clone())
}

/// Returns the tensors of the first model under the names of CompVis.
fn compvis() -> Result<Vec<Named>> {
    let (golden, _) = golden()?;
    let list = golden["compvis"].as_object().context("no names of CompVis")?;
    list.iter()
        .map(|(name, meant)| {
            let (part, stored) = (&meant[0], &meant[1]);
            let full = format!(
                "{}/{}",
                part.as_str().context("a part")?,
                stored.as_str().context("a name")?
            );
            let shape: Vec<usize> = serde_json::from_value(meant[2].clone())?;
            // A 1×1 convolution has the numbers of its matrix, whose spread is by the same inputs.
            let values = seeded(&full, &shape);
            Ok((name.clone(), shape, values))
        })
        .collect()
}

/// Returns the tensors of a part as its file has them.
fn part(folder: &Path, part: &str, file: &str) -> Result<Vec<Named>> {
    let bytes = std::fs::read(folder.join(part).join(file))?;
    let length = u64::from_le_bytes(bytes[..8].try_into()?) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length])?;
    let list = header.as_object().context("a header")?;
    list.iter()
        .map(|(name, about)| {
            let shape: Vec<usize> = serde_json::from_value(about["shape"].clone())?;
            let [from, to]: [usize; 2] = serde_json::from_value(about["data_offsets"].clone())?;
            let data = &bytes[8 + length + from..8 + length + to];
            let (pairs, _) = data.as_chunks::<2>();
            Ok((name.clone(), shape, pairs.iter().map(|pair| f16::from_le_bytes(*pair)).collect()))
        })
        .collect()
}

#[test]
fn one_model_in_every_container_paints_the_same_picture() -> Result<()> {
    let work = tempfile::tempdir()?;
    let net = "diffusion_pytorch_model";
    let engine = engine(&[]);
    let at = |name: &str| work.path().join(name);
    // A single file does not say how many heads its attentions have, nor the encoder's function: the
    // folder says what is taken for nets of these widths otherwise.
    let first = at("folder");
    copy_folder(&models()?.join("sd1"), &first)?;
    for (part, key, value) in [
        ("unet", "attention_head_dim", json!([8, 1])),
        ("text_encoder", "num_attention_heads", json!(1)),
        ("text_encoder", "hidden_act", json!("gelu")),
    ] {
        let file = first.join(part).join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        config[key] = value;
        std::fs::write(&file, serde_json::to_vec(&config)?)?;
    }
    let want = pixels(&engine, request(&first))?;

    let sharded = at("sharded");
    copy_folder(&first, &sharded)?;
    let tensors = part(&first, "unet", &format!("{net}.safetensors"))?;
    std::fs::remove_file(sharded.join("unet").join(format!("{net}.safetensors")))?;
    write_shards(&sharded.join("unet"), net, &tensors)?;

    let torch_parts = at("torch-parts");
    copy_folder(&first, &torch_parts)?;
    for (name, file, torch) in [
        ("unet", format!("{net}.safetensors"), format!("{net}.bin")),
        ("vae", format!("{net}.safetensors"), format!("{net}.bin")),
        ("text_encoder", "model.safetensors".to_owned(), "pytorch_model.bin".to_owned()),
    ] {
        let tensors = part(&first, name, &file)?;
        std::fs::remove_file(torch_parts.join(name).join(&file))?;
        write_torch(&torch_parts.join(name).join(torch), &tensors)?;
    }

    let single = compvis()?;
    write_safetensors(&at("single.safetensors"), &single)?;
    write_torch(&at("single.ckpt"), &single)?;
    write_gguf(&at("single.gguf"), &single)?;
    for name in ["sharded", "torch-parts", "single.safetensors", "single.ckpt", "single.gguf"] {
        let got = pixels(&engine, request(&at(name))).with_context(|| name.to_owned())?;
        ensure!(got == want, "{name} paints another picture");
    }
    Ok(())
}

#[test]
fn a_lora_changes_a_picture_and_taken_off_leaves_no_trace() -> Result<()> {
    let (model, home) = (models()?.join("sd1"), tempfile::tempdir()?);
    write_lora(&home.path().join("models/Lora/Fox.safetensors"))?;
    let engine = engine(&[home.path().to_owned()]);
    let plain = pixels(&engine, request(&model))?;
    let with = |strength: f32| {
        let lora = LoraUse { model: ModelRef::named("fox"), unet: strength, text: strength };
        let mut request = request(&model);
        request.extras.loras.push(lora);
        request
    };
    let output = run(&engine, with(1.0))?;
    let changed = output.pictures[0].pixels.clone();
    ensure!(changed != plain, "the LoRA changes nothing");
    let unmatched = output.notices.iter().find_map(|notice| match notice {
        Notice::LoraUnmatched { name, count, .. } => Some((name.as_str(), *count)),
        _ => None,
    });
    ensure!(unmatched == Some(("Fox.safetensors", 1)), "{:?}", output.notices);
    let recipe = &output.pictures[0].recipe.extras.loras[0];
    ensure!(recipe.model.sha256.len() == 64, "the recipe has no hash of the LoRA");

    let mut tagged = request(&model);
    tagged.prompt.text.push_str(" <lora:FOX:1> <lora:bear:1>");
    let output = run(&engine, tagged)?;
    ensure!(output.pictures[0].pixels == changed, "a tag does the same as the list");
    let bear = Notice::Prompt { issue: PromptIssue::UnknownLora, text: "<lora:bear:1>".into() };
    ensure!(output.notices.contains(&bear), "{:?}", output.notices);

    ensure!(pixels(&engine, with(0.0))? == plain && pixels(&engine, request(&model))? == plain);
    Ok(())
}

#[test]
fn a_batch_has_the_pictures_of_its_seeds_and_recipes_that_make_them_again() -> Result<()> {
    let engine = engine(&[]);
    let mut batch = request(&models()?.join("sdxl"));
    batch.count = 2;
    batch.prompt.text = "a {red|green|blue} fox, [a cat:a dog:0.5]".into();
    let pictures = run(&engine, batch)?.pictures;
    for picture in pictures {
        let again = run(&engine, picture.recipe.clone())?;
        ensure!(again.pictures[0].pixels == picture.pixels, "seed {}", picture.recipe.seed);
    }
    Ok(())
}

#[test]
fn what_is_wrong_is_said_in_a_sentence_before_or_without_painting() -> Result<()> {
    let (first, home) = (models()?.join("sd1"), tempfile::tempdir()?);
    let engine = engine(&[]);
    let said = |request: PictureRequest| -> Result<String> {
        match run(&engine, request) {
            Ok(_) => bail!("a picture was painted"),
            Err(error) => Ok(error.to_string()),
        }
    };
    let mut wrong = request(&first);
    wrong.size.width_px = 72;
    let text = said(wrong)?;
    ensure!(text.contains("multiple of 16 pixels") && text.contains("nearest size"), "{text}");

    let lacking = home.path().join("lacking");
    copy_folder(&first, &lacking)?;
    std::fs::remove_dir_all(lacking.join("text_encoder"))?;
    let text = said(request(&lacking))?;
    ensure!(text.contains("lacks the text encoder"), "{text}");

    let cut = home.path().join("cut");
    copy_folder(&first, &cut)?;
    let file = cut.join("unet/diffusion_pytorch_model.safetensors");
    let bytes = std::fs::read(&file)?;
    std::fs::write(&file, &bytes[..bytes.len() / 2])?;
    let text = said(request(&cut))?;
    ensure!(text.contains("diffusion_pytorch_model.safetensors"), "{text}");

    let text = said(request(&models()?.join("instruct")))?;
    ensure!(text.contains("needs a picture"), "{text}");
    let text = said(request(&home.path().join("nothing.safetensors")))?;
    ensure!(text.contains("There is no model"), "{text}");

    let mut lora = request(&first);
    let file = first.join("vae/diffusion_pytorch_model.safetensors");
    let model = ModelRef::named(file.to_string_lossy());
    lora.extras.loras.push(LoraUse { model, unet: 1.0, text: 1.0 });
    let text = said(lora)?;
    ensure!(text.contains("is no LoRA"), "{text}");
    Ok(())
}

#[test]
fn a_tiny_autoencoder_takes_the_place_of_a_whole_one() -> Result<()> {
    let (model, home) = (models()?.join("sd1"), tempfile::tempdir()?);
    let config = TinyVaeConfig { latent_channels: 4, has_decoder: true, has_encoder: true };
    let file = home.path().join("taesd.safetensors");
    write_safetensors(&file, &tensors("taesd", config.tensors()))?;
    let engine = engine(&[]);
    let plain = pixels(&engine, request(&model))?;
    let mut tiny = request(&model);
    tiny.extras.vae = Some(ModelRef::named(file.to_string_lossy()));
    tiny.extras.source = Some(Source::new(models()?.join("init.png"), 0.5));
    let made = run(&engine, tiny)?.pictures.remove(0);
    let source = made.recipe.extras.source.context("the recipe keeps the picture")?;
    ensure!(source.picture.sha256.len() == 64, "the recipe has no hash of the picture");
    let picture = made.pixels;
    ensure!((picture.width_px, picture.height_px) == (64, 64) && picture != plain);
    Ok(())
}

#[test]
fn a_control_net_is_shown_the_part_of_its_picture_that_is_painted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, pixels: &Pixels| -> Result<()> {
        Ok(std::fs::write(at(name), png::encode_plain(pixels)?)?)
    };
    let picture = |value: &dyn Fn(u32, u32) -> [u8; 4]| {
        let rgba = (0..200 * 160).flat_map(|at| value(at % 200, at / 200)).collect();
        Pixels::new(200, 160, rgba).context("a picture")
    };
    let grey = |value: u8| [value, value, value, 255];
    write("picture.png", &picture(&|x, y| [(x % 256) as u8, (y % 256) as u8, 90, 255])?)?;
    let is_in = |x: u32, y: u32| (120..150).contains(&x) && (30..60).contains(&y);
    let mask = picture(&|x, y| grey(if is_in(x, y) { 255 } else { 0 }))?;
    write("mask.png", &mask)?;
    // Lines on a layer that is transparent elsewhere.
    let lines = picture(&|x, y| if (x + y) % 11 < 3 { [0, 0, 0, 255] } else { [0; 4] })?;
    write("lines.png", &lines)?;

    // What the net is to be shown, cut out as the source is.
    let area = Area::new(0, 0, 200, 160);
    let selected: Vec<u8> = mask.rgba.chunks_exact(4).map(|pixel| pixel[0]).collect();
    let selection = Tiles::<1>::from_bytes(area, &selected);
    let size = Size { width_px: 64, height_px: 64 };
    let rules = SizeRules::exactly(size);
    let region = Region { mode: RegionMode::Focus, ..Region::default() };
    let plan = RegionPlan::new(&selection, area, (&rules, Some(size)), &region)?;
    ensure!(plan.context.width_px < 100, "the region is a part: {:?}", plan.context);
    let shown = plan.beside(&Tiles::from_bytes(area, &lines.rgba));
    write("shown.png", &shown)?;
    // Black lines on white, in the scale of the region.
    ensure!(shown.rgba.iter().any(|value| *value < 40) && shown.rgba[3] == 255);

    let engine = engine(&[]);
    let folder = models()?;
    let paint = |control: Option<(&str, bool)>| -> Result<Arc<Pixels>> {
        let mut asked = request(&folder.join("sd1"));
        asked.extras.source = Some(Source {
            mask: Some(PictureFile::at(at("mask.png"))),
            region: Some(region),
            ..Source::new(at("picture.png"), 0.8)
        });
        asked.extras.controls.extend(control.map(|(name, over_source)| ControlUse {
            model: ModelRef::named(folder.join("control-sd1").to_string_lossy()),
            picture: PictureFile::at(at(name)),
            over_source,
            hint: HintKind::None,
            strength: 2.0,
            between: [0.0, 1.0],
        }));
        pixels(&engine, asked)
    };
    let over = paint(Some(("lines.png", true)))?;
    ensure!(over == paint(Some(("shown.png", false)))?, "another part was shown");
    ensure!(over != paint(Some(("lines.png", false)))?, "the whole was shown");
    ensure!(over != paint(None)?, "nothing was shown");
    Ok(())
}

#[test]
fn a_cancel_ends_loading_and_painting_at_once() -> Result<()> {
    let models = Models::in_places([]);
    let engine = Engine::spawn(Studio::new(None, models), Arc::new(|| ()))?;
    let mut waits = Vec::new();
    for stage in [Stage::Loading, Stage::Sampling, Stage::Loading, Stage::Sampling] {
        let mut long = request(&atelier_tests::tiny_diffusion::models()?.join("sd1"));
        long.sampling.steps = 150;
        // Another model each time, so that it is loaded anew.
        long.precision = if waits.len() < 2 { Precision::Fast } else { Precision::Exact };
        let handle = engine.submit(Request::Picture(Box::new(long)))?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while handle.live().stage != stage {
            ensure!(Instant::now() < deadline, "never came to {stage:?}");
            std::thread::yield_now();
        }
        let asked = Instant::now();
        handle.cancel();
        loop {
            let ended = engine.drain().into_iter().find_map(|event| match event {
                Event::Failed(id, error) if id == handle.id() => Some(error),
                _ => None,
            });
            if let Some(error) = ended {
                ensure!(error == EngineError::Cancelled, "{error}");
                break;
            }
            ensure!(Instant::now() < deadline, "the job did not end");
            std::thread::sleep(Duration::from_millis(1));
        }
        waits.push(asked.elapsed());
    }
    println!("from cancel to end: {waits:?}");
    waits.sort();
    ensure!(waits[1] < Duration::from_millis(200), "{waits:?}");
    Ok(())
}
