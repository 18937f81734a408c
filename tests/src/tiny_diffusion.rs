//! Tiny models of the Stable Diffusion family, written as folders of diffusers from
//! `golden/pipelines/golden.json`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result};
use atelier_engine::weights::read_tensor;
use atelier_engine::weights::sd_config::{ControlConfig, TextConfig, UnetConfig, VaeConfig};
use half::f16;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::seeded::{Named, seeded, tensors, write_json, write_safetensors};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/pipelines")
}

/// Reads the golden files: settings and numbers.
///
/// # Errors
/// When they cannot be read.
pub fn golden() -> Result<(Value, Vec<u8>)> {
    let text = std::fs::read_to_string(folder().join("golden.json"))?;
    Ok((serde_json::from_str(&text)?, std::fs::read(folder().join("golden.safetensors"))?))
}

/// Writes every model as a folder of diffusers, once for all tests of a program, with the pictures and
/// the new word of the golden files beside them.
///
/// # Errors
/// When they cannot be written.
pub fn models() -> Result<&'static Path> {
    static FOLDER: OnceLock<Result<TempDir, String>> = OnceLock::new();
    let made = FOLDER.get_or_init(|| write_models().map_err(|error| format!("{error:?}")));
    match made {
        Ok(folder) => Ok(folder.path()),
        Err(error) => Err(anyhow::anyhow!("{error}")),
    }
}

fn write_models() -> Result<TempDir> {
    let top = tempfile::tempdir()?;
    let (golden, bytes) = golden()?;
    for (name, model) in golden["models"].as_object().context("no models")? {
        write_model(&top.path().join(name), model)?;
        if !model["control"].is_null() {
            let config = &model["control"];
            let place = top.path().join(format!("control-{name}"));
            let control = control_config(config, &model["parts"]["unet"])?;
            let part = format!("controlnet-{name}");
            let file = place.join("diffusion_pytorch_model.safetensors");
            write_safetensors(&file, &tensors(&part, control.tensors()))?;
            write_json(&place.join("config.json"), &with_class(config, "ControlNetModel"))?;
        }
    }
    for name in ["init", "mask"] {
        write_picture(&top.path().join(format!("{name}.png")), name, &bytes)?;
    }
    let words = golden_tensor(&bytes, "glimmerwort")?;
    let words = words.1.iter().map(|value| f16::from_f32(*value)).collect();
    let word = [("glimmerwort".to_owned(), vec![2, 24], words)];
    write_safetensors(&top.path().join("glimmerwort.safetensors"), &word)?;
    Ok(top)
}

/// Reads a tensor of the golden file as f32.
///
/// # Errors
/// When it is not there.
pub fn golden_tensor(bytes: &[u8], name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
    Ok(read_tensor(bytes, name, &folder().join("golden.safetensors"))?)
}

fn write_model(place: &Path, model: &Value) -> Result<()> {
    let parts = &model["parts"];
    let mut list = json!({ "_class_name": model["kind"] });
    let path = Path::new("config.json");
    let mut put = |part: &str, class: &str, file: &str, needed| -> Result<()> {
        write_safetensors(&place.join(part).join(file), &tensors(part, needed))?;
        let config = with_class(&parts[part], class);
        write_json(&place.join(part).join("config.json"), &config)?;
        list[part] = json!(["diffusers", class]);
        Ok(())
    };
    let net = "diffusion_pytorch_model.safetensors";
    let unet = UnetConfig::from_json(&parts["unet"], path)?;
    put("unet", "UNet2DConditionModel", net, unet.tensors())?;
    let vae = VaeConfig::from_json(&parts["vae"], path)?;
    put("vae", "AutoencoderKL", net, vae.tensors())?;
    for (part, class) in
        [("text_encoder", "CLIPTextModel"), ("text_encoder_2", "CLIPTextModelWithProjection")]
    {
        if parts[part].is_null() {
            continue;
        }
        let mut text = TextConfig::from_json(&parts[part], path)?;
        if part == "text_encoder" {
            text.projection = None;
        }
        put(part, class, "model.safetensors", text.tensors())?;
    }
    write_json(&place.join("scheduler/scheduler_config.json"), &parts["scheduler"])?;
    list["scheduler"] = json!(["diffusers", parts["scheduler"]["_class_name"]]);
    list["tokenizer"] = json!(["transformers", "CLIPTokenizer"]);
    let pad = json!({ "pad_token": model["pad"] });
    write_json(&place.join("tokenizer/tokenizer_config.json"), &pad)?;
    write_json(&place.join("model_index.json"), &list)
}

fn with_class(config: &Value, class: &str) -> Value {
    let mut config = config.clone();
    config["_class_name"] = json!(class);
    config
}

fn control_config(config: &Value, _unet: &Value) -> Result<ControlConfig> {
    Ok(ControlConfig::from_json(config, Path::new("config.json"))?)
}

fn write_picture(path: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let (shape, values) = bytes_of(bytes, name)?;
    let [height, width] = [shape[0] as u32, shape[1] as u32];
    let kind = match shape.len() {
        2 => image::ColorType::L8,
        _ => image::ColorType::Rgb8,
    };
    image::save_buffer(path, &values, width, height, kind)?;
    Ok(())
}

/// Reads a tensor of bytes.
///
/// # Errors
/// When it is not there.
pub fn bytes_of(bytes: &[u8], name: &str) -> Result<(Vec<usize>, Vec<u8>)> {
    let length = u64::from_le_bytes(bytes[..8].try_into()?) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length])?;
    let about = &header[name];
    let shape: Vec<usize> = serde_json::from_value(about["shape"].clone())?;
    let [from, to]: [usize; 2] = serde_json::from_value(about["data_offsets"].clone())?;
    Ok((shape, bytes[8 + length + from..8 + length + to].to_vec()))
}

/// Copies a folder with all that is in it.
///
/// # Errors
/// When it cannot be copied.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().context("a name")?);
        if path.is_dir() {
            copy_folder(&path, &target)?;
        } else {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// Writes a LoRA of kohya's form for the first model, that changes one attention of the net and one
/// layer of the encoder, and names one module that is not there.
///
/// # Errors
/// When it cannot be written.
pub fn write_lora(path: &Path) -> Result<()> {
    let mut tensors: Vec<Named> = Vec::new();
    for (module, to, from) in [
        ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", 32, 32),
        ("lora_te_text_model_encoder_layers_0_mlp_fc1", 48, 24),
        ("lora_unet_no_such_module", 4, 4),
    ] {
        for (end, shape) in [("lora_down", [4, from]), ("lora_up", [to, 4])] {
            let name = format!("{module}.{end}.weight");
            let values = seeded(&name, &shape);
            tensors.push((name, shape.to_vec(), values));
        }
        tensors.push((format!("{module}.alpha"), vec![], vec![f16::from_f32(4.0)]));
    }
    write_safetensors(path, &tensors)
}
