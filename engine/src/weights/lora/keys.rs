//! What the tensors of a LoRA are for, by the ends of their names.

use std::collections::BTreeMap;

use super::Unmatched;
use super::change::Roles;
use crate::weights::open::Checkpoint;

/// Says what a tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// Reads what comes in: `[rank, in, …]`.
    Down,
    /// Writes what goes out: `[out, rank, …]`.
    Up,
    /// The core of a convolution: `[rank, rank, height, width]`.
    Mid,
    /// What the rank is weighed against.
    Alpha,
    /// DoRA's lengths, as LyCORIS and kohya have them.
    DoraScale,
    /// DoRA's lengths, as PEFT has them: one for each output.
    Magnitude,
    HadaW1A,
    HadaW1B,
    HadaW2A,
    HadaW2B,
    HadaT1,
    HadaT2,
    LokrW1,
    LokrW1A,
    LokrW1B,
    LokrW2,
    LokrW2A,
    LokrW2B,
    LokrT2,
    /// A difference of the whole weight.
    Diff,
    /// A difference of the bias.
    DiffBias,
}

/// The ends of names, with what they are for; a longer end stands before one that it contains.
const ENDS: [(&str, Role); 41] = [
    (".lora_down.weight", Role::Down),
    (".lora_A.weight", Role::Down),
    (".lora_A", Role::Down),
    (".lora.down.weight", Role::Down),
    (".lora_linear_layer.down.weight", Role::Down),
    ("_lora.down.weight", Role::Down),
    (":down", Role::Down),
    (".lora_up.weight", Role::Up),
    (".lora_B.weight", Role::Up),
    (".lora_B", Role::Up),
    (".lora.up.weight", Role::Up),
    (".lora_linear_layer.up.weight", Role::Up),
    ("_lora.up.weight", Role::Up),
    (":up", Role::Up),
    (".lora_mid.weight", Role::Mid),
    (".lora.mid.weight", Role::Mid),
    (".alpha", Role::Alpha),
    (".lora_alpha", Role::Alpha),
    (".dora_scale", Role::DoraScale),
    (".lora_magnitude_vector.weight", Role::Magnitude),
    (".lora_magnitude_vector", Role::Magnitude),
    (".hada_w1_a", Role::HadaW1A),
    (".hada_w1_b", Role::HadaW1B),
    (".hada_w2_a", Role::HadaW2A),
    (".hada_w2_b", Role::HadaW2B),
    (".hada_t1", Role::HadaT1),
    (".hada_t2", Role::HadaT2),
    (".lokr_w1", Role::LokrW1),
    (".lokr_w1_a", Role::LokrW1A),
    (".lokr_w1_b", Role::LokrW1B),
    (".lokr_w2", Role::LokrW2),
    (".lokr_w2_a", Role::LokrW2A),
    (".lokr_w2_b", Role::LokrW2B),
    (".lokr_t2", Role::LokrT2),
    (".diff", Role::Diff),
    (".diff.weight", Role::Diff),
    (".w_norm", Role::Diff),
    (".diff_b", Role::DiffBias),
    (".diff.bias", Role::DiffBias),
    (".b_norm", Role::DiffBias),
    ("_lora.alpha", Role::Alpha),
];

/// The ends of kinds of changes that are not built.
const UNBUILT: [(&str, &str); 9] = [
    ("oft_", "is a rotation (OFT), which is not supported"),
    ("boft_", "is a rotation (BOFT), which is not supported"),
    (".on_input", "is an (IA)³, which is not supported"),
    ("ia3_l", "is an (IA)³, which is not supported"),
    (".a1.weight", "is a GLoRA, which is not supported"),
    ("lora_embedding_", "changes an embedding, which is not supported"),
    (".set_weight", "replaces a weight, which is not supported"),
    (".reshape_weight", "changes the shape of a weight, which is not supported"),
    (".bias", "is a bias, which no LoRA of this form has"),
];

