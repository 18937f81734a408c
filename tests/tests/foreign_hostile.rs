//! Small pictures of every program, changed at random by a fixed seed: each is read or refused with a
//! sentence, and none makes the readers panic. `fuzz/` has the same reader for cargo-fuzz.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, ensure};
use atelier_engine::protocol::Size;
use atelier_engine::store::foreign::{self, ForeignPicture};
use atelier_tests::foreign::{
    TextChunk, exif, jpeg, png, png_as, png_with_bits, png_with_hidden, unicode_comment, webp,
};
use atelier_tests::source::fixture;

/// How often each file is changed.
const ROUNDS: u64 = 500;

/// Numbers by the generator xorshift64*, the same on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }
}

/// Changes a few bytes; those of texts as often as those of lengths.
fn changed(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    const TELLING: [u8; 14] =
        [0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b'"', b'{', b'[', b']', b':', b',', b'-'];
    let mut out = bytes.to_vec();
    for _ in 0..=dice.below(6) {
        if out.is_empty() {
            break;
        }
        let at = dice.below(out.len());
        match dice.below(6) {
            0 => out.truncate(at.max(out.len() / 2)),
            1 => out[at] ^= 1 << dice.below(8),
            2 => out[at] = TELLING[dice.below(TELLING.len())],
            3 => out[at] = dice.below(256) as u8,
            4 => drop(out.remove(at)),
            _ => {
                // A piece from elsewhere: whole keys and links change places.
                let from = dice.below(out.len());
                let count = dice.below(40).min(out.len() - from).min(out.len() - at);
                out.copy_within(from..from + count, at);
            }
        }
    }
    out
}

const GRAPH: &str = r#"{"1":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"d.safetensors"}},
"2":{"class_type":"LoraLoader","inputs":{"model":["1",0],"clip":["1",1],"lora_name":"a","strength_model":0.5}},
"3":{"class_type":"CLIPSetLastLayer","inputs":{"clip":["2",1],"stop_at_clip_layer":-2}},
"4":{"class_type":"CLIPTextEncode","inputs":{"clip":["3",0],"text":["8",0]}},
"5":{"class_type":"ConditioningCombine","inputs":{"conditioning_1":["4",0],"conditioning_2":["4",0]}},
"6":{"class_type":"EmptyLatentImage","inputs":{"width":640,"height":["9",0]}},
"7":{"class_type":"KSampler","inputs":{"model":["2",0],"positive":["5",0],"negative":["4",0],
"latent_image":["6",0],"seed":5,"steps":30,"cfg":7.5,"sampler_name":"euler","scheduler":"karras"}},
"8":{"class_type":"StringConcatenate","inputs":{"string_a":"a fox","string_b":"snow","delimiter":", "}},
"9":{"class_type":"PrimitiveInt","inputs":{"value":960}},
"10":{"class_type":"VAEDecode","inputs":{"samples":["7",0],"vae":["1",2]}},
"11":{"class_type":"SaveImage","inputs":{"images":["10",0]}}}"#;

const DRAWING: &str = r#"{"nodes":[{"id":1,"type":"KSampler","mode":0,"inputs":[{"name":"positive","link":7}],
"widgets_values":[5,true,20,8,"euler","normal",1]},{"id":2,"type":"CLIPTextEncode","widgets_values":["fox"]}],
"links":[[7,2,0,1,1,"CONDITIONING"]]}"#;

const TEXT: &str = "a fox\nNegative prompt: grey\nSteps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 5, \
    Size: 512x512, Model hash: 0a1b, Model: m, Clip skip: 2, Hires upscale: 2, Version: f2.0";

const INVOKE: &str = r#"{"positive_prompt":"fox","width":832,"height":1216,"seed":42,"cfg_scale":7.5,"steps":30,
"scheduler":"euler_k","clip_skip":1,"model":{"name":"j","hash":"blake3:0"},"loras":[{"model":{"name":"i"},"weight":0.6}]}"#;

const SWARM: &str = r#"{"sui_image_params":{"prompt":"a cat","seed":1,"steps":20,"cfgscale":7.0,"width":1024,
"height":768,"loras":["ink"],"loraweights":["0.5"],"clipstopatlayer":"-2"},"sui_models":[{"param":"model","hash":"0x1"}]}"#;

const NOVEL: &str = r#"{"prompt":"{fox}, (snow)","steps":28,"height":1216,"width":832,"scale":5.0,"uc":"[a]","seed":9,
"sampler":"k_euler","v4_prompt":{"caption":{"char_captions":[1]}}}"#;

const FOOOCUS: &str = r#"{"prompt":"g","base_model":"j","steps":30,"seed":"69","resolution":"(768, 1280)",
"loras":[["x",0.1]],"lora_combined_1":"y : 0.5","styles":"['a']","metadata_scheme":"fooocus"}"#;

