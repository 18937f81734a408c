//! A recipe is a request as JSON. These tests write and read any request, read what no request is, and
//! hold the check that every request passes before it runs against all of them.

use std::path::PathBuf;

use atelier_engine::pipelines::picture::{nearest_size, validate};
use atelier_engine::protocol::{
    Borders, ControlUse, DeviceChoice, Extras, HintKind, LoraUse, MemoryUse, ModelRef, NoiseSource,
    PictureFile, PictureRequest, Precision, PredictionChoice, PreviewMode, Prompt, Region,
    RegionMode, Request, SamplerKind, Sampling, ScheduleKind, Size, Source,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Any text, with line ends, control characters and characters outside the first plane.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z ,()\\[\\]:<>\"\\\\{}]{0,40}",
        Just("雪地里的红狐狸".to_owned()),
        Just("\0\u{feff}\u{202e}🦊\u{301}\r\n\t".to_owned()),
    ]
}

fn finite() -> impl Strategy<Value = f32> {
    use proptest::num::f32::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let kinds = (prop::sample::select(&SamplerKind::ALL[..]), schedule());
    let added = (prop::option::of(finite()), finite(), finite(), finite());
    (kinds, any::<u32>(), finite(), added).prop_map(|(kinds, steps, guidance, added)| {
        let ((sampler, schedule), (eta, s_noise, s_churn, cfg_rescale)) = (kinds, added);
        Sampling { sampler, steps, guidance, schedule, eta, s_noise, s_churn, cfg_rescale }
    })
}

fn schedule() -> impl Strategy<Value = ScheduleKind> {
    prop::sample::select(&ScheduleKind::ALL[..])
}

fn noise() -> impl Strategy<Value = NoiseSource> {
    prop_oneof![
        Just(NoiseSource::Seed),
        text().prop_map(|path| NoiseSource::File(PathBuf::from(path)))
    ]
}

fn device() -> impl Strategy<Value = DeviceChoice> {
    prop_oneof![
        Just(DeviceChoice::Auto),
        Just(DeviceChoice::Cpu),
        any::<usize>().prop_map(DeviceChoice::Cuda),
        any::<usize>().prop_map(DeviceChoice::Metal),
    ]
}

fn model() -> impl Strategy<Value = ModelRef> {
    (text(), text()).prop_map(|(name, sha256)| ModelRef { name, sha256 })
}

fn picture_file() -> impl Strategy<Value = PictureFile> {
    (text(), text()).prop_map(|(path, sha256)| PictureFile { path: path.into(), sha256 })
}

fn extras() -> impl Strategy<Value = Extras> {
    let number = || -100f32..100.0;
    let lora =
        (model(), number(), number()).prop_map(|(model, unet, text)| LoraUse { model, unet, text });
    let hint = prop::sample::select(&HintKind::ALL[..]);
    let place = (picture_file(), any::<bool>());
    let control = (model(), place, hint, number(), [number(), number()]).prop_map(
        |(model, (picture, over_source), hint, strength, between)| ControlUse {
            model,
            picture,
            over_source,
            hint,
            strength,
            between,
        },
    );
    let mask = prop::option::of(picture_file());
    let source = (picture_file(), mask, number(), number(), prop::option::of(region())).prop_map(
        |(picture, mask, strength, image_guidance, region)| Source {
            picture,
            mask,
            strength,
            image_guidance,
            region,
        },
    );
    let prediction = prop_oneof![Just(PredictionChoice::Epsilon), Just(PredictionChoice::V)];
    (
        prop::collection::vec(lora, 0..3),
        prop::collection::vec(model(), 0..3),
        prop::option::of(model()),
        prop::collection::vec(control, 0..3),
        prop::option::of(any::<u32>()),
        prop::option::of(prediction),
        prop::option::of(source),
        prop::sample::select(&MemoryUse::ALL[..]),
    )
        .prop_map(
            |(loras, embeddings, vae, controls, clip_skip, prediction, source, memory)| Extras {
                loras,
                embeddings,
                vae,
                controls,
                clip_skip,
                prediction,
                source,
                memory,
            },
        )
}

fn region() -> impl Strategy<Value = Region> {
    let mode = prop::sample::select(&RegionMode::ALL[..]);
    let margin = || prop::option::of(any::<u32>());
    (mode, margin(), margin(), margin(), any::<[u32; 4]>()).prop_map(
        |(mode, padding_px, grow_px, feather_px, [left_px, top_px, right_px, bottom_px])| Region {
            mode,
            padding_px,
            grow_px,
            feather_px,
            added: Borders { left_px, top_px, right_px, bottom_px },
        },
    )
}

