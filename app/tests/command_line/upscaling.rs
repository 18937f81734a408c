//! Enlarging on the command line, and pictures that are refused.

use std::fs;
use std::path::Path;

use atelier_engine::protocol::Pixels;
use atelier_engine::store::png;

use super::program::{assert_refused, atelier, names, printed, run, said};

fn golden(file: &str) -> String {
    format!("{}/../tests/golden/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// Writes a picture of 24 × 16 pixels.
fn small(folder: &Path) -> String {
    let path = folder.join("small.png");
    let rgba = (0..24 * 16 * 4).map(|i| if i % 4 == 3 { 255 } else { (i * 7 % 251) as u8 });
    let pixels = Pixels::new(24, 16, rgba.collect()).expect("a picture");
    fs::write(&path, png::encode_plain(&pixels).expect("bytes")).expect("a file");
    path.to_string_lossy().into_owned()
}

#[test]
fn a_picture_is_enlarged_by_every_kind_of_model_and_says_how() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = small(folder.path());
    let compact = golden("upscaler/compact-x4.safetensors");
    let old = golden("upscaler/rrdb-old.safetensors");
    for (model, factor, size) in [
        ("lanczos", "2.5", (60, 40)),
        (compact.as_str(), "4", (96, 64)),
        (compact.as_str(), "2", (48, 32)),
        (old.as_str(), "3", (72, 48)),
    ] {
        let arguments = ["upscale", &picture, "-x", factor, "--model", model, "--out", "out.png"];
        let output = run(atelier(arguments).current_dir(folder.path()));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let file = folder.path().join("out.png");
        let found = png::read_recipe_file(&file).expect("a recipe");
        assert_eq!((found.size.width_px, found.size.height_px), size);
        let recipe = found.enlargement.expect("how it was enlarged");
        assert_eq!((recipe.model.name.as_str(), recipe.picture.sha256.len()), (model, 64));
        assert_eq!(recipe.model.sha256.len(), if model == "lanczos" { 0 } else { 64 });
        assert_eq!(png::decode_file(&file).expect("whole").width_px, size.0);
    }
}

#[test]
fn json_tells_the_steps_and_the_file_and_a_second_picture_gets_a_name_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = small(folder.path());
    for name in ["small-x2.png", "small-x2-2.png"] {
        let arguments = ["upscale", &picture, "-x", "2", "--model", "lanczos", "--json"];
        let output = run(atelier(arguments).current_dir(folder.path()));
        let events: Vec<serde_json::Value> = printed(&output)
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect();
        assert_eq!(events.last().map(|event| &event["event"]), Some(&"finished".into()));
        let made = events.iter().find(|event| event["event"] == "picture").expect("a picture");
        assert_eq!(made["size"]["width_px"], 48);
        assert!(folder.path().join(made["file"].as_str().expect("a path")).is_file());
        assert!(made["file"].as_str().is_some_and(|file| file.starts_with("small-x2")), "{name}");
    }
    assert_eq!(names(folder.path()).len(), 3);
}

#[test]
fn pictures_and_settings_that_cannot_be_used_are_refused_and_leave_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = small(folder.path());
    let cut = folder.path().join("cut.jpg");
    let bytes = fs::read(golden("pictures/plain.jpg")).expect("a picture");
    fs::write(&cut, &bytes[..bytes.len() / 2]).expect("a file");
    let cut = cut.to_string_lossy().into_owned();
    let before = names(folder.path());
    let (gif, webp) = (golden("pictures/animated.gif"), golden("pictures/animated.webp"));
    let json = golden("pictures/expected.json");
    let inversion = golden("containers/inversion-a1111.pt");
    for (arguments, sentence) in [
        (vec!["gone.png"], "Could not read the picture"),
        (vec!["."], "is no regular file"),
        (vec![&gif], "is a GIF file"),
        (vec![&webp], "is an animation"),
        (vec![&json], "is no picture"),
        (vec![&cut], "is no whole picture"),
        (vec![&picture, "-x", "0.5"], "The factor must be"),
        (vec![&picture, "-x", "NaN"], "The factor must be"),
        (vec![&picture, "-x", "-4"], "The factor must be"),
        (vec![&picture, "--model", "no-such-net"], "There is no model called"),
        (vec![&picture, "--model", &inversion], "one that enlarges pictures"),
        (vec![&picture, "--model", &picture], "is no safetensors, torch or GGUF file"),
        (vec![&picture, "--out", "a.jpg"], "The output must end in .png"),
    ] {
        let has_model = arguments.contains(&"--model");
        let mut words = vec!["upscale", "--quiet"];
        words.extend(arguments);
        if !has_model {
            words.extend(["--model", "lanczos"]);
        }
        assert_refused(&run(atelier(words).current_dir(folder.path())), sentence);
        assert_eq!(names(folder.path()), before);
    }
}
