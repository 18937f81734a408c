//! Cutting out what is pointed at: through the engine with a net of chance weights, found in the folders of
//! other programs, asked again, refused, cancelled.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use atelier_engine::EngineError;
use atelier_engine::library::{Models, Shelf};
use atelier_engine::pipelines::object::ObjectPipeline;
use atelier_engine::protocol::{
    CutOutOutput, CutOutRequest, DeviceChoice, Event, JobContext, ObjectBox, ObjectPoint,
    ObjectPrompt, Output, Pixels, Precision, Request,
};
use atelier_engine::service::Engine;
use atelier_engine::store::png;
use atelier_engine::weights::inspect::inspect;
use atelier_engine::weights::open::Checkpoint;
use atelier_tests::studio::{fail, finish, studio, wait};
use atelier_tests::tiny_sam;

const SIZE: [u32; 2] = [240, 180];

fn picture() -> Result<Pixels> {
    let [width, height] = SIZE;
    let colour = |at: u32| {
        let (x, y) = (at % width, at / width);
        [(x * 255 / width) as u8, (y * 255 / height) as u8, 90, if x < 20 { 100 } else { 255 }]
    };
    Pixels::new(width, height, (0..width * height).flat_map(colour).collect()).context("a picture")
}

/// Writes the net where ComfyUI keeps such, and a picture.
fn prepare(folder: &Path) -> Result<(Models, PathBuf)> {
    let comfy = folder.join("comfy");
    tiny_sam::write_as(&comfy.join("models/sams/mobile_sam.safetensors"), "tiny")?;
    let path = folder.join("picture.png");
    std::fs::write(&path, png::encode_plain(&picture()?)?)?;
    Ok((Models::in_places([]).with_folders([comfy]), path))
}

fn click(x: f32, y: f32) -> ObjectPrompt {
    let points = vec![ObjectPoint { x, y, is_inside: true }];
    ObjectPrompt { points, ..ObjectPrompt::default() }
}

fn around(x: f32, y: f32, width: f32, height: f32) -> ObjectPrompt {
    let around = Some(ObjectBox { x, y, width, height });
    ObjectPrompt { around, ..ObjectPrompt::default() }
}

fn request(picture: &Path, prompt: ObjectPrompt) -> Request {
    Request::CutOut(Box::new(CutOutRequest::of_object(picture, prompt)))
}

fn cut_out(engine: &Engine, picture: &Path, prompt: ObjectPrompt) -> Result<CutOutOutput> {
    match finish(engine, request(picture, prompt))? {
        Output::CutOut(output) => Ok(*output),
        other => bail!("another output: {other:?}"),
    }
}

#[test]
fn a_click_gives_a_mask_and_a_transparent_picture_with_its_colours() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (models, path) = prepare(folder.path())?;
    let engine = studio(&models, None)?;
    let made = cut_out(&engine, &path, click(120.0, 90.0))?;
    let object = made.object.context("nothing was found")?;
    let before = picture()?;
    ensure!(object.mask.len() == before.rgba.len() / 4, "{} bytes", object.mask.len());
    assert_eq!((object.qualities.len(), object.model.as_str()), (3, "mobile_sam"));
    let best = (0..3u8).max_by(|a, b| {
        object.qualities[usize::from(*a)].total_cmp(&object.qualities[usize::from(*b)])
    });
    assert_eq!(object.chosen, best);
    for ((old, new), share) in
        before.rgba.chunks(4).zip(made.pixels.rgba.chunks(4)).zip(object.mask.iter())
    {
        assert_eq!(old[..3], new[..3]);
        let alpha = (u32::from(old[3]) * u32::from(*share) + 127) / 255;
        assert_eq!(u32::from(new[3]), alpha);
    }
    // Each of the three can be had, and they are not the same.
    let mut masks = Vec::new();
    for mask in 0..3 {
        let prompt = ObjectPrompt { mask: Some(mask), ..click(120.0, 90.0) };
        let object = cut_out(&engine, &path, prompt)?.object.context("nothing was found")?;
        assert_eq!(object.chosen, Some(mask));
        masks.push(object.mask);
    }
    assert_eq!(
        Some(usize::from(best.unwrap_or(9))),
        masks.iter().position(|one| *one == object.mask)
    );
    ensure!(masks[0] != masks[1] && masks[1] != masks[2], "all masks are the same");
    // More prompts leave no doubt, so the mask for those is taken.
    let boxed = cut_out(&engine, &path, around(40.0, 30.0, 120.0, 90.0))?;
    assert_eq!(boxed.object.and_then(|object| object.chosen), None);
    Ok(())
}

