//! The picture pipeline as a whole, on a tiny model of random weights.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use atelier_engine::EngineError;
use atelier_engine::nn::Compute;
use atelier_engine::pipelines::picture::PicturePipeline;
use atelier_engine::protocol::{
    DeviceChoice, Extras, JobContext, ModelRef, NoiseSource, Notice, Picture, PictureOutput,
    PictureRequest, Precision, PreviewMode, Prompt, SamplerKind, Sampling, Size,
};
use atelier_tests::tiny_model::{TinyModel, safetensors};
use candle_core::{Device, Tensor};
use serde_json::json;

fn load(model: &TinyModel, compute: Compute) -> Result<PicturePipeline, EngineError> {
    let TinyModel { weights, config_json, lexicon_json } = model;
    PicturePipeline::load_for(weights, config_json, lexicon_json, compute, &JobContext::detached())
}

fn pipeline() -> Result<PicturePipeline> {
    Ok(load(&TinyModel::make(|_, _| ())?, Compute::on(&Device::Cpu))?)
}

fn request() -> PictureRequest {
    PictureRequest {
        model: ModelRef::named("tiny"),
        prompt: Prompt { text: "a red fox in the snow".into(), ..Prompt::default() },
        size: Size { width_px: 192, height_px: 256 },
        sampling: Sampling {
            sampler: SamplerKind::Euler,
            steps: 3,
            guidance: 2.0,
            ..Sampling::default()
        },
        seed: 7,
        count: 1,
        noise: NoiseSource::Seed,
        preview: PreviewMode::EveryStep,
        device: DeviceChoice::Cpu,
        precision: Precision::Exact,
        keep_latents: true,
        extras: Extras::default(),
    }
}

fn paint(request: &PictureRequest) -> Result<PictureOutput> {
    Ok(pipeline()?.run(request, &JobContext::detached(), &mut Ok)?)
}

/// Writes the tensor `noise` of this shape, made by `value`, to a file in `folder`.
fn noise_file(
    folder: &tempfile::TempDir,
    shape: &[usize],
    value: impl Fn(usize) -> f32,
) -> Result<NoiseSource> {
    let len = shape.iter().product::<usize>();
    let header = json!({
        "noise": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * len]},
    });
    let data: Vec<u8> = (0..len).flat_map(|index| value(index).to_le_bytes()).collect();
    let path = folder.path().join("noise.safetensors");
    std::fs::write(&path, safetensors(header.as_object().context("no object")?, &data)?)?;
    Ok(NoiseSource::File(path))
}

#[test]
fn a_picture_of_a_batch_has_the_bits_of_the_same_picture_alone() -> Result<()> {
    let batch = paint(&PictureRequest { count: 3, ..request() })?;
    let latents = batch.latents.context("no latents")?;
    assert_eq!(latents.shape, [3, 48, 16, 12]);
    assert_eq!(batch.pictures.len(), 3);
    for (index, picture) in batch.pictures.iter().enumerate() {
        assert_eq!((picture.recipe.count, picture.recipe.seed), (1, 7 + index as u64));
        // The recipe alone makes it again.
        let again = paint(&picture.recipe)?;
        assert!(again.pictures[0].pixels == picture.pixels, "picture {index}");
        let values = &again.latents.context("no latents")?.values;
        assert_eq!(values[..], latents.values[index * values.len()..][..values.len()]);
    }
    let first = &batch.pictures[0].pixels;
    assert_eq!((first.width_px, first.height_px), (192, 256));
    assert!(batch.pictures[1].pixels != *first, "seeds change the picture");
    Ok(())
}

