//! Low-rank changes to a picture model, by every trainer's names.

use std::collections::BTreeSet;

use super::{Base, Detection, Family, Naming, Variant, View};

/// The endings of a tensor that reads what comes in, with whose names they are.
const DOWN: [(&str, Naming); 7] = [
    (".lora_down.weight", Naming::Kohya),
    (".lora_A.weight", Naming::Peft),
    (".lora_A.default.weight", Naming::Peft),
    (".lora.down.weight", Naming::Diffusers),
    ("_lora.down.weight", Naming::DiffusersOld),
    (".lora_linear_layer.down.weight", Naming::Diffusers),
    (":down", Naming::Cloneofsimo),
];
/// The endings of its partner that writes what goes out, in the same order.
const UP: [&str; 7] = [
    ".lora_up.weight",
    ".lora_B.weight",
    ".lora_B.default.weight",
    ".lora.up.weight",
    "_lora.up.weight",
    ".lora_linear_layer.up.weight",
    ":up",
];

/// Recognises a LoRA and its kin.
pub(super) fn lora(view: &View<'_>) -> Option<Detection> {
    if let Some(found) = unnamed_list(view) {
        return Some(found);
    }
    let ends = |end: &str| view.tensors.keys().any(|name| name.ends_with(end));
    let mut modules = Vec::new();
    let mut naming = None;
    for (name, info) in view.tensors {
        for ((down, whose), up) in DOWN.iter().zip(UP) {
            let Some(module) = name.strip_suffix(down) else { continue };
            naming.get_or_insert(*whose);
            modules.push((module, info, view.has(&format!("{module}{up}"))));
            break;
        }
    }
    let variant = match () {
        () if ends(".hada_w1_a") => Variant::LoHa,
        () if ends(".lokr_w1") || ends(".lokr_w1_a") => Variant::LoKr,
        () if modules.is_empty() => return None,
        () if ends(".dora_scale") || ends(".lora_magnitude_vector") => Variant::Dora,
        () if modules.iter().any(|(_, info, _)| is_wide(&info.shape))
            || ends(".lora_mid.weight") =>
        {
            Variant::LoCon
        }
        () => Variant::Lora,
    };
    let mut found = Detection::based(Family::Lora, base(view));
    found.variant = Some(variant);
    // Kohya's way of flattening names is what LyCORIS has too.
    let is_kohya = view.any_below("lora_") || view.any_below("lycoris_");
    let is_modern = view.any_below("unet.") || view.any_below("text_encoder.");
    found.naming = match naming {
        _ if is_kohya => Some(Naming::Kohya),
        // Diffusers took PEFT's endings over, behind its own names of the parts.
        Some(Naming::Peft) if is_modern => Some(Naming::Diffusers),
        other => other,
    };
    describe(view, &mut found, &modules);
    Some(found)
}

type Module<'a> = (&'a str, &'a super::TensorInfo, bool);

/// Tells rank, alpha, the parts that are changed and what the trainer wrote down.
fn describe(view: &View<'_>, found: &mut Detection, modules: &[Module<'_>]) {
    let mut ranks: BTreeSet<usize> =
        modules.iter().filter_map(|(_, info, _)| info.shape.first().copied()).collect();
    let other = view.tensors.iter().filter_map(|(name, info)| match () {
        () if name.ends_with(".hada_w1_b") => info.shape.first().copied(),
        () if name.ends_with(".lokr_w2_b") => info.shape.first().copied(),
        () => None,
    });
    ranks.extend(other);
    if !ranks.is_empty() {
        found.detail("rank", joined(ranks.iter().map(usize::to_string)));
    }
    let alphas: BTreeSet<String> = view
        .tensors
        .keys()
        .filter(|name| name.ends_with(".alpha"))
        .filter_map(|name| (view.numbers)(name)?.first().map(f32::to_string))
        .collect();
    match alphas.is_empty() {
        false => found.detail("alpha", joined(alphas.into_iter())),
        true => {
            if let Some(alpha) = view.fact("ss_network_alpha") {
                found.detail("alpha", alpha);
            }
        }
    }
    let in_text = |name: &str| name.starts_with("lora_te") || name.contains("text_encoder");
    let text = view.tensors.keys().filter(|name| in_text(name)).count();
    let changes = match text {
        0 => "UNet",
        text if text == view.tensors.len() => "text encoder",
        _ => "UNet and text encoder",
    };
    found.detail("changes", changes);
    if !modules.is_empty() {
        found.detail("modules", modules.len());
    }
    let said = [
        ("trained on", "ss_sd_model_name"),
        ("trained for", "ss_base_model_version"),
        ("architecture", "modelspec.architecture"),
        ("network", "ss_network_module"),
        ("pictures", "ss_num_train_images"),
    ];
    for (name, key) in said {
        if let Some(value) = view.fact(key) {
            found.detail(name, value);
        }
    }
    let words: Vec<&str> = view
        .tensors
        .keys()
        .filter(|name| name.starts_with('<') && name.ends_with('>'))
        .map(String::as_str)
        .collect();
    if !words.is_empty() {
        found.detail("new words", words.join(", "));
    }
    let alone: Vec<&Module<'_>> = modules.iter().filter(|(_, _, has_up)| !has_up).collect();
    if let Some((name, _, _)) = alone.first() {
        found.missing.push(format!("the other half of {} modules, as of “{name}”", alone.len()));
    }
}

