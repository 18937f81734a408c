//! Wrong input gets one clear sentence, a hint and exit code 2, never a panic.

use std::fs;
use std::path::Path;

use atelier_engine::library::{HOUSE_PICTURE, Models};

use super::program::{assert_refused, assert_whole, atelier, has_model, names, printed, run, said};

/// Paints into a fresh folder with further arguments and checks that it is refused and leaves nothing.
#[track_caller]
fn assert_painting_refused(prompt: &str, arguments: &[&str], sentence: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut words = vec!["paint", prompt];
    words.extend(arguments);
    let output = run(atelier(words).current_dir(folder.path()));
    assert_refused(&output, sentence);
    assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
}

#[test]
fn an_empty_prompt_is_refused() {
    for prompt in ["", "   \n\t"] {
        assert_painting_refused(prompt, &[], "The prompt is empty");
    }
}

#[test]
fn settings_outside_their_range_are_refused() {
    for (name, value, sentence) in [
        ("--guidance", "NaN", "The guidance must be"),
        ("--guidance", "inf", "The guidance must be"),
        ("--guidance", "-1", "The guidance must be"),
        ("--guidance", "1000", "The guidance must be"),
        ("--steps", "0", "The number of steps must be"),
        ("--steps", "100000", "The number of steps must be"),
        ("--width", "0", "The size must"),
        ("--width", "100", "The size must"),
        ("--height", "1", "The size must"),
        ("--height", "4294967295", "The size must"),
        ("--batch", "0", "The number of pictures must be"),
        ("--batch", "4294967295", "The number of pictures must be"),
    ] {
        assert_painting_refused("a fox", &[name, value], sentence);
    }
}

#[test]
fn an_absurd_shape_is_refused() {
    assert_painting_refused("a fox", &["--width", "1024", "--height", "32"], "The size must");
}

#[test]
fn words_where_numbers_belong_are_refused() {
    for arguments in [["--width", "wide"], ["--seed", "-1"], ["--sampler", "ddim"]] {
        let mut words = vec!["paint", "a fox"];
        words.extend(arguments);
        let output = run(&mut atelier(words));
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(arguments[1]), "{}", said(&output));
    }
}

#[test]
fn a_prompt_of_ten_thousand_words_is_painted_with_a_notice_or_refused() {
    if !has_model() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let prompt = "red fox ".repeat(5_000);
    let output = run(atelier(["paint", &prompt, "--steps", "1"]).current_dir(folder.path()));
    let said = said(&output);
    assert!(!said.contains("panicked"), "{said}");
    match output.status.code() {
        Some(0) => {
            assert!(said.contains("longer than the model reads"), "{said}");
            let names = names(folder.path());
            assert_eq!(names.len(), 1);
            assert_whole(&folder.path().join(&names[0]));
        }
        code => assert_eq!(code, Some(2), "{said}"),
    }
}