#[test]
fn every_part_of_a_request_has_its_effect() -> Result<()> {
    // Latents show what 8-bit pixels of a model of random weights would round away.
    let made = |request: &PictureRequest| -> Result<Vec<f32>> {
        Ok(paint(request)?.latents.context("no latents")?.values)
    };
    let plain = made(&request())?;
    assert!(plain == made(&request())?, "the same request gives the same bits");
    let mut quiet = request();
    quiet.preview = PreviewMode::Off;
    assert!(plain == made(&quiet)?, "previews change nothing");
    type Change = (&'static str, fn(&mut PictureRequest));
    let changes: [Change; 7] = [
        ("prompt", |r| r.prompt.text = "fox".into()),
        ("negative prompt", |r| r.prompt.negative = "snow".into()),
        ("style", |r| r.prompt.styles = vec!["snow".into()]),
        ("seed", |r| r.seed = 8),
        ("steps", |r| r.sampling.steps = 4),
        ("guidance", |r| r.sampling.guidance = 1.0),
        ("sampler", |r| r.sampling.sampler = SamplerKind::UniPc),
    ];
    for (name, change) in changes {
        let mut other = request();
        change(&mut other);
        assert!(plain != made(&other)?, "the {name} has no effect");
    }
    Ok(())
}

#[test]
fn the_kernels_and_candle_paint_the_same_latents() -> Result<()> {
    let model = TinyModel::make(|_, _| ())?;
    for sampler in SamplerKind::FLOW {
        let mut request = request();
        request.sampling.sampler = sampler;
        let mut both = [Compute::on(&Device::Cpu), Compute::Candle(Device::Cpu, Precision::Exact)]
            .into_iter()
            .map(|compute| -> Result<Vec<f32>> {
                let mut pipeline = load(&model, compute)?;
                let output = pipeline.run(&request, &JobContext::detached(), &mut Ok)?;
                Ok(output.latents.context("no latents")?.values)
            });
        let (Some(kernels), Some(candle)) = (both.next(), both.next()) else { bail!("no pair") };
        let (kernels, candle) = (kernels?, candle?);
        // Random weights make latents of some tens; their last bits are worth that much more.
        let largest = kernels.iter().fold(10.0, |most: f32, value| most.max(value.abs()));
        for (a, b) in kernels.iter().zip(candle) {
            ensure!((a - b).abs() < 1e-5 * largest, "{}: {a} and {b}", sampler.id());
        }
    }
    Ok(())
}

#[test]
fn unknown_and_clipped_words_are_told() -> Result<()> {
    let mut request = request();
    request.prompt.text = "a Zebra fox, 斑马 red red red zebra red".into();
    request.prompt.negative = "okapi".into();
    let words = ["Zebra", "斑", "马", "okapi"].map(str::to_owned).to_vec();
    let notices = paint(&request)?.notices;
    let clipped = Notice::PromptClipped { kept: 4, dropped: 1 };
    assert_eq!(notices, [Notice::UnknownWords { words }, clipped]);
    Ok(())
}

#[test]
fn each_picture_is_handed_over_before_the_next_is_begun() -> Result<()> {
    let mut saved = Vec::new();
    let mut save = |mut picture: Picture| {
        saved.push(picture.recipe.seed);
        picture.result_id = Some(saved.len() as i64);
        if saved.len() == 2 {
            return Err(EngineError::DiskFull { path: "x".into() });
        }
        Ok(picture)
    };
    let request = PictureRequest { count: 4, ..request() };
    let result = pipeline()?.run(&request, &JobContext::detached(), &mut save);
    assert_eq!(result.err(), Some(EngineError::DiskFull { path: "x".into() }));
    assert_eq!(saved, [7, 8], "nothing is painted after a picture that cannot be saved");
    Ok(())
}

#[test]
fn noise_from_a_file_is_used_and_checked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let wave = |index: usize| (index as f32 * 0.37).sin();
    let mut request = request();
    request.noise = noise_file(&folder, &[2, 48, 16, 12], wave)?;
    let one = paint(&request)?.pictures.remove(0).pixels;
    request.seed = 99;
    assert!(one == paint(&request)?.pictures[0].pixels, "the seed has no part in it");
    request.count = 2;
    let two = paint(&request)?;
    assert!(two.pictures[0].pixels == one && two.pictures[1].pixels != one);

    request.count = 3;
    let said = |request: &PictureRequest| match paint(request) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    };
    let sentence =
        "The noise must have the shape [3, 48, 16, 12] for this request, not [2, 48, 16, 12]";
    assert_eq!(said(&request), sentence);
    request.count = 1;
    request.noise = noise_file(&folder, &[1, 48, 16, 12], |_| f32::NAN)?;
    assert_eq!(said(&request), "The noise holds values that are not numbers");
    let path = folder.path().join("cut.safetensors");
    std::fs::write(&path, [72, 0, 0, 0, 0, 0, 0, 0, b'{'])?;
    request.noise = NoiseSource::File(path);
    assert!(said(&request).starts_with("The file ends before its header does"));
    request.noise = NoiseSource::File(folder.path().join("absent"));
    assert!(said(&request).starts_with("Could not read the noise"));
    Ok(())
}

