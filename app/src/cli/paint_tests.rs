//! `atelier paint` with a runner that paints nothing but its seed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use atelier_engine::protocol::{
    JobContext, Latents, Live, Notice, Partial, PictureOutput, Pixels, PredictionChoice,
    ScheduleKind, Stage,
};
use atelier_engine::service::Runner;
use clap::Parser;
use serde_json::Value;

use super::super::bare_checkpoint;
use super::super::console::tests::{Tape, taped};
use super::super::exit_code;
use super::*;

/// Does what the prompt's first word says.
#[derive(Default)]
struct Fake {
    interrupt: Interrupt,
}

impl Fake {
    fn picture(request: &PictureRequest, number: u32) -> Picture {
        let seed = request.seed + u64::from(number);
        let recipe = PictureRequest { seed, count: 1, ..request.clone() };
        let pixels = Pixels::new(2, 1, seed.to_le_bytes().to_vec()).unwrap();
        Picture { pixels: Arc::new(pixels), recipe, file: None, result_id: None }
    }
}

impl Runner for Fake {
    fn run(&mut self, request: &Request, job: &JobContext) -> Result<Output, EngineError> {
        let Request::Picture(request) = request else { panic!("a picture was asked for") };
        let word = request.prompt.text.split_whitespace().next().unwrap_or_default();
        let mut pictures = Vec::new();
        for number in 0..request.count {
            job.report(Live {
                stage: Stage::Sampling,
                steps: Some([number, 2]),
                ..Live::default()
            })?;
            let picture = Self::picture(request, number);
            if word != "unannounced" {
                job.partial(Partial::Picture(Box::new(picture.clone())));
            }
            pictures.push(picture);
            match word {
                "panic" => panic!("as asked"),
                "interrupt" => loop {
                    self.interrupt.press();
                    job.check()?;
                    std::thread::sleep(Duration::from_millis(1));
                },
                _ => (),
            }
        }
        let notices = match word {
            "xylofox" => vec![Notice::UnknownWords { words: vec!["xylofox".to_owned()] }],
            _ => Vec::new(),
        };
        let shape = [request.count as usize, 1, 1, 1];
        let latents = Latents { shape, values: vec![0.25; request.count as usize] };
        let latents = request.keep_latents.then_some(latents);
        Ok(Output::Picture(PictureOutput { pictures, notices, latents }))
    }

    fn forget_models(&mut self) {}
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    paint: PaintArgs,
}

fn parse(words: &[&str]) -> Result<PaintArgs, clap::Error> {
    Line::try_parse_from(std::iter::once("paint").chain(words.iter().copied()))
        .map(|line| line.paint)
}

