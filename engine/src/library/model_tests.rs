//! Finding and reading models, whole and broken.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;

use super::{Models, estimate};
use crate::error::EngineError;
use crate::protocol::{
    DeviceChoice, Extras, ModelRef, NoiseSource, PictureRequest, Precision, PreviewMode, Prompt,
    SamplerKind, Sampling, Size,
};

/// Writes a small whole model into `place/name`.
fn write_model(place: &Path, name: &str) -> PathBuf {
    let folder = place.join(name);
    fs::create_dir_all(&folder).unwrap();
    let values: Vec<u8> = (0..64).collect();
    let tensor = TensorView::new(Dtype::F32, vec![4, 4], &values).unwrap();
    let bytes = safetensors::serialize(HashMap::from([("weight", tensor)]), None).unwrap();
    fs::write(folder.join("model.safetensors"), bytes).unwrap();
    fs::write(folder.join("config.json"), "{}").unwrap();
    fs::write(folder.join("lexicon.json"), "{}").unwrap();
    folder
}

fn only_place(place: &TempDir) -> Models {
    Models::in_places([place.path().to_owned()])
}

#[test]
fn a_model_is_found_by_its_name_and_by_the_path_of_its_folder_or_weights() {
    let place = tempfile::tempdir().unwrap();
    let folder = write_model(place.path(), "small");
    let models = only_place(&place);
    let by_name = models.find("small").unwrap();
    let by_folder = models.find(folder.to_str().unwrap()).unwrap();
    let weights = folder.join("model.safetensors");
    let by_weights = models.find(weights.to_str().unwrap()).unwrap();
    assert_eq!(by_name.weights.to_vec(), fs::read(&weights).unwrap());
    assert_eq!(by_name.sha256(), by_folder.sha256());
    assert_eq!(by_name.sha256(), by_weights.sha256());
    assert_eq!(models.names(), ["small"]);
}

#[test]
fn the_hash_is_the_sha256_of_the_weights_file() {
    let place = tempfile::tempdir().unwrap();
    let folder = write_model(place.path(), "small");
    // A file of 5 MiB, so that more than one chunk is hashed.
    let values = vec![0_u8; 5 << 20];
    let tensor = TensorView::new(Dtype::U8, vec![values.len()], &values).unwrap();
    let bytes = safetensors::serialize(HashMap::from([("zeros", tensor)]), None).unwrap();
    fs::write(folder.join("model.safetensors"), &bytes).unwrap();
    let files = only_place(&place).find("small").unwrap();
    let expected: String = <sha2::Sha256 as sha2::Digest>::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(files.sha256(), expected);
    assert_eq!(files.sha256().len(), 64);
}

#[test]
fn an_unknown_name_is_said_to_be_unknown() {
    let place = tempfile::tempdir().unwrap();
    for name in ["large", "./large", "/no/such/folder", "..", ""] {
        let error = only_place(&place).find(name).unwrap_err();
        assert!(matches!(error, EngineError::ModelNotFound { .. } | EngineError::Damaged { .. }));
    }
    let error = only_place(&place).find("large").unwrap_err();
    assert_eq!(error, EngineError::ModelNotFound { name: "large".to_owned() });
}

#[test]
fn a_missing_file_is_named() {
    for missing in ["model.safetensors", "config.json", "lexicon.json"] {
        let place = tempfile::tempdir().unwrap();
        let path = write_model(place.path(), "small").join(missing);
        fs::remove_file(&path).unwrap();
        let error = only_place(&place).find("small").unwrap_err();
        assert_eq!(error, EngineError::damaged(path, "is missing"));
    }
}

#[test]
fn weights_that_are_cut_short_anywhere_are_damaged() {
    let place = tempfile::tempdir().unwrap();
    let path = write_model(place.path(), "small").join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    for length in [0, 4, 8, 20, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = only_place(&place).find("small").unwrap_err();
        assert_eq!(error, EngineError::damaged(&path, "is cut short"), "at {length} bytes");
    }
}