#[test]
fn values_that_are_not_numbers_end_the_job_with_an_error() -> Result<()> {
    for (broken, stage) in [("dit.final.bias", "sampler at step 1"), ("dec.up4.bias", "decoder")] {
        let model = TinyModel::make(|name, values| {
            if name == broken {
                values.fill(f32::NAN);
            }
        })?;
        let mut pipeline = load(&model, Compute::on(&Device::Cpu))?;
        let result = pipeline.run(&request(), &JobContext::detached(), &mut Ok);
        assert_eq!(result.err(), Some(EngineError::NotANumber { stage: stage.into() }), "{broken}");
    }
    Ok(())
}

#[test]
fn files_that_do_not_fit_together_are_refused_with_a_sentence() -> Result<()> {
    let said = |change: fn(&mut TinyModel)| -> Result<String> {
        let mut model = TinyModel::make(|_, _| ())?;
        change(&mut model);
        match load(&model, Compute::on(&Device::Cpu)) {
            Ok(_) => bail!("accepted"),
            Err(error) => Ok(error.to_string()),
        }
    };
    let cut = said(|model| model.weights.truncate(model.weights.len() / 2))?;
    assert!(cut.starts_with("The file is cut short"), "{cut}");
    let wide = said(|m| m.config_json = m.config_json.replace("\"mlp\":32", "\"mlp\":48"))?;
    assert!(wide.contains("w12.weight” in shape [64, 64], not [96, 64]"), "{wide}");
    let huge = said(|m| m.config_json = m.config_json.replace("\"mlp\":32", "\"mlp\":4000000000"))?;
    assert!(huge.contains("a size that no house model has"), "{huge}");
    let other = said(|m| m.config_json = m.config_json.replace("area4", "area5"))?;
    assert!(other.contains("a kind of model that this program does not know"), "{other}");
    let ids = said(|m| m.lexicon_json = m.lexicon_json.replace("[2]", "[8]"))?;
    assert!(ids.contains("names meanings that the model does not have"), "{ids}");
    Ok(())
}

#[test]
fn encoding_undoes_the_thumbnail_and_decoding_enlarges_it() -> Result<()> {
    let pipeline = pipeline()?;
    let model = pipeline.model();
    let values: Vec<f32> = (0..48 * 6).map(|index| (index as f32 * 0.7).sin()).collect();
    let latents = Tensor::from_vec(values, (1, 48, 2, 3), &Device::Cpu)?;
    let small = model.thumbnail(&latents)?;
    assert_eq!(small.dims(), [1, 3, 8, 12]);
    let large = small.upsample_nearest2d(32, 48)?;
    let back = model.encode(&large)?;
    let error = (back - &latents)?.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>()?;
    assert!(error < 1e-5, "{error}");
    assert_eq!(model.decode(&latents, &|| Ok(()))?.dims(), [1, 3, 32, 48]);
    Ok(())
}

#[test]
fn decoding_stops_where_it_is_told_to() -> Result<()> {
    let pipeline = pipeline()?;
    let latents = Tensor::zeros((1, 48, 16, 16), candle_core::DType::F32, &Device::Cpu)?;
    let asked = std::cell::Cell::new(0);
    let result = pipeline.model().decode(&latents, &|| {
        asked.set(asked.get() + 1);
        if asked.get() == 2 { Err(EngineError::Cancelled) } else { Ok(()) }
    });
    assert_eq!(result.err(), Some(EngineError::Cancelled));
    assert_eq!(asked.get(), 2);
    Ok(())
}

#[test]
fn pictures_can_be_shared_without_a_copy() -> Result<()> {
    let mut output = paint(&request())?;
    let pixels = output.pictures.remove(0).pixels;
    assert_eq!(Arc::strong_count(&pixels), 1);
    assert!(pixels.rgba.iter().skip(3).step_by(4).all(|alpha| *alpha == 255));
    Ok(())
}