#[test]
fn a_picture_that_was_seen_is_not_opened_again_for_another_point() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = Checkpoint::open(&tiny_sam::write(folder.path(), "tiny")?)?;
    let job = JobContext::detached();
    let mut net = ObjectPipeline::load(&file, (DeviceChoice::Cpu, Precision::Exact), &job)?;
    let seen = || picture().map_err(|_| EngineError::Stopped);
    let first = net.find("a", seen, &click(9.0, 9.0), &job)?;
    let gone = || Err(EngineError::Stopped);
    let again = net.find("a", gone, &click(9.0, 9.0), &job)?;
    assert!(first.mask == again.mask);
    let other = net.find("a", gone, &click(200.0, 150.0), &job)?;
    assert!(first.qualities != other.qualities);
    // A prompt that is refused keeps what is known.
    let error = net.find("a", gone, &click(9000.0, 9.0), &job).err();
    assert!(matches!(error, Some(EngineError::InvalidSetting { .. })), "{error:?}");
    assert!(net.knows("a") && !net.knows("b"));
    let error = net.find("b", gone, &click(9.0, 9.0), &job).err();
    assert_eq!(error, Some(EngineError::Stopped));
    // Of many pictures the last few are kept.
    for key in ["b", "c", "d", "e"] {
        net.find(key, seen, &click(9.0, 9.0), &job)?;
    }
    assert!(!net.knows("a") && net.knows("b") && net.knows("e"));
    Ok(())
}

