//! Small files of weights, changed at random by a fixed seed: every one is read or refused with a
//! sentence, and none makes the readers panic. `fuzz/` has the same readers for cargo-fuzz.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use atelier_engine::EngineError;
use atelier_engine::protocol::JobContext;
use atelier_engine::weights::detect::detect;
use atelier_engine::weights::embedding;
use atelier_engine::weights::lora::{Lora, Targets};
use atelier_engine::weights::names::{Named, Part};
use atelier_engine::weights::open::Checkpoint;
use atelier_engine::weights::sd_config::{ControlConfig, TextConfig, UnetConfig, VaeConfig};
use atelier_engine::weights::source::ByteSource;

/// How often each file is changed.
const ROUNDS: u64 = 500;
/// The largest file that is changed: larger ones take long without saying more.
const MOST_BYTES: u64 = 120_000;
/// The most numbers of a tensor that are read for a try.
const MOST_NUMBERS: u64 = 1 << 16;

const PARTS: [Part; 5] =
    [Part::Unet, Part::Vae, Part::TextEncoder, Part::TextEncoder2, Part::ControlNet];

/// Numbers by the generator xorshift64*, the same on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }
}

/// Changes a few bytes, mostly near the beginning, where the descriptions are.
fn changed(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'9', b'"'];
    let mut out = bytes.to_vec();
    for _ in 0..=dice.below(4) {
        if out.is_empty() {
            break;
        }
        let end = if dice.below(3) == 0 { out.len() } else { out.len().min(4096) };
        let at = dice.below(end);
        match dice.below(6) {
            0 => out.truncate(at),
            1 => out[at] ^= 1 << dice.below(8),
            2 => out[at] = TELLING[dice.below(TELLING.len())],
            3 => out[at] = dice.below(256) as u8,
            4 => drop(out.remove(at)),
            _ => {
                // A piece from elsewhere in the file: whole keys and numbers change places.
                let from = dice.below(out.len());
                let count = dice.below(24).min(out.len() - from).min(out.len() - at);
                out.copy_within(from..from + count, at);
            }
        }
    }
    out
}

/// Does with a file all that the program does with files of weights; tells whether it could be
/// opened at all, and what was said against it.
fn read(bytes: Vec<u8>, name: &Path, targets: &Targets) -> (bool, Vec<EngineError>) {
    let file = match Checkpoint::read(ByteSource::memory(bytes), name) {
        Ok(file) => file,
        Err(error) => return (false, vec![error]),
    };
    let mut errors = Vec::new();
    let _ = detect(&file);
    let job = JobContext::detached();
    for part in PARTS {
        let Ok(named) = Named::of(&file, part, &job) else { continue };
        let shapes = named.shapes();
        let listed = match part {
            Part::Unet => UnetConfig::of(shapes, None, name).map(|config| config.tensors()),
            Part::ControlNet => {
                ControlConfig::of(shapes, None, name).map(|config| config.tensors())
            }
            Part::Vae => VaeConfig::of(shapes, None, None, name).map(|config| config.tensors()),
            _ => TextConfig::of(shapes, None, name).map(|config| config.tensors()),
        };
        errors.extend(listed.and_then(|tensors| named.check(&tensors)).err());
        for (tensor, shape) in shapes.iter().take(40) {
            let count = shape.iter().try_fold(1_u64, |all, side| all.checked_mul(*side as u64));
            if count.is_some_and(|count| count <= MOST_NUMBERS) {
                errors.extend(named.read(tensor, shape).err());
            }
        }
    }
    errors.extend(embedding::read(&file).err());
    match Lora::of(file, targets) {
        Err(error) => errors.push(error),
        Ok(lora) => {
            for (part, tensor) in lora.changed().take(20) {
                let tries = [16, 64, 288].map(|count| vec![0.5; count]);
                errors.extend(tries.iter().filter_map(|base| lora.delta(part, tensor, base).err()));
            }
        }
    }
    (true, errors)
}

fn corpus() -> Result<Vec<PathBuf>> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut files = Vec::new();
    for folder in ["sd", "lora", "lora/peft-loha", "lora/peft-lokr", "containers"] {
        for entry in std::fs::read_dir(golden.join(folder))? {
            let path = entry?.path();
            let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
            let is_small = path.metadata()?.len() <= MOST_BYTES;
            let is_weights = ["safetensors", "gguf", "pt", "pth", "ckpt"].contains(&kind);
            if is_small && is_weights && path.file_name() != Some("expected.safetensors".as_ref()) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

#[test]
fn no_changed_file_makes_a_reader_panic() -> Result<()> {
    let single =
        Checkpoint::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/sd/sd1.safetensors"))?;
    let job = JobContext::detached();
    let net = Named::of(&single, Part::Unet, &job)?;
    let net = UnetConfig::of(net.shapes(), None, single.path())?;
    let targets = Targets::new(Some(&net), None, None);
    let files = corpus()?;
    ensure!(files.len() > 20, "only {} files were found", files.len());
    let (mut opened, mut refused, mut said) = (0, 0, BTreeSet::new());
    for path in files {
        let bytes = std::fs::read(&path)?;
        let name = Path::new(path.file_name().unwrap_or_default());
        for round in 0..ROUNDS {
            let mut dice = Dice(round * 2 + 1);
            for _ in 0..8 {
                dice.next();
            }
            let bytes = changed(&bytes, &mut dice);
            let result = catch_unwind(AssertUnwindSafe(|| read(bytes, name, &targets)));
            let Ok((is_open, errors)) = result else {
                anyhow::bail!("{} makes a reader panic in round {round}", name.display());
            };
            *(if is_open { &mut opened } else { &mut refused }) += 1;
            for error in errors {
                let text = error.to_string();
                ensure!(text.starts_with("The "), "{}, round {round}: {text}", name.display());
                // The kind of a sentence is told by its first words.
                said.insert(text.split(['“', ':', '[']).next().unwrap_or_default().to_owned());
            }
        }
    }
    println!("{opened} files could be opened, {refused} could not; {} kinds of errors", said.len());
    ensure!(opened > 1000 && refused > 1000 && said.len() > 20, "all were treated alike: {said:?}");
    Ok(())
}