/// Cuts a name into a module and what the tensor is for.
pub(super) fn split(name: &str) -> Option<(String, Role)> {
    let name = without_adapter(name);
    // Of two ends the longer one is meant: `.lora.down.weight` is also `_lora.down.weight`'s like.
    let end = ENDS.iter().filter(|(end, _)| name.ends_with(end)).max_by_key(|(end, _)| end.len());
    end.map(|(end, role)| (name[..name.len() - end.len()].to_owned(), *role))
}

/// Takes off the name that PEFT gives an adapter while it is in use, as in `lora_A.default.weight`.
fn without_adapter(name: &str) -> String {
    for mark in [".lora_A.", ".lora_B.", ".lora_magnitude_vector."] {
        if let Some((module, rest)) = name.rsplit_once(mark) {
            let mark = mark.trim_end_matches('.');
            let is_adapter = |text: &str| text != "weight" && text != "bias" && !text.contains('.');
            return match rest.strip_suffix(".weight") {
                Some(adapter) if is_adapter(adapter) => format!("{module}{mark}.weight"),
                _ if is_adapter(rest) => format!("{module}{mark}"),
                _ => name.to_owned(),
            };
        }
    }
    let last = name.rsplit_once('.');
    match last {
        Some((rest, "default")) if rest.contains(".hada_") || rest.contains(".lokr_") => {
            rest.to_owned()
        }
        _ => name.to_owned(),
    }
}

/// Gathers the tensors of a file by module; what is none of them is listed.
pub(super) fn modules(
    file: &Checkpoint,
    unmatched: &mut Vec<Unmatched>,
) -> BTreeMap<String, Roles> {
    let mut modules: BTreeMap<String, Roles> = BTreeMap::new();
    for name in file.tensors().keys() {
        if let Some((module, role)) = split(name) {
            let roles = modules.entry(module).or_default();
            if roles.insert(role, name.clone()).is_some() {
                let reason = "is there twice under two names".to_owned();
                unmatched.push(Unmatched { key: name.clone(), reason });
            }
        } else if let Ok(number) = name.parse::<usize>() {
            // A list alternates between the two halves, without names.
            let role = if number % 2 == 0 { Role::Up } else { Role::Down };
            modules.entry((number / 2).to_string()).or_default().insert(role, name.clone());
        } else if !(name.starts_with('<') && name.ends_with('>')) {
            let unbuilt = UNBUILT.iter().find(|(end, _)| name.contains(end));
            let reason = unbuilt.map_or("is no part of a LoRA that is known", |(_, said)| said);
            unmatched.push(Unmatched { key: name.clone(), reason: reason.to_owned() });
        }
    }
    modules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trainers_ends_are_known() {
        let cases = [
            ("lora_unet_x_to_q.lora_down.weight", "lora_unet_x_to_q", Role::Down),
            ("unet.x.to_q.lora_B.weight", "unet.x.to_q", Role::Up),
            (
                "base_model.model.x.to_q.lora_A.default.weight",
                "base_model.model.x.to_q",
                Role::Down,
            ),
            ("x.attn1.processor.to_q_lora.up.weight", "x.attn1.processor.to_q", Role::Up),
            ("unet.x.to_q.lora.down.weight", "unet.x.to_q", Role::Down),
            ("te.x.q_proj.lora_linear_layer.up.weight", "te.x.q_proj", Role::Up),
            ("unet:7:down", "unet:7", Role::Down),
            ("m.lokr_w2_a", "m", Role::LokrW2A),
            ("m.lokr_w2", "m", Role::LokrW2),
            ("m.hada_t2.default", "m", Role::HadaT2),
            ("m.lora_magnitude_vector.default.weight", "m", Role::Magnitude),
            ("m.lora_magnitude_vector", "m", Role::Magnitude),
            ("m.dora_scale", "m", Role::DoraScale),
            ("m.alpha", "m", Role::Alpha),
            ("m.diff_b", "m", Role::DiffBias),
        ];
        for (name, module, role) in cases {
            assert_eq!(split(name), Some((module.to_owned(), role)), "{name}");
        }
        assert_eq!(split("m.lora_A.bias"), None);
        assert_eq!(split("m.weight"), None);
    }
}