#[test]
fn prompts_pictures_and_files_that_cannot_be_used_are_refused_with_their_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (models, path) = prepare(folder.path())?;
    let engine = studio(&models, None)?;
    let refused = |prompt: ObjectPrompt| -> Result<String> {
        let error = fail(&engine, request(&path, prompt))?;
        ensure!(error.is_wrong_input(), "{error}");
        Ok(error.to_string())
    };
    assert_eq!(
        refused(click(240.5, 3.0))?,
        "The point 240.5, 3 lies outside the picture of 240 × 180 pixels"
    );
    assert!(refused(click(-1.0, 3.0))?.contains("outside"));
    assert_eq!(
        refused(around(10.0, 10.0, 0.0, 20.0))?,
        "The box is empty: give it a width and a height"
    );
    assert!(refused(around(300.0, 10.0, 20.0, 20.0))?.contains("lies outside the picture"));
    assert!(refused(click(f32::NAN, 3.0))?.contains("no numbers"));
    let outside = ObjectPoint { x: 3.0, y: 3.0, is_inside: false };
    let only_outside = ObjectPrompt { points: vec![outside], ..ObjectPrompt::default() };
    assert!(refused(only_outside)?.contains("points at nothing"));
    assert!(refused(ObjectPrompt { mask: Some(3), ..click(3.0, 3.0) })?.contains("mask"));
    let many = ObjectPrompt { points: vec![outside; 300], ..click(3.0, 3.0) };
    assert!(refused(many)?.contains("300 points"));
    // A box that reaches over the edge is cut off there.
    cut_out(&engine, &path, around(-40.0, -9.0, 500.0, 100.0))?;
    let named = |name: &str| ObjectPrompt { model: Some(name.to_owned()), ..click(3.0, 3.0) };
    let error = fail(&engine, request(&path, named("no_such_sam")))?;
    assert_eq!(error, EngineError::ModelNotFound { name: "no_such_sam".to_owned() });
    let none = studio(&Models::in_places([]), None)?;
    let error = fail(&none, request(&path, click(3.0, 3.0)))?;
    assert!(error.to_string().contains("put mobile_sam.pt into the folder models/sams"), "{error}");
    let gone = folder.path().join("gone.png");
    assert!(matches!(fail(&engine, request(&gone, click(3.0, 3.0)))?, EngineError::Io { .. }));
    // A net that is cut short, one of another kind, and one that lacks a part.
    let whole = std::fs::read(folder.path().join("comfy/models/sams/mobile_sam.safetensors"))?;
    let cut = folder.path().join("cut.safetensors");
    std::fs::write(&cut, &whole[..whole.len() / 2])?;
    let error = fail(&engine, request(&path, named(&cut.to_string_lossy())))?;
    assert!(matches!(error, EngineError::Damaged { .. }), "{error}");
    let text = String::from_utf8_lossy(&whole[8..]).into_owned();
    let end = text.find("}}").context("no header")? + 2;
    let mut lacking = whole[..8].to_vec();
    let header = text[..end].replace("image_encoder.neck.2.weight", "image_encoder.neck.9.weight");
    lacking.extend(header.as_bytes());
    lacking.extend(&whole[8 + end..]);
    let path_lacking = folder.path().join("lacking.safetensors");
    std::fs::write(&path_lacking, lacking)?;
    let error = fail(&engine, request(&path, named(&path_lacking.to_string_lossy())))?;
    assert!(
        error.to_string().contains("lacks the tensor “image_encoder.neck.2.weight”"),
        "{error}"
    );
    let upscaler = atelier_tests::source::root().join("tests/golden/upscaler/compact-x2.pth");
    let error = fail(&engine, request(&path, named(&upscaler.to_string_lossy())))?;
    assert!(error.to_string().contains("must be MobileSAM or SAM"), "{error}");
    Ok(())
}

#[test]
fn a_cancel_while_a_picture_is_seen_ends_the_job_with_nothing_made() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (models, path) = prepare(folder.path())?;
    let engine = studio(&models, None)?;
    let job = engine.submit(request(&path, click(9.0, 9.0)))?;
    job.cancel();
    let end = wait(&engine, &job)?.pop();
    ensure!(matches!(end, Some(Event::Failed(_, EngineError::Cancelled))), "{end:?}");
    cut_out(&engine, &path, click(9.0, 9.0))?;
    Ok(())
}

#[test]
fn nets_are_found_small_ones_first_and_told_apart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (models, _) = prepare(folder.path())?;
    tiny_sam::write_as(
        &folder.path().join("comfy/models/sams/sam_vit_h_4b8939.safetensors"),
        "mobile",
    )?;
    let names: Vec<String> =
        models.shelf(Shelf::Segmenters).into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["mobile_sam", "sam_vit_h_4b8939"]);
    let first = models.locate_sam(None)?;
    assert_eq!(first.name, "mobile_sam");
    assert_eq!(models.locate_sam(Some("SAM_VIT_H_4b8939"))?.name, "SAM_VIT_H_4b8939");
    let about = inspect(&Checkpoint::open(&first.path)?);
    assert_eq!(
        (about.family.as_str(), about.variant.as_deref()),
        ("Segment Anything", Some("MobileSAM"))
    );
    assert_eq!(about.details.get("image encoder").map(String::as_str), Some("TinyViT"));
    assert!(about.missing.is_empty() && about.strange.is_empty(), "{about:?}");
    let plain = tiny_sam::write(folder.path(), "plain")?;
    let about = inspect(&Checkpoint::open(&plain)?);
    assert_eq!(about.variant.as_deref(), Some("SAM"));
    assert_eq!(about.details.get("image encoder").map(String::as_str), Some("ViT of width 32"));
    Ok(())
}