#[test]
fn a_folder_that_is_not_there_is_refused_before_anything_is_painted() {
    assert_painting_refused("a fox", &["-o", "no/such/fox.png"], "no/such");
    assert_painting_refused("a fox", &["--save-latents", "no/such/fox.safetensors"], "no/such");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_is_refused() {
    assert_painting_refused("a fox", &["-o", "/proc/fox.png"], "/proc");
    let output = run(atelier(["paint", "a fox"]).current_dir("/proc"));
    assert_refused(&output, "Could not write to the folder");
}

#[test]
fn a_folder_in_place_of_a_file_and_another_ending_are_refused() {
    assert_painting_refused("a fox", &["-o", "."], "must be a file");
    assert_painting_refused("a fox", &["-o", "fox.jpg"], "must end in .png");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_told_as_a_full_disk() {
    if has_model() {
        assert_painting_refused(
            "a fox",
            &["-o", "/dev/full", "--steps", "1", "--quiet"],
            "The disk is full",
        );
    }
}

/// Unmounts a small disk when a test ends.
#[cfg(target_os = "linux")]
struct SmallDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl SmallDisk {
    /// Mounts a disk of 16 KiB; `None` with a line where that is not allowed.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let is_mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("Skipped: a small disk cannot be mounted here");
        }
        is_mounted.then_some(Self(folder))
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_nothing_half_written() {
    if !has_model() {
        return;
    }
    let Some(disk) = SmallDisk::mount() else { return };
    let file = disk.0.path().join("fox.png");
    let output = run(atelier(["paint", "a fox", "--steps", "1", "--quiet", "-o"]).arg(&file));
    assert_refused(&output, "The disk is full");
    assert!(names(disk.0.path()).is_empty(), "{:?}", names(disk.0.path()));
}

#[test]
fn a_model_that_is_nowhere_is_refused() {
    assert_painting_refused("a fox", &["--model", "no-such-model"], "no-such-model");
    assert_painting_refused("a fox", &["--model", "./no/such/folder"], "./no/such/folder");
}

#[test]
fn a_folder_without_weights_is_refused() {
    let models = tempfile::tempdir().expect("a folder");
    let empty = models.path().join("house-picture");
    fs::create_dir(&empty).expect("a folder");
    let empty = empty.to_string_lossy();
    assert_painting_refused("a fox", &["--model", &empty], "is missing");
}

#[test]
fn weights_cut_within_their_header_are_refused() {
    let models = tempfile::tempdir().expect("a folder");
    let folder = models.path().join("house-picture");
    fs::create_dir(&folder).expect("a folder");
    for (name, bytes) in [
        ("model.safetensors", &b"\xff\x00\x00\x00\x00\x00\x00\x00{\"a\":"[..]),
        ("config.json", b"{}"),
        ("lexicon.json", b"{}"),
    ] {
        fs::write(folder.join(name), bytes).expect("a file");
    }
    let by_path = folder.to_string_lossy();
    assert_painting_refused("a fox", &["--model", &by_path], "model.safetensors");

    let work = tempfile::tempdir().expect("a folder");
    let output = run(atelier(["paint", "a fox"])
        .env("ATELIER_MODELS", models.path())
        .current_dir(work.path()));
    assert_refused(&output, "model.safetensors");
    assert!(names(work.path()).is_empty());
}

#[test]
fn weights_cut_within_their_numbers_are_refused() {
    if !has_model() {
        return;
    }
    let files = Models::standard().find(HOUSE_PICTURE).expect("the house model");
    let models = tempfile::tempdir().expect("a folder");
    let whole = files.weights.len();
    for length in [whole - 1, whole / 2, 9, 0] {
        let folder = models.path().join(length.to_string());
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("model.safetensors"), &files.weights[..length]).expect("a file");
        fs::write(folder.join("config.json"), files.config_json.as_bytes()).expect("a file");
        fs::write(folder.join("lexicon.json"), files.lexicon_json.as_bytes()).expect("a file");
        let path = folder.to_string_lossy().into_owned();
        assert_painting_refused("a fox", &["--model", &path], "model.safetensors");
    }
}

#[test]
fn noise_that_is_no_tensor_is_refused() {
    if !has_model() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("noise.safetensors");
    fs::write(&file, b"not a tensor").expect("a file");
    let path = file.to_string_lossy();
    assert_painting_refused("a fox", &["--init-noise", &path, "--steps", "1"], "noise.safetensors");
    let path = Path::new("nowhere.safetensors").to_string_lossy();
    assert_painting_refused("a fox", &["--init-noise", &path], "nowhere.safetensors");
}

#[test]
fn a_device_that_is_not_here_is_refused() {
    if has_model() {
        assert_painting_refused("a fox", &["--device", "cuda:63", "--steps", "1"], "cuda");
    }
}

#[test]
fn errors_are_json_too_when_that_was_asked_for() {
    let output = run(&mut atelier(["paint", "a fox", "--json", "--model", "no-such-model"]));
    assert_eq!(output.status.code(), Some(2));
    let printed = printed(&output);
    let last = printed.lines().last().expect("an event");
    let event: serde_json::Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(event["event"], "failed");
    assert_eq!(event["exit_code"], 2);
    assert!(event["hint"].is_string(), "{event}");
}

#[test]
fn without_a_display_the_window_says_what_works_instead() {
    if cfg!(target_os = "linux") {
        let output = run(&mut atelier([] as [&str; 0]));
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains("atelier paint"), "{}", said(&output));
        assert_eq!(said(&output).lines().count(), 1);
    }
}