/// Paints with the words as arguments; returns the result and what stood on the two streams.
fn paint(words: &[&str]) -> (Result<(), EngineError>, Tape, Tape) {
    let arguments = parse(words).unwrap();
    let (mut console, out, err) = taped(arguments.voice(), false);
    let interrupt = Interrupt::default();
    let fake = Fake { interrupt: interrupt.clone() };
    let waiting = std::thread::current();
    let engine = Engine::spawn(fake, Arc::new(move || waiting.unpark())).unwrap();
    let result = Order::new(&arguments)
        .and_then(|order| order.carry_out(&engine, "CC0", &mut console, &interrupt));
    (result, out, err)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Returns a folder and the path of a file in it as text.
fn place(name: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name).to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn a_picture_is_written_with_its_recipe_and_its_path_is_printed() {
    let (folder, path) = place("fox.png");
    let (result, out, err) = paint(&["a fox", "-o", &path, "--seed", "7", "--sampler", "Heun"]);
    assert_eq!(result, Ok(()));
    assert_eq!(out.text(), format!("{path}\n"));
    assert!(err.text().contains("Seed 7"), "{}", err.text());
    assert_eq!(names(folder.path()), ["fox.png"]);
    let found = png::read_recipe_file(Path::new(&path)).unwrap();
    let recipe = found.request.unwrap();
    assert_eq!((recipe.seed, recipe.prompt.text.as_str()), (7, "a fox"));
    assert_eq!(recipe.sampling.sampler, SamplerKind::Heun);
    assert_eq!(found.licence.as_deref(), Some("CC0"));
}

#[test]
fn a_batch_is_numbered_and_has_consecutive_seeds_whether_announced_or_not() {
    for prompt in ["announced", "unannounced"] {
        let (folder, path) = place("fox.png");
        let (result, out, _) = paint(&[prompt, "-o", &path, "--seed", "40", "--batch", "3"]);
        assert_eq!(result, Ok(()));
        assert_eq!(names(folder.path()), ["fox-1.png", "fox-2.png", "fox-3.png"]);
        assert_eq!(out.text().lines().count(), 3);
        let third = png::read_recipe_file(&folder.path().join("fox-3.png")).unwrap();
        assert_eq!(third.request.unwrap().seed, 42);
    }
}

#[test]
fn json_prints_one_object_per_event_and_no_path_besides() {
    let (_folder, path) = place("fox.png");
    let (result, out, err) = paint(&["xylofox", "-o", &path, "--json", "--seed", "3"]);
    assert_eq!(result, Ok(()));
    assert_eq!(err.text(), "");
    let text = out.text();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = |name: &str| events.iter().find(|event| event["event"] == name).unwrap();
    assert_eq!(named("started")["request"]["seed"], 3);
    assert_eq!(named("picture")["file"], path);
    assert_eq!(named("notice")["words"][0], "xylofox");
    assert_eq!(events.last().unwrap()["event"], "finished");
}

#[test]
fn unknown_words_are_told_unless_it_is_to_be_quiet() {
    let (_folder, path) = place("fox.png");
    let (_, _, err) = paint(&["xylofox", "-o", &path]);
    assert!(err.text().contains("had no influence: xylofox"), "{}", err.text());
    let (result, out, err) = paint(&["xylofox", "-o", &path, "--quiet"]);
    assert_eq!((result, err.text()), (Ok(()), String::new()));
    assert_eq!(out.text(), format!("{path}\n"));
}

#[test]
fn ctrl_c_cancels_and_leaves_complete_pictures_only() {
    let (folder, path) = place("fox.png");
    let (result, _, _) = paint(&["interrupt", "-o", &path, "--batch", "2"]);
    assert_eq!(result, Err(EngineError::Cancelled));
    for name in names(folder.path()) {
        assert!(png::read_recipe_file(&folder.path().join(&name)).is_ok(), "{name} is not whole");
    }
}

#[test]
fn a_panic_of_the_engine_is_a_failure_with_a_sentence() {
    let (_folder, path) = place("fox.png");
    let error = paint(&["panic", "-o", &path]).0.unwrap_err();
    assert!(matches!(error, EngineError::Panicked { .. }), "{error}");
    assert_eq!(exit_code(&error), 1);
}

#[test]
fn a_picture_that_cannot_be_written_cancels_the_rest_of_the_batch() {
    let (folder, path) = place("fox.png");
    std::fs::create_dir(folder.path().join("fox-2.png")).unwrap();
    let error = paint(&["a fox", "-o", &path, "--batch", "3"]).0.unwrap_err();
    assert!(matches!(error, EngineError::Io { .. }), "{error}");
    assert_eq!(exit_code(&error), 2);
    assert_eq!(names(folder.path()), ["fox-1.png", "fox-2.png"]);
}

#[test]
fn an_empty_prompt_and_a_missing_folder_are_wrong_input() {
    let (_folder, path) = place("no/such/fox.png");
    let error = paint(&["a fox", "-o", &path]).0.unwrap_err();
    assert_eq!(exit_code(&error), 2);
    let (_folder, path) = place("fox.png");
    let error = paint(&["", "-o", &path]).0.unwrap_err();
    assert_eq!((exit_code(&error), &error), (2, &EngineError::EmptyPrompt));
}

#[test]
fn latents_are_saved_when_asked_for() {
    let (folder, path) = place("fox.png");
    let latents = folder.path().join("fox.safetensors");
    let (result, ..) =
        paint(&["a fox", "-o", &path, "--save-latents", latents.to_str().unwrap(), "--batch", "2"]);
    assert_eq!(result, Ok(()));
    let bytes = std::fs::read(latents).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("latents").unwrap().shape(), [2, 1, 1, 1]);
}

#[test]
fn a_picture_goes_to_standard_output_as_it_is() {
    let (result, out, err) = paint(&["a fox", "-o", "-"]);
    assert_eq!(result, Ok(()));
    assert!(out.text().contains("PNG"), "{}", err.text());
    let error = paint(&["a fox", "-o", "-", "--json"]).0.unwrap_err();
    assert_eq!(exit_code(&error), 2);
}