fn request() -> impl Strategy<Value = PictureRequest> {
    let words = (text(), text(), prop::collection::vec(text(), 0..4));
    let prompt = words.prop_map(|(text, negative, styles)| Prompt { text, negative, styles });
    let size = any::<[u32; 2]>().prop_map(|[width_px, height_px]| Size { width_px, height_px });
    let preview = prop_oneof![Just(PreviewMode::Off), Just(PreviewMode::EveryStep)];
    let precision = prop_oneof![Just(Precision::Exact), Just(Precision::Fast)];
    let way = (device(), precision);
    let rest = (any::<u64>(), any::<u32>(), noise(), preview, way, any::<bool>(), extras());
    (model(), prompt, size, sampling(), rest).prop_map(|(model, prompt, size, sampling, rest)| {
        let (seed, count, noise, preview, (device, precision), keep_latents, extras) = rest;
        PictureRequest {
            model,
            prompt,
            size,
            sampling,
            seed,
            count,
            noise,
            preview,
            device,
            precision,
            keep_latents,
            extras,
        }
    })
}

/// Tells whether JSON can hold every number: what is too large for f32 is read as infinite.
fn has_finite_numbers(sampling: &Sampling) -> bool {
    let Sampling { guidance, eta, s_noise, s_churn, cfg_rescale, .. } = sampling;
    let numbers = [*guidance, eta.unwrap_or_default(), *s_noise, *s_churn, *cfg_rescale];
    numbers.into_iter().all(f32::is_finite)
}

/// A small request that is right in every respect.
fn plain() -> Value {
    json!({
        "model": {"name": "house-picture"},
        "prompt": {"text": "a red fox in the snow"},
        "size": {"width_px": 256, "height_px": 256},
        "sampling": {"sampler": "unipc", "steps": 20, "guidance": 3.5},
        "seed": 7,
        "count": 1
    })
}

/// Returns [`plain`] with one value replaced, for instance at `/sampling/guidance`.
fn with(pointer: &str, value: Value) -> Value {
    let mut request = plain();
    match request.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => panic!("no {pointer}"),
    }
    request
}

fn read(json: &str) -> serde_json::Result<PictureRequest> {
    serde_json::from_str(json)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_request_is_read_as_it_was_written(request in request()) {
        let compact = serde_json::to_string(&request)?;
        prop_assert_eq!(&read(&compact)?, &request);
        let pretty = serde_json::to_string_pretty(&request)?;
        prop_assert_eq!(&read(&pretty)?, &request);
        let job = Request::Picture(Box::new(request));
        let tagged = serde_json::to_string(&job)?;
        prop_assert_eq!(serde_json::from_str::<Request>(&tagged)?, job);
    }

    #[test]
    fn guidance_keeps_its_last_bit(guidance in finite()) {
        let sampling = Sampling { sampler: SamplerKind::Euler, steps: 1, guidance, ..Sampling::default() };
        let found: Sampling = serde_json::from_str(&serde_json::to_string(&sampling)?)?;
        prop_assert_eq!(found.guidance.to_bits(), guidance.to_bits());
    }

    #[test]
    fn any_request_is_accepted_or_refused_as_wrong_input(
        request in request(), guidance in any::<f32>(), is_mended: bool,
    ) {
        let mut request = request;
        request.sampling.guidance = guidance;
        if is_mended {
            // Random numbers are hardly ever right, so half of the requests get likely ones.
            request.size = nearest_size(request.size);
            request.sampling.steps %= 200;
            request.count %= 80;
            request.sampling.guidance %= 40.0;
            let Sampling { sampler, steps, guidance, .. } = request.sampling;
            request.sampling = Sampling { sampler, steps, guidance, ..Sampling::default() };
        }
        match validate(&request) {
            Ok(()) => {
                prop_assert!(request.sampling.guidance.is_finite());
                prop_assert!((1..=150).contains(&request.sampling.steps) && request.count > 0);
                prop_assert_eq!(request.size, nearest_size(request.size));
                prop_assert_eq!(&read(&serde_json::to_string(&request)?)?, &request);
            }
            Err(error) => prop_assert!(error.is_wrong_input() && !error.hint().is_empty()),
        }
    }

    /// What is read from damaged JSON, if it is read at all, is a request like any other.
    #[test]
    fn damaged_json_is_refused_or_read_as_some_request(
        request in request(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut bytes = serde_json::to_vec(&request)?;
        for (at, byte, kind) in damage {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at),
            }
        }
        if let Ok(found) = serde_json::from_slice::<PictureRequest>(&bytes)
            && has_finite_numbers(&found.sampling)
        {
            prop_assert_eq!(&read(&serde_json::to_string(&found)?)?, &found);
        }
    }

    #[test]
    fn any_value_in_any_place_is_refused_or_read_without_a_panic(
        place in prop::sample::select(vec![
            "/model", "/model/name", "/prompt", "/prompt/text", "/size", "/size/width_px", "/sampling",
            "/sampling/sampler", "/sampling/steps", "/sampling/guidance", "/seed", "/count",
        ]),
        value in prop::sample::select(vec![
            Value::Null, json!(true), json!(-1), json!(1.5), json!(u64::MAX), json!(1e300), json!(-0.0),
            json!(""), json!("NaN"), json!("euler"), json!([]), json!([1, 2]), json!({}),
        ]),
    ) {
        let json = with(place, value).to_string();
        if let Ok(found) = read(&json)
            && has_finite_numbers(&found.sampling)
        {
            prop_assert_eq!(&read(&serde_json::to_string(&found)?)?, &found);
        }
    }
}

