//! `atelier inspect` on whole, broken and strangers' pictures.

use std::io::Read;
use std::process::Stdio;

use atelier_engine::protocol::Pixels;
use atelier_engine::store::png;

use super::program::{assert_refused, atelier, fixture, printed, run, said};

fn tiny_picture() -> Vec<u8> {
    let json = serde_json::json!({
        "model": { "name": "house-picture" },
        "prompt": { "text": "a red fox" },
        "size": { "width_px": 256, "height_px": 256 },
        "sampling": { "sampler": "euler", "steps": 20, "guidance": 3.0 },
        "seed": 7,
        "count": 1,
    });
    let request = serde_json::from_value(json).expect("a request");
    let pixels = Pixels::new(8, 8, vec![128; 256]).expect("pixels");
    png::encode(&pixels, &request, "CC0-1.0").expect("a picture")
}

fn inspect(bytes: &[u8]) -> std::process::Output {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("it can be written");
    run(atelier(["inspect"]).arg(file.path()))
}

#[test]
fn the_recipe_of_our_own_picture_is_printed() {
    let output = inspect(&tiny_picture());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for expected in ["a red fox", "7", "Euler", "CC0-1.0"] {
        assert!(printed(&output).contains(expected), "{}", printed(&output));
    }
}

#[test]
fn a_picture_cut_at_any_place_is_refused_or_read_and_never_panics() {
    let whole = tiny_picture();
    for length in (0..whole.len()).step_by(whole.len() / 24) {
        let output = inspect(&whole[..length]);
        assert_refused(&output, "The file ");
    }
}

#[test]
fn a_picture_with_any_byte_changed_never_panics() {
    let whole = tiny_picture();
    for at in (0..whole.len()).step_by(whole.len() / 24) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        let output = inspect(&bytes);
        let said = said(&output);
        assert!(!said.contains("panicked"), "byte {at}: {said}");
        assert!(matches!(output.status.code(), Some(0 | 2)), "byte {at}: {said}");
    }
}

#[test]
fn what_is_no_picture_is_refused() {
    assert_refused(&inspect(b""), "The file ");
    assert_refused(&inspect(b"GIF89a and so on"), "The file ");
    assert_refused(&run(&mut atelier(["inspect", "nowhere.png"])), "nowhere.png");
    assert_refused(&run(&mut atelier(["inspect", "."])), "Could not read");
}

#[test]
fn pictures_of_other_programs_are_told_by_name() {
    let Some(folder) = fixture("pictures") else { return };
    for (name, program) in [("a1111.png", "AUTOMATIC1111"), ("novelai.png", "NovelAI")] {
        let output = run(atelier(["inspect"]).arg(folder.join(name)));
        assert_eq!(output.status.code(), Some(0), "{name}: {}", said(&output));
        assert!(printed(&output).contains(program), "{name}: {}", printed(&output));
    }
}

#[cfg(unix)]
#[test]
fn a_reader_that_closes_the_pipe_is_no_failure() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), tiny_picture()).expect("it can be written");
    for arguments in [vec!["--help"], vec!["inspect", file.path().to_str().expect("UTF-8")]] {
        let mut child = atelier(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut said).expect("UTF-8");
        let status = child.wait().expect("it ends");
        assert!(status.success(), "{arguments:?}: {said}");
        assert_eq!(said, "", "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_told() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), tiny_picture()).expect("it can be written");
    let full = std::fs::File::options().write(true).open("/dev/full").expect("the device");
    let output = run(atelier(["inspect"]).arg(file.path()).stdout(full));
    assert_refused(&output, "The disk is full");
}