/// Texts with the keyword under which they stand.
const TEXTS: [(&str, &str); 10] = [
    ("prompt", GRAPH),
    ("workflow", DRAWING),
    ("parameters", TEXT),
    ("parameters", SWARM),
    ("parameters", FOOOCUS),
    ("invokeai_metadata", INVOKE),
    (
        "sd-metadata",
        r#"{"model_weights":"d","image":{"prompt":[{"prompt":"a [b]"}],"seed":7,"steps":50}}"#,
    ),
    ("Dream", r#""a fox [grey]" -s 50 -S 7 -W 512 -H 768 -C 5 -A k_lms -V 1:-0.5"#),
    ("Comment", NOVEL),
    (
        "parameters",
        "Steps: 1, Sampler: \"a, b\", Seed: 2, Size: 1x1, Version: stable-diffusion.cpp",
    ),
];

/// Does with a file all that the import does.
fn read(bytes: &[u8]) -> Result<ForeignPicture, String> {
    let found = foreign::read(bytes).map_err(|error| error.to_string())?;
    if let Some(settings) = &found.settings {
        let request = settings.request(Size { width_px: 64, height_px: 64 });
        let is_within = (1..=150).contains(&request.sampling.steps)
            && (0.0..=30.0).contains(&request.sampling.guidance)
            && request
                .extras
                .loras
                .iter()
                .all(|lora| lora.unet.is_finite() && lora.text.is_finite())
            && !request.model.name.contains(['/', '\\']);
        if !is_within {
            return Ok(ForeignPicture {
                unread: vec!["a request out of its ranges".to_owned()],
                ..found
            });
        }
    }
    Ok(found)
}

/// Tries a file in every round; returns how often it was read, silent and refused.
fn try_all(name: &str, make: impl Fn(&mut Dice) -> Vec<u8>, counts: &mut [usize; 3]) -> Result<()> {
    for round in 0..ROUNDS {
        let mut dice = Dice(round * 2 + 1);
        for _ in 0..8 {
            dice.next();
        }
        let bytes = make(&mut dice);
        let Ok(found) = catch_unwind(AssertUnwindSafe(|| read(&bytes))) else {
            anyhow::bail!("{name} makes the reader panic in round {round}");
        };
        match found {
            Ok(found) => {
                ensure!(
                    !found.unread.iter().any(|said| said.contains("ranges")),
                    "{name}, {round}"
                );
                counts[usize::from(found.settings.is_none())] += 1;
            }
            Err(said) => {
                ensure!(said.starts_with("The file "), "{name}, round {round}: {said}");
                counts[2] += 1;
            }
        }
    }
    Ok(())
}

#[test]
fn no_changed_picture_makes_the_reader_panic() -> Result<()> {
    let mut counts = [0; 3];
    // Texts changed within a whole file, so that the damage reaches what stands behind checksums.
    for (keyword, text) in TEXTS {
        let make = |dice: &mut Dice| {
            let text = changed(text.as_bytes(), dice);
            png(&[("Software", "NovelAI"), (keyword, &String::from_utf8_lossy(&text))])
        };
        try_all(keyword, make, &mut counts)?;
    }
    let [read, silent, _] = counts;
    ensure!(read > 1500 && silent > 300, "all texts were treated alike: {counts:?}");
    // Whole files, and what stands in them before it is written.
    let comment = unicode_comment(TEXT, true);
    let block =
        exif(&[(0x9286, 7, &comment), (0x0110, 2, b"prompt:{}"), (0x0131, 2, b"abc")], false);
    let mut files: Vec<(String, Vec<u8>)> = vec![
        ("jpeg".to_owned(), jpeg(&block)),
        ("webp".to_owned(), webp(&block)),
        ("packed".to_owned(), png_as(TextChunk::InternationalPacked, &TEXTS[..3])),
        ("hidden".to_owned(), png_with_hidden(TEXT, true)),
    ];
    for name in ["a1111.jpg", "a1111.png", "comfyui-img2img.png", "novelai.png", "fooocus.png"] {
        if let Some(path) = fixture(&format!("pictures/{name}")) {
            files.push((name.to_owned(), std::fs::read(path)?));
        }
    }
    for (name, bytes) in &files {
        try_all(name, |dice| changed(bytes, dice), &mut counts)?;
    }
    try_all("EXIF in JPEG", |dice| jpeg(&changed(&block, dice)), &mut counts)?;
    try_all("EXIF in WebP", |dice| webp(&changed(&block, dice)), &mut counts)?;
    let hidden = [b"stealth_pnginfo\0\0\x02\0", NOVEL.as_bytes()].concat();
    try_all("bits", |dice| png_with_bits(&changed(&hidden, dice)), &mut counts)?;
    println!("{} pictures were read, {} silent, {} refused", counts[0], counts[1], counts[2]);
    ensure!(counts.iter().all(|count| *count > 1000), "all were treated alike: {counts:?}");
    Ok(())
}