#[test]
fn weights_of_another_format_or_with_bytes_too_many_are_damaged() {
    let place = tempfile::tempdir().unwrap();
    let path = write_model(place.path(), "small").join("model.safetensors");
    let mut longer = fs::read(&path).unwrap();
    longer.extend([0; 9]);
    let hostile = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    for bytes in [longer, hostile, b"PK\x03\x04 not a tensor in sight".to_vec()] {
        fs::write(&path, bytes).unwrap();
        let error = only_place(&place).find("small").unwrap_err();
        assert!(matches!(&error, EngineError::Damaged { path: at, .. } if *at == path), "{error}");
    }
}

#[test]
fn a_model_that_was_replaced_is_located_anew() {
    let place = tempfile::tempdir().unwrap();
    let folder = write_model(place.path(), "small");
    let models = only_place(&place);
    for name in ["model.safetensors", "config.json", "lexicon.json"] {
        let before = models.locate("small").unwrap();
        assert_eq!(before, models.locate("small").unwrap());
        let mut bytes = fs::read(folder.join(name)).unwrap();
        bytes.push(b' ');
        fs::write(folder.join(name), bytes).unwrap();
        assert_ne!(before, models.locate("small").unwrap(), "{name}");
    }
}

#[test]
fn reading_a_model_ends_when_its_job_is_cancelled() {
    let place = tempfile::tempdir().unwrap();
    write_model(place.path(), "small");
    let located = only_place(&place).locate("small").unwrap();
    let mut looks = 0;
    let error = located.open(&mut || {
        looks += 1;
        if looks > 1 { Err(EngineError::Cancelled) } else { Ok(()) }
    });
    assert_eq!(error.unwrap_err(), EngineError::Cancelled);
    let files = located.open(&mut || Ok(())).unwrap();
    let error = files.sha256_checking(&mut || Err(EngineError::Cancelled));
    assert_eq!(error.unwrap_err(), EngineError::Cancelled);
    assert_eq!(files.sha256().len(), 64);
}

#[test]
fn the_licence_comes_from_the_configuration_or_the_card() {
    let place = tempfile::tempdir().unwrap();
    let folder = write_model(place.path(), "small");
    let licence = || only_place(&place).find("small").unwrap().licence;
    assert_eq!(licence(), "unknown");
    fs::write(folder.join("card.md"), "---\nname: Small\nlicense: \"MIT\"\n---\n# Small\n")
        .unwrap();
    assert_eq!(licence(), "MIT");
    fs::write(folder.join("card.md"), "# Small\n\n- **Licence:** MIT OR Apache-2.0\n").unwrap();
    assert_eq!(licence(), "MIT OR Apache-2.0");
    fs::write(folder.join("config.json"), r#"{"licence": "Apache-2.0"}"#).unwrap();
    assert_eq!(licence(), "Apache-2.0");
}

#[test]
fn an_estimate_grows_with_size_steps_and_count_and_survives_absurd_sizes() {
    let mut request = PictureRequest {
        model: ModelRef::named("house-picture"),
        prompt: Prompt::default(),
        size: Size { width_px: 256, height_px: 256 },
        sampling: Sampling {
            sampler: SamplerKind::Euler,
            steps: 20,
            guidance: 3.0,
            ..Sampling::default()
        },
        seed: 0,
        count: 1,
        noise: NoiseSource::Seed,
        preview: PreviewMode::Off,
        device: DeviceChoice::Cpu,
        precision: Precision::Fast,
        keep_latents: false,
        extras: Extras::default(),
    };
    let small = estimate(&request);
    request.sampling.steps = 40;
    request.count = 2;
    request.size.width_px = 512;
    let large = estimate(&request);
    assert!(large.duration_secs > 4.0 * small.duration_secs);
    assert!(large.memory_bytes > small.memory_bytes);
    request.size = Size { width_px: u32::MAX, height_px: u32::MAX };
    assert_eq!(estimate(&request).memory_bytes, u64::MAX);
}
