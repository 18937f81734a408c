#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::protocol::{
    DeviceChoice, Extras, ModelRef, NoiseSource, Precision, PreviewMode, Prompt, SamplerKind,
    Sampling,
};

fn request(text: &str) -> PictureRequest {
    PictureRequest {
        model: ModelRef { name: "house-picture".to_owned(), sha256: "0123456789abcdef".repeat(4) },
        prompt: Prompt { text: text.to_owned(), negative: "blurry".to_owned(), styles: vec![] },
        size: Size { width_px: 5, height_px: 3 },
        sampling: Sampling {
            sampler: SamplerKind::DpmPp2m,
            steps: 20,
            guidance: 4.5,
            ..Sampling::default()
        },
        seed: u64::MAX,
        count: 1,
        noise: NoiseSource::Seed,
        preview: PreviewMode::Off,
        device: DeviceChoice::Cpu,
        precision: Precision::Fast,
        keep_latents: false,
        extras: Extras::default(),
    }
}

fn pixels(alpha: u8) -> Pixels {
    let bytes = (0..5 * 3).flat_map(|i| [i * 17, i, 255 - i, alpha]).collect();
    Pixels::new(5, 3, bytes).unwrap()
}

fn encoded(text: &str) -> Vec<u8> {
    encode(&pixels(255), &request(text), "CC0-1.0").unwrap()
}

/// Makes a PNG file of one pixel with these chunks after its header.
fn png_with(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let whole = pixels::encode(&Pixels::new(1, 1, vec![0; 4]).unwrap(), &[]).unwrap();
    let header_end = 8 + 12 + 13;
    let mut file = whole[..header_end].to_vec();
    for (kind, data) in chunks {
        let mut crc = flate2::Crc::new();
        crc.update(*kind);
        crc.update(data);
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(*kind);
        file.extend(data);
        file.extend(crc.sum().to_be_bytes());
    }
    file.extend(&whole[header_end..]);
    file
}

fn refusal(bytes: &[u8]) -> String {
    match read_recipe(bytes) {
        Err(error @ EngineError::Damaged { .. }) => error.to_string(),
        other => panic!("expected damage, not {other:?}"),
    }
}