#[test]
fn arguments_that_are_no_numbers_names_or_devices_are_refused() {
    for words in [
        &["fox", "--width", "wide"][..],
        &["fox", "--steps", "-1"],
        &["fox", "--seed", "99999999999999999999"],
        &["fox", "--sampler", "euler_b"],
        &["fox", "--device", "tpu"],
        &["fox", "--device", "cuda:x"],
        &["fox", "--device", "cpu:0"],
        &["fox", "--json", "--quiet"],
        &["two", "prompts"],
        &[],
    ] {
        assert_eq!(parse(words).map(|_| ()).unwrap_err().exit_code(), 2, "{words:?}");
    }
    assert_eq!(parse(&["fox", "--device", "cuda"]).unwrap().device, DeviceChoice::Cuda(0));
    assert_eq!(parse(&["fox", "--device", "cuda:2"]).unwrap().device, DeviceChoice::Cuda(2));
}

#[test]
fn seeds_that_a_batch_would_overflow_are_wrong_input() {
    let arguments = parse(&["fox", "--seed", &u64::MAX.to_string(), "--batch", "2"]).unwrap();
    assert_eq!(exit_code(&arguments.request().unwrap_err()), 2);
}

#[test]
fn a_seed_that_was_not_given_is_chosen_and_printed() {
    let (_folder, path) = place("fox.png");
    let (result, _, err) = paint(&["a fox", "-o", &path]);
    assert_eq!(result, Ok(()));
    let seed = png::read_recipe_file(Path::new(&path)).unwrap().request.unwrap().seed;
    assert!(err.text().contains(&format!("Seed {seed}")), "{}", err.text());
}

#[test]
fn what_a_model_is_asked_for_follows_what_is_said_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let model = bare_checkpoint::write(folder.path(), "my-turbo-mix.safetensors", 4, 1024);
    let asked = |words: &[&str]| {
        let words = [&["fox", "--model", model.to_str().unwrap()], words].concat();
        parse(&words).unwrap().request().unwrap()
    };
    let told = |request: &PictureRequest| {
        let Sampling { sampler, steps, schedule, .. } = request.sampling;
        (sampler, steps, schedule, request.size.width_px)
    };
    let found = asked(&[]);
    assert_eq!(told(&found), (SamplerKind::EulerA, 4, ScheduleKind::Trailing, 512));
    assert_eq!(found.extras.prediction, None);
    let standard = asked(&["--variant", "standard"]);
    assert_eq!(told(&standard), (SamplerKind::DpmPp2m, 25, ScheduleKind::Automatic, 512));
    assert_eq!(standard.sampling.guidance, 7.0);
    let lightning = asked(&["--variant", "Lightning", "--steps", "2"]);
    assert_eq!(told(&lightning), (SamplerKind::Euler, 2, ScheduleKind::Trailing, 512));
    // SD 2.x that predicts v was trained at 768; a size that was given goes before that.
    let by_v = asked(&["--variant", "standard", "--prediction", "v"]);
    assert_eq!((by_v.size.width_px, by_v.extras.prediction), (768, Some(PredictionChoice::V)));
    let wide = asked(&["--variant", "standard", "--prediction", "v", "--width", "640"]);
    assert_eq!((wide.size.width_px, wide.size.height_px), (640, 768));
}

#[test]
fn a_variant_that_shapes_contradict_is_wrong_input_and_told_in_one_sentence() {
    for family in ["sdxl", "inpainting", "turbo-ish", ""] {
        let error = parse(&["fox", "--variant", family]).map(|_| ()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("standard, turbo, lightning, hyper, lcm"), "{text}");
        assert!(text.contains("cannot be chosen"), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let model = bare_checkpoint::write(folder.path(), "pix.safetensors", 8, 768);
    let model = model.to_str().unwrap();
    let refused = |words: &[&str]| parse(words).unwrap().request().unwrap_err();
    let error = refused(&["fox", "--model", model, "--variant", "turbo"]);
    assert_eq!(exit_code(&error), 2);
    assert!(error.to_string().contains("variant cannot be Turbo"), "{error}");
    let error = refused(&["fox", "--variant", "lcm"]);
    assert_eq!(exit_code(&error), 2);
    assert!(error.to_string().contains("house model"), "{error}");
}
