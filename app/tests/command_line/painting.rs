//! `atelier paint` with the house model.

use super::program::{assert_whole, atelier, has_model, names, printed, run, said};

/// Few steps: these tests look at files and words, not at the picture.
const QUICK: [&str; 4] = ["--steps", "2", "--device", "cpu"];

#[test]
fn a_picture_appears_in_the_current_folder_under_a_name_of_its_own() {
    if !has_model() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        let output = run(atelier(["paint", "a red fox in the snow", "--seed", "7"])
            .args(QUICK)
            .current_dir(folder.path()));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(said(&output).contains("Seed 7"), "{}", said(&output));
        let file = folder.path().join(printed(&output).trim_end());
        assert_whole(&file);
    }
    assert_eq!(names(folder.path()).len(), 2, "the second did not replace the first");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_a_batch_its_single_pictures() {
    if !has_model() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let paint = |name: &str, more: &[&str]| {
        let output = run(atelier(["paint", "a red fox", "-o"])
            .arg(folder.path().join(name))
            .args(QUICK)
            .args(more));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    };
    paint("a.png", &["--seed", "8"]);
    paint("b.png", &["--seed", "8"]);
    paint("batch.png", &["--seed", "7", "--batch", "2"]);
    let read = |name: &str| std::fs::read(folder.path().join(name)).expect("a picture");
    // Not `assert_eq!`, which would print both files.
    assert!(read("a.png") == read("b.png"), "the same request gave other bytes");
    assert!(read("a.png") == read("batch-2.png"), "the n-th of a batch has the seed plus n");
    assert!(read("a.png") != read("batch-1.png"), "another seed gave the same bytes");
    assert_eq!(names(folder.path()), ["a.png", "b.png", "batch-1.png", "batch-2.png"]);
}

#[test]
fn latents_can_be_saved_and_noise_given() {
    if !has_model() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let latents = folder.path().join("latents.safetensors");
    let output = run(atelier(["paint", "a red fox", "--seed", "7", "--save-latents"])
        .arg(&latents)
        .args(QUICK)
        .current_dir(folder.path()));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let bytes = std::fs::read(&latents).expect("the latents");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a safetensors file");
    let tensor = file.tensor("latents").expect("the tensor");
    assert_eq!(tensor.dtype(), safetensors::Dtype::F32);
    assert_eq!(tensor.shape()[0], 1);

    let noise = folder.path().join("noise.safetensors");
    let data = vec![0; tensor.data().len()];
    let view = safetensors::tensor::TensorView::new(
        safetensors::Dtype::F32,
        tensor.shape().to_vec(),
        &data,
    );
    let tensors = [("noise", view.expect("the shape fits"))];
    safetensors::serialize_to_file(tensors, None, &noise).expect("the noise is written");
    let output = run(atelier(["paint", "a red fox", "--init-noise"])
        .arg(&noise)
        .args(QUICK)
        .current_dir(folder.path()));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn unknown_words_are_told() {
    if !has_model() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(atelier(["paint", "a red grxblfx"]).args(QUICK).current_dir(folder.path()));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("grxblfx"), "{}", said(&output));
}

#[test]
fn json_ends_with_finished_and_the_file_it_names_is_there() {
    if !has_model() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let output =
        run(atelier(["paint", "a red fox", "--json"]).args(QUICK).current_dir(folder.path()));
    let printed = printed(&output);
    let events: Vec<serde_json::Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(events.last().map(|event| &event["event"]), Some(&"finished".into()));
    let picture = events.iter().find(|event| event["event"] == "picture").expect("a picture");
    assert_whole(&folder.path().join(picture["file"].as_str().expect("a path")));
    assert_eq!(picture["recipe"]["model"]["sha256"].as_str().map(str::len), Some(64));
}