#[test]
fn a_picture_carries_its_request_its_parameters_and_its_licence() {
    let found = read_recipe(&encoded("a fox")).unwrap();
    assert_eq!(found.source, RecipeSource::Atelier);
    assert_eq!(found.request, Some(request("a fox")));
    assert_eq!(found.licence.as_deref(), Some("CC0-1.0"));
    assert_eq!(found.size, Size { width_px: 5, height_px: 3 });
    let expected = format!(
        "a fox\nNegative prompt: blurry\nSteps: 20, Sampler: DPM++ 2M, CFG scale: 4.5, \
         Seed: 18446744073709551615, Size: 5x3, Model hash: 0123456789, Model: house-picture, \
         Version: Atelier {}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(found.text, expected);
}

#[test]
fn pixels_survive_with_and_without_transparency() {
    for alpha in [255, 7] {
        let bytes = encode(&pixels(alpha), &request("x"), "").unwrap();
        assert_eq!(decode(&bytes).unwrap(), pixels(alpha));
        assert_eq!(bytes, encode(&pixels(alpha), &request("x"), "").unwrap());
    }
}

#[test]
fn parameters_are_latin1_when_they_can_be_and_unicode_otherwise() {
    let kinds = |text: &str| -> Vec<[u8; 4]> {
        let bytes = encoded(text);
        let chunks = Chunks::new(&bytes).unwrap().map(Result::unwrap);
        chunks.filter(|c| chunks::keyword_of(c) == Some("parameters")).map(|c| c.kind).collect()
    };
    assert_eq!(kinds("a fox"), [*b"tEXt"]);
    assert_eq!(kinds("ein Füchslein"), [*b"tEXt"]);
    assert_eq!(kinds("雪地里的红狐狸"), [*b"iTXt"]);
    assert_eq!(kinds("as UTF-8 this reads differently: Ã©"), [*b"iTXt"]);
    for text in ["ein Füchslein", "雪地里的红狐狸", "Ã©"] {
        assert!(read_recipe(&encoded(text)).unwrap().text.starts_with(text));
    }
}

#[test]
fn packed_texts_are_read_up_to_a_bound() {
    use std::io::Write as _;
    let packed = |text: &[u8]| {
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(text).unwrap();
        packer.finish().unwrap()
    };
    let ztxt = |text: &[u8]| [b"parameters\0\0".to_vec(), packed(text)].concat();
    let itxt = |text: &[u8]| [b"parameters\0\x01\0en\0x\0".to_vec(), packed(text)].concat();
    for (kind, data) in [(b"zTXt", ztxt(b"a fox\nSteps: 3")), (b"iTXt", itxt(b"a fox\nSteps: 3"))] {
        let found = read_recipe(&png_with(&[(kind, data)])).unwrap();
        assert_eq!(found.foreign.unwrap().steps, Some(3));
    }
    let bomb = vec![b' '; 64 << 20];
    for (kind, data) in [(b"zTXt", ztxt(&bomb)), (b"iTXt", itxt(&bomb))] {
        assert!(data.len() < 100_000);
        assert!(refusal(&png_with(&[(kind, data)])).contains("too long"));
    }
    // Nobody needs the licence to make the picture again, so a broken one is passed over.
    let found = read_recipe(&png_with(&[(b"zTXt", b"Copyright\0\0not zlib".to_vec())])).unwrap();
    assert_eq!((found.source, found.licence), (RecipeSource::None, None));
    refusal(&png_with(&[(b"zTXt", b"parameters\0\0not zlib".to_vec())]));
    refusal(&png_with(&[(b"iTXt", b"atelier\0".to_vec())]));
}

#[test]
fn recipes_with_absurd_numbers_are_refused() {
    let json = serde_json::to_string(&Request::Picture(Box::new(request("x")))).unwrap();
    let with = |from: &str, to: &str| {
        assert!(json.contains(from), "{json}");
        let text = format!("atelier\0\0\0\0\0{}", json.replace(from, to));
        refusal(&png_with(&[(b"iTXt", text.into_bytes())]))
    };
    for guidance in ["1e39", "1e400", "null", "-1", "31", "NaN", "\"4\""] {
        let said = with("\"guidance\":4.5", &format!("\"guidance\":{guidance}"));
        assert!(said.contains("recipe") && said.len() < 300, "{said}");
    }
    for steps in ["0", "151", "-1", "4294967296"] {
        with("\"steps\":20", &format!("\"steps\":{steps}"));
    }
    with("\"width_px\":5", "\"width_px\":0");
    with("\"height_px\":3", "\"height_px\":4000000000");
    with("\"count\":1", "\"count\":0");
    with("\"seed\":18446744073709551615", "\"seed\":18446744073709551616");
    with("\"sampler\":\"dpmpp_2m\"", &format!("\"sampler\":\"{}\"", "x".repeat(100_000)));
    with(&json, &"[".repeat(100_000));
}

#[test]
fn a_request_that_could_not_be_read_back_is_not_written() {
    for guidance in [f32::NAN, f32::INFINITY, -1.0] {
        let mut request = request("x");
        request.sampling.guidance = guidance;
        let error = encode(&pixels(255), &request, "").unwrap_err();
        assert!(matches!(error, EngineError::InvalidSetting { .. }));
    }
    let wrong = Pixels { width_px: 2, height_px: 2, rgba: vec![0; 4] };
    assert!(encode(&wrong, &request("x"), "").is_err());
}

#[test]
fn a_picture_that_claims_more_pixels_than_it_holds_is_refused_before_memory_is_taken() {
    let mut file = png_with(&[]);
    file[16..24].copy_from_slice(&[0, 0, 0x20, 0, 0, 0, 0x20, 0]); // 8192 × 8192
    let mut crc = flate2::Crc::new();
    crc.update(&file[12..29]);
    file[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let said = decode(&file).unwrap_err().to_string();
    assert!(said.contains("fewer pixels"), "{said}");
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let whole = encoded("a fox");
    for end in 0..whole.len() {
        refusal(&whole[..end]);
        assert!(decode(&whole[..end]).is_err());
    }
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 1 << (at % 8);
        refusal(&broken);
        assert!(decode(&broken).is_err());
    }
}

#[test]
fn what_is_no_png_is_named_in_one_sentence() {
    assert!(refusal(b"").contains("is empty"));
    assert!(refusal(b"hello").contains("is not a PNG picture"));
    assert!(refusal(b"\xff\xd8\xff\xe0").contains("is a JPEG picture"));
    assert!(refusal(b"RIFF\0\0\0\0WEBPVP8 ").contains("is a WebP picture"));
    assert!(refusal(b"\x89PNG\r\n").contains("ends before"));
    let missing = read_recipe_file(Path::new("/nowhere/at/all.png")).unwrap_err();
    assert!(matches!(missing, EngineError::Io { .. }));
}

#[test]
fn pictures_of_other_programs_say_who_made_them() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/pictures");
    if !folder.is_dir() {
        println!("skipped: no fixtures at {}", folder.display());
        return;
    }
    for (name, source) in [
        ("a1111.png", RecipeSource::Automatic1111),
        ("sdcpp.png", RecipeSource::Automatic1111),
        ("comfyui-img2img.png", RecipeSource::ComfyUi),
        ("comfyui-regions.png", RecipeSource::ComfyUi),
        ("fooocus.png", RecipeSource::Fooocus),
        ("invokeai-dream.png", RecipeSource::InvokeAi),
        ("novelai.png", RecipeSource::NovelAi),
    ] {
        let found = read_recipe_file(&folder.join(name)).unwrap();
        assert_eq!((found.source, found.request), (source, None), "{name}");
        assert!(!found.text.is_empty(), "{name}");
        let pixels = decode(&read_file(&folder.join(name)).unwrap()).unwrap();
        assert_eq!(pixels.width_px, found.size.width_px, "{name}");
    }
    let a1111 = read_recipe_file(&folder.join("a1111.png")).unwrap().foreign.unwrap();
    assert_eq!(
        a1111,
        ForeignRecipe {
            prompt: "photo of a duck".to_owned(),
            negative: "monochrome".to_owned(),
            steps: Some(15),
            sampler: Some("UniPC".to_owned()),
            guidance: Some(5.0),
            seed: Some(235_284_042),
            size: Some(Size { width_px: 512, height_px: 400 }),
            model: Some("realistic_realisticVisionV20_v20".to_owned()),
            model_hash: Some("c0d1994c73".to_owned()),
            unparsed: vec![],
        }
    );
    let sdcpp = read_recipe_file(&folder.join("sdcpp.png")).unwrap().foreign.unwrap();
    assert_eq!(sdcpp.prompt, "a lovely cat holding a sign says \"Stable Diffusion CPP\"");
    assert_eq!((sdcpp.seed, sdcpp.sampler_kind()), (Some(42), Some(SamplerKind::Euler)));
    assert!(read_recipe_file(&folder.join("a1111.jpg")).unwrap_err().to_string().contains("JPEG"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_prompt_comes_back_exactly(text in any::<String>(), negative in any::<String>(),
        styles in proptest::collection::vec(any::<String>(), 0..3), licence in any::<String>(),
        name in any::<String>(), seed: u64, guidance in 0.0_f32..=30.0, steps in 1_u32..=150) {
        let mut sent = request(&text);
        sent.prompt.negative = negative;
        sent.prompt.styles = styles;
        sent.model.name = name;
        sent.model.sha256 = text;
        sent.seed = seed;
        sent.sampling.guidance = guidance;
        sent.sampling.steps = steps;
        let found = read_recipe(&encode(&pixels(255), &sent, &licence).unwrap()).unwrap();
        prop_assert_eq!(found.request, Some(sent));
        let licence = licence.replace('\0', "");
        prop_assert_eq!(found.licence, Some(licence).filter(|text| !text.is_empty()));
    }

    #[test]
    fn our_parameters_are_read_back_as_other_programs_read_them(
        words in "[a-zA-Z0-9 ,.:()雪狐é]{1,80}", negative in "[a-z ,:(]{0,40}",
        name in "[a-zA-Z0-9,:\" _é-]{1,30}", seed: u64, steps in 1_u32..=150, guidance in 0.0_f32..=30.0) {
        prop_assume!(!words.trim().is_empty() && !words.trim_start().starts_with("Negative prompt:"));
        let mut sent = request(words.trim());
        sent.prompt.negative = negative.trim().to_owned();
        sent.model.name = name.trim().to_owned();
        sent.seed = seed;
        sent.sampling.steps = steps;
        sent.sampling.guidance = guidance;
        let read = parameters::read(&parameters::write(&sent));
        prop_assert_eq!(read.prompt, sent.prompt.text);
        prop_assert_eq!(read.negative, sent.prompt.negative);
        prop_assert_eq!(read.seed, Some(seed));
        prop_assert_eq!(read.steps, Some(steps));
        prop_assert_eq!(read.guidance, Some(guidance));
        prop_assert_eq!(read.size, Some(sent.size));
        prop_assert_eq!(read.model.unwrap_or_default(), sent.model.name);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read_recipe(&bytes);
        let _ = decode(&bytes);
        let _ = read_recipe(&[b"\x89PNG\r\n\x1a\n".as_slice(), &bytes].concat());
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), kind in 0..3_usize,
        keyword in 0..KEYWORDS.len(), packed: bool) {
        let kind = [b"tEXt", b"zTXt", b"iTXt"][kind];
        let middle: &[u8] = if packed { b"\0\x01\0\0\0" } else { b"\0\0\0\0\0" };
        let data = [KEYWORDS[keyword].as_bytes(), middle, text.as_bytes()].concat();
        let _ = read_recipe(&png_with(&[(kind, data)]));
        let _ = parameters::read(&text);
        let _ = parameters::read(&format!("x\nSteps: 1, {text}"));
    }

    #[test]
    fn mutated_chunks_with_right_checksums_do_not_make_it_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        // Right checksums let the damage reach the code behind them.
        let whole = encoded("a fox");
        let mut file = whole[..8].to_vec();
        for chunk in Chunks::new(&whole).unwrap() {
            let chunk = chunk.unwrap();
            let mut data = chunk.data.to_vec();
            for (at, byte) in &edits {
                if !data.is_empty() {
                    let at = at.index(data.len());
                    data[at] = *byte;
                }
            }
            let mut crc = flate2::Crc::new();
            crc.update(&chunk.kind);
            crc.update(&data);
            file.extend((data.len() as u32).to_be_bytes());
            file.extend(chunk.kind);
            file.extend(data);
            file.extend(crc.sum().to_be_bytes());
        }
        let _ = read_recipe(&file);
        let _ = decode(&file);
    }
}