#[test]
fn settings_that_were_left_out_have_their_defaults() -> anyhow::Result<()> {
    let request = read(&plain().to_string())?;
    assert_eq!(request.model.sha256, "");
    assert_eq!(request.prompt.negative, "");
    assert!(request.prompt.styles.is_empty());
    assert_eq!(request.noise, NoiseSource::Seed);
    assert_eq!(request.device, DeviceChoice::Auto);
    assert_eq!(request.preview, PreviewMode::EveryStep);
    // From before there was a choice.
    assert_eq!(request.precision, Precision::Exact);
    assert!(!request.keep_latents);
    Ok(())
}

#[test]
fn settings_of_a_later_version_are_passed_over() -> anyhow::Result<()> {
    let mut request = plain();
    request["upscale"] = json!({"factor": 4});
    request["sampling"]["churn"] = json!(0.5);
    assert_eq!(read(&request.to_string())?, read(&plain().to_string())?);
    Ok(())
}

#[test]
fn the_largest_seed_survives() -> anyhow::Result<()> {
    let request = read(&with("/seed", json!(u64::MAX)).to_string())?;
    assert_eq!(request.seed, u64::MAX);
    Ok(())
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let wrong = [
        ("/seed", json!(-1)),
        ("/seed", json!(1.5)),
        ("/count", json!(4_294_967_296_u64)),
        ("/size/width_px", json!(-256)),
        ("/size/height_px", json!(1e9)),
        ("/sampling/steps", json!("20")),
        ("/sampling/guidance", Value::Null),
        ("/sampling/guidance", json!("NaN")),
        ("/sampling/sampler", json!("euler_b")),
    ];
    for (place, value) in wrong {
        let json = with(place, value.clone()).to_string();
        assert!(read(&json).is_err(), "{value} at {place}");
    }
    let plain = plain().to_string();
    for literal in ["NaN", "Infinity", "-Infinity", "1e999", "0x10", "1.", "--1"] {
        let json = plain.replace("3.5", literal);
        assert_ne!(json, plain);
        assert!(read(&json).is_err(), "guidance {literal}");
    }
}

/// A number that JSON can hold and f32 cannot becomes infinite, which the check must notice.
#[test]
fn guidance_that_is_not_a_number_is_refused_before_anything_runs() -> anyhow::Result<()> {
    let mut request = read(&plain().to_string())?;
    assert_eq!(validate(&request), Ok(()));
    for guidance in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.1, 30.1] {
        request.sampling.guidance = guidance;
        let error = validate(&request).err().map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.starts_with("The guidance must")), "{guidance}");
    }
    let request = read(&with("/sampling/guidance", json!(1e300)).to_string())?;
    assert!(validate(&request).is_err());
    Ok(())
}

/// JSON has no number for these; a recipe that holds one must not be taken for a good one.
#[test]
fn guidance_that_is_not_a_number_cannot_be_read_back() -> anyhow::Result<()> {
    for guidance in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut request = read(&plain().to_string())?;
        request.sampling.guidance = guidance;
        assert!(read(&serde_json::to_string(&request)?).is_err());
    }
    Ok(())
}

#[test]
fn json_that_is_nested_without_end_is_refused() {
    for open in ["[", "{\"model\":", "{\"prompt\":{\"styles\":["] {
        assert!(read(&open.repeat(100_000)).is_err());
    }
}

#[test]
fn a_setting_given_twice_is_refused() {
    let json = plain().to_string().replacen('{', "{\"seed\":1,", 1);
    assert!(read(&json).is_err());
}
