//! Writes tensors in the containers that people have: torch files, GGUF, files with an index.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::seeded::{Named, write_json, write_safetensors};

/// Writes a torch file of today: a zip archive with a pickle of protocol 2.
///
/// # Errors
/// When it cannot be written.
pub fn write_torch(path: &Path, tensors: &[Named]) -> Result<()> {
    let mut pickle = vec![0x80, 2, b'}', b'('];
    for (index, (name, shape, values)) in tensors.iter().enumerate() {
        text(&mut pickle, name);
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut pickle, "storage");
        pickle.extend(b"ctorch\nHalfStorage\n");
        text(&mut pickle, &index.to_string());
        text(&mut pickle, "cpu");
        number(&mut pickle, values.len());
        pickle.extend(b"tQ");
        number(&mut pickle, 0);
        let strides: Vec<usize> =
            (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
        for sides in [shape, &strides] {
            pickle.push(b'(');
            sides.iter().for_each(|side| number(&mut pickle, *side));
            pickle.push(b't');
        }
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    let mut zip = ZipWriter::new(File::create(path)?);
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zip.start_file("archive/data.pkl", stored)?;
    zip.write_all(&pickle)?;
    for (index, (_, _, values)) in tensors.iter().enumerate() {
        zip.start_file(format!("archive/data/{index}"), stored)?;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        zip.write_all(&bytes)?;
    }
    zip.start_file("archive/version", stored)?;
    zip.write_all(b"3\n")?;
    zip.finish()?;
    Ok(())
}

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.as_bytes());
}

fn number(pickle: &mut Vec<u8>, number: usize) {
    pickle.push(b'J');
    pickle.extend((number as u32).to_le_bytes());
}

/// Writes a GGUF file of f16 tensors.
///
/// # Errors
/// When it cannot be written.
pub fn write_gguf(path: &Path, tensors: &[Named]) -> Result<()> {
    let mut head: Vec<u8> = b"GGUF".to_vec();
    head.extend(3u32.to_le_bytes());
    head.extend((tensors.len() as u64).to_le_bytes());
    head.extend(0u64.to_le_bytes());
    let mut data: Vec<u8> = Vec::new();
    for (name, shape, values) in tensors {
        head.extend((name.len() as u64).to_le_bytes());
        head.extend(name.as_bytes());
        head.extend((shape.len() as u32).to_le_bytes());
        shape.iter().rev().for_each(|side| head.extend((*side as u64).to_le_bytes()));
        head.extend(1u32.to_le_bytes());
        head.extend((data.len() as u64).to_le_bytes());
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        data.resize(data.len().next_multiple_of(32), 0);
    }
    head.resize(head.len().next_multiple_of(32), 0);
    head.extend(data);
    fs::write(path, head)?;
    Ok(())
}

/// Writes tensors as two safetensors files with an index beside them, named as diffusers does.
///
/// # Errors
/// When they cannot be written.
pub fn write_shards(folder: &Path, stem: &str, tensors: &[Named]) -> Result<()> {
    let mut map = serde_json::Map::new();
    for (index, half) in tensors.chunks(tensors.len().div_ceil(2).max(1)).enumerate() {
        let name = format!("{stem}-0000{}-of-00002.safetensors", index + 1);
        write_safetensors(&folder.join(&name), half)?;
        half.iter().for_each(|(tensor, ..)| {
            map.insert(tensor.clone(), json!(name));
        });
    }
    let index = json!({ "metadata": {}, "weight_map": map });
    write_json(&folder.join(format!("{stem}.safetensors.index.json")), &index)
}
