//! What stands beside a LoRA of PEFT instead of in it: alpha, ranks, how they are divided.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::EngineError;
use crate::weights::open::Checkpoint;
use crate::weights::sd_config::read_json;

/// The key under which diffusers keeps PEFT's settings in a safetensors file.
const METADATA: &str = "lora_adapter_metadata";
/// The parts that such settings name.
const PARTS: [&str; 3] = ["unet", "text_encoder", "text_encoder_2"];

/// Holds PEFT's settings, by the part that they are for; an empty name stands for all.
#[derive(Debug, Default)]
pub(super) struct Settings {
    of_parts: BTreeMap<String, Adapter>,
}

#[derive(Debug, Clone)]
struct Adapter {
    alpha: Option<f64>,
    rank: Option<f64>,
    alphas: BTreeMap<String, f64>,
    ranks: BTreeMap<String, f64>,
    is_root: bool,
}

impl Adapter {
    fn read(settings: &Value, prefix: &str) -> Self {
        let at = |key: &str| match prefix {
            "" => &settings[key],
            prefix => &settings[format!("{prefix}.{key}")],
        };
        let table = |key: &str| {
            let entries = at(key).as_object().into_iter().flatten();
            entries.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect()
        };
        Self {
            // LoHa and LoKr say `alpha`.
            alpha: at("lora_alpha").as_f64().or(at("alpha").as_f64()),
            rank: at("r").as_f64(),
            alphas: table("alpha_pattern"),
            ranks: table("rank_pattern"),
            is_root: at("use_rslora").as_bool().unwrap_or(false),
        }
    }
}

impl Settings {
    /// Reads the settings that a file has, or that stand beside it.
    ///
    /// # Errors
    /// [`EngineError::Damaged`] when they are no JSON.
    pub(super) fn read(file: &Checkpoint) -> Result<Self, EngineError> {
        let mut out = Self::default();
        if let Some((_, text)) = file.facts().iter().find(|(key, _)| key == METADATA) {
            let settings: Value = serde_json::from_str(text).map_err(|_| {
                EngineError::damaged(file.path(), format!("holds no JSON as “{METADATA}”"))
            })?;
            for part in PARTS {
                let adapter = Adapter::read(&settings, part);
                out.of_parts.insert(part.to_owned(), adapter);
            }
        }
        let name = file.path().file_name().and_then(|name| name.to_str());
        let beside = file.path().with_file_name("adapter_config.json");
        if name.is_some_and(|name| name.starts_with("adapter_model.")) && beside.is_file() {
            out.of_parts.insert(String::new(), Adapter::read(&read_json(&beside)?, ""));
        }
        Ok(out)
    }

    /// Returns what a module's change is multiplied by, where the settings say; `rank` is the one
    /// that the tensors have, if they tell.
    ///
    /// # Errors
    /// The rest of a sentence when it is no number that can be meant.
    pub(super) fn scale(&self, module: &str, rank: Option<usize>) -> Result<Option<f64>, String> {
        let part = module.split('.').next().unwrap_or_default();
        let adapter = self.of_parts.get(part).or_else(|| self.of_parts.get(""));
        let Some(adapter) = adapter else { return Ok(None) };
        // A pattern names a module or the end of its name; the longest one is meant.
        let ends = || {
            let later = module.match_indices('.').map(|(at, _)| &module[at + 1..]);
            std::iter::once(module).chain(later)
        };
        let at = |table: &BTreeMap<String, f64>| ends().find_map(|end| table.get(end).copied());
        let Some(alpha) = at(&adapter.alphas).or(adapter.alpha) else { return Ok(None) };
        let said = at(&adapter.ranks).or(adapter.rank);
        let rank = rank.map(|rank| rank as f64).or(said).unwrap_or(1.0);
        let scale = if adapter.is_root { alpha / rank.sqrt() } else { alpha / rank };
        match scale.is_finite() {
            true => Ok(Some(scale)),
            false => Err(format!("has the alpha {alpha} for the rank {rank}")),
        }
    }
}