fn joined(values: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = values.take(8).collect();
    all.join(", ")
}

/// Tells whether a kernel covers more than one pixel.
fn is_wide(shape: &[usize]) -> bool {
    shape.len() == 4 && shape[2..].iter().any(|side| *side > 1)
}

/// Tells what a LoRA goes with by the width of the words its attentions look at, or by the second
/// text encoder that only SDXL has.
fn base(view: &View<'_>) -> Option<Base> {
    let keys = || view.tensors.keys();
    let second = ["lora_te2_", "text_encoder_2."];
    if second.iter().any(|prefix| view.any_below(prefix)) {
        return Some(Base::Sdxl);
    }
    let looks_at_words = |name: &str| {
        let is_key = name.contains("attn2_to_k") || name.contains("attn2.to_k");
        is_key || name.contains("attn2.processor.to_k")
    };
    let reads = |name: &str| {
        DOWN.iter().any(|(end, _)| name.ends_with(end)) || name.ends_with(".hada_w1_b")
    };
    let width = view
        .tensors
        .iter()
        .find(|(name, _)| looks_at_words(name) && reads(name))
        .and_then(|(_, info)| info.shape.get(1).copied());
    if let Some(base) = width.and_then(Base::of_context) {
        return Some(base);
    }
    match view.fact("ss_base_model_version") {
        Some(version) if version.starts_with("sdxl") => return Some(Base::Sdxl),
        Some(version) if version.starts_with("sd_v1") => return Some(Base::Sd1),
        Some(version) if version.starts_with("sd_v2") => return Some(Base::Sd2),
        _ => {}
    }
    // cloneofsimo's names count modules; the widths that occur tell the model.
    if keys().any(|name| name.ends_with(":down")) {
        return base_of_widths(view);
    }
    // SDXL changes ten blocks deep where SD has one.
    let is_deep = keys().any(|name| {
        name.contains("transformer_blocks_1_") || name.contains("transformer_blocks.1.")
    });
    is_deep.then_some(Base::Sdxl)
}

/// Tells the model by the widths that go in.
fn base_of_widths(view: &View<'_>) -> Option<Base> {
    let goes_in = |width: usize| {
        view.tensors.values().any(|info| info.shape.len() == 2 && info.shape[1] == width)
    };
    [(2048, Base::Sdxl), (1024, Base::Sd2), (768, Base::Sd1)]
        .into_iter()
        .find_map(|(width, base)| goes_in(width).then_some(base))
}

/// Recognises cloneofsimo's torch files: a list that alternates between the two halves, without
/// names.
fn unnamed_list(view: &View<'_>) -> Option<Detection> {
    let count = view.tensors.len();
    if count < 2 || !count.is_multiple_of(2) {
        return None;
    }
    let mut ranks = BTreeSet::new();
    for pair in 0..count / 2 {
        let (up, down) = (pair * 2, pair * 2 + 1);
        let (up, down) = (view.shape(&up.to_string())?, view.shape(&down.to_string())?);
        let ([_, rank, ..], [again, ..]) = (up, down) else { return None };
        (rank == again && *rank <= 1024).then_some(())?;
        ranks.insert(*rank);
    }
    let mut found = Detection::based(Family::Lora, base_of_widths(view));
    found.variant = Some(Variant::Lora);
    found.naming = Some(Naming::CloneofsimoList);
    found.detail("rank", joined(ranks.iter().map(usize::to_string)));
    let is_unet = view.tensors.values().any(|info| info.shape.first() == Some(&320));
    found.detail("changes", if is_unet { "UNet" } else { "text encoder" });
    found.detail("modules", count / 2);
    Some(found)
}
