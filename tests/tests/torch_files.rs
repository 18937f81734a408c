//! Torch files: those of PyTorch itself byte for byte, real ones, and ones made to do harm.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use atelier_engine::EngineError;
use atelier_engine::weights::source::ByteSource;
use atelier_engine::weights::torch::{TorchContainer, TorchFile};
use serde_json::Value;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/containers")
}

fn read(bytes: &[u8]) -> Result<TorchFile, EngineError> {
    TorchFile::read(ByteSource::memory(bytes.to_vec()), Path::new("x.pt"))
}

fn refusal(bytes: &[u8]) -> String {
    let error = read(bytes).unwrap_err();
    assert!(error.is_wrong_input(), "{error}");
    error.to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_container_and_protocol_gives_what_torch_gives_byte_for_byte() {
    let expected = std::fs::read_to_string(golden().join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let files = expected.as_object().unwrap();
    assert_eq!(files.len(), 13);
    for (name, tensors) in files {
        let file = TorchFile::open(&golden().join(name)).unwrap();
        let is_legacy = name.contains("legacy");
        let container = if is_legacy { TorchContainer::Legacy } else { TorchContainer::Zip };
        assert_eq!(file.container(), container, "{name}");
        let tensors = tensors.as_object().unwrap();
        let named: Vec<&String> = file.tensors().keys().collect();
        let mut wanted: Vec<&String> = tensors.keys().collect();
        wanted.sort();
        assert_eq!(named, wanted, "{name}");
        for (tensor, about) in tensors {
            let info = &file.tensors()[tensor];
            let shape: Vec<usize> = serde_json::from_value(about["shape"].clone()).unwrap();
            assert_eq!(info.shape, shape, "{name}: {tensor}");
            let dtype = about["dtype"].as_str().unwrap().trim_start_matches("torch.");
            let element = atelier_engine::weights::element::Element::of_torch(dtype);
            assert_eq!(Some(info.element), element, "{name}: {tensor}");
            let bytes = hex(&file.bytes(tensor).unwrap());
            assert_eq!(bytes, about["bytes"].as_str().unwrap(), "{name}: {tensor}");
        }
    }
}

#[test]
fn what_stands_beside_the_weights_is_told() {
    let file = TorchFile::open(&golden().join("trained.ckpt")).unwrap();
    assert_eq!(file.wrapper(), Some("state_dict"));
    assert_eq!(file.left_out(), ["optimizer_states"]);
    assert_eq!(file.foreign(), ["argparse.Namespace"]);
    let fact = |name: &str| file.facts().iter().find(|(key, _)| key == name).cloned();
    assert_eq!(fact("global_step").unwrap().1, "1234");
    let inversion = TorchFile::open(&golden().join("inversion-a1111.pt")).unwrap();
    assert!(inversion.facts().contains(&("name".to_owned(), "fox".to_owned())));
}

fn fixture(name: &str) -> Option<PathBuf> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/checkpoints").join(name);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: no {name}");
    None
}

#[test]
fn real_torch_files_open_and_every_tensor_is_read() {
    let files = [
        ("burn_mnist.pt", 20),
        ("csimo_lora_kiriko.pt", 256),
        ("csimo_lora_kiriko.text_encoder.pt", 184),
        ("fastai_learned_embeds.bin", 1),
        ("lpips_squeeze.pt", 66),
        ("realesr-animevideov3.pth", 53),
        ("taef2_decoder.pth", 79),
    ];
    for (name, count) in files {
        let Some(path) = fixture(name) else { continue };
        let file = TorchFile::open(&path).unwrap();
        assert_eq!(file.tensors().len(), count, "{name}");
        assert!(file.foreign().is_empty(), "{name}: {:?}", file.foreign());
        for (tensor, info) in file.tensors() {
            let bytes = file.bytes(tensor).unwrap();
            assert_eq!(bytes.len() as u64, info.bytes(), "{name}: {tensor}");
        }
    }
}

#[test]
fn the_same_net_in_two_containers_has_the_same_names_and_shapes() {
    // The fixture's two files hold two trainings of the net, so their numbers differ.
    let (Some(torch), Some(safe)) = (fixture("burn_mnist.pt"), fixture("burn_mnist.safetensors"))
    else {
        return;
    };
    let torch = TorchFile::open(&torch).unwrap();
    let bytes = std::fs::read(&safe).unwrap();
    let floats = torch.tensors().iter().filter(|(_, info)| info.element.to_string() == "F32");
    for (name, info) in floats {
        let (shape, _) =
            atelier_engine::weights::read_tensor(&bytes, name, Path::new("m")).unwrap();
        assert_eq!(shape, info.shape, "{name}");
    }
}

/// Puts a description into the container of old files, with storages behind it.
fn legacy(body: &[u8], keys: &[u8], storages: &[u8]) -> Vec<u8> {
    let head = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    [head, body, keys, storages].concat()
}

/// Writes the description of one tensor `w` of these sides and strides in a storage of `count`
/// floats.
fn one_tensor(count: i64, offset: i64, sides: &[i64], strides: &[i64]) -> Vec<u8> {
    let long = |value: i64| [b"\x8a\x08".as_slice(), &value.to_le_bytes()].concat();
    let tuple = |values: &[i64]| {
        let inner: Vec<u8> = values.iter().flat_map(|value| long(*value)).collect();
        [b"(".as_slice(), &inner, b"t"].concat()
    };
    [
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage",
        b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu".as_slice(),
        &long(count),
        b"tQ",
        &long(offset),
        &tuple(sides),
        &tuple(strides),
        b"\x89}tRs.",
    ]
    .concat()
}

const KEYS: &[u8] = b"\x80\x02]X\x01\x00\x00\x000a.";

fn floats(count: u64) -> Vec<u8> {
    [count.to_le_bytes().to_vec(), vec![0; count as usize * 4]].concat()
}

#[test]
fn a_tensor_that_lies_outside_its_numbers_is_refused() {
    let file = |body: Vec<u8>| legacy(&body, KEYS, &floats(6));
    let fine = read(&file(one_tensor(6, 0, &[2, 3], &[3, 1]))).unwrap();
    assert_eq!(fine.bytes("w").unwrap().len(), 24);
    let huge = i64::MAX;
    let wrong = [
        one_tensor(6, 1, &[2, 3], &[3, 1]),
        one_tensor(6, 0, &[2, 3], &[4, 1]),
        one_tensor(6, 0, &[huge, 3], &[3, 1]),
        one_tensor(6, 0, &[huge, huge], &[0, 0]),
        one_tensor(6, 0, &[2, 2], &[huge, huge]),
        one_tensor(6, huge, &[1], &[1]),
        one_tensor(6, -1, &[1], &[1]),
        one_tensor(6, 0, &[-1], &[1]),
        one_tensor(6, 0, &[2], &[-1]),
        one_tensor(7, 0, &[7], &[1]),
        one_tensor(huge, 0, &[6], &[1]),
        one_tensor(6, 0, &[2, 3], &[1]),
        // One number that says it stands for a terabyte.
        one_tensor(6, 0, &[1 << 38], &[0]),
    ];
    for (index, body) in wrong.into_iter().enumerate() {
        println!("{index}: {}", refusal(&file(body)));
    }
    let lying = [huge as u64, u64::MAX, 1 << 62, 7];
    for count in lying {
        let storages = [count.to_le_bytes().to_vec(), vec![0; 24]].concat();
        let said = refusal(&legacy(&one_tensor(6, 0, &[6], &[1]), KEYS, &storages));
        assert!(said.contains("is cut short"), "{said}");
    }
}

#[test]
fn nothing_is_called_and_what_would_have_been_is_named() {
    let calls = [
        b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.".as_slice(),
        b"\x80\x02cbuiltins\neval\nX\x02\x00\x00\x00ls\x85\x81}b.",
        b"\x80\x04\x8c\x05posix\x8c\x06system\x93X\x02\x00\x00\x00ls\x85R.",
        b"\x80\x02(X\x02\x00\x00\x00lsios\nsystem\n.",
    ];
    for call in calls {
        let file = read(&legacy(call, b"\x80\x02].", b"")).unwrap();
        assert!(file.tensors().is_empty());
        assert_eq!(file.foreign().len(), 1, "{:?}", file.foreign());
    }
}

#[test]
fn descriptions_made_to_exhaust_are_refused() {
    let no_keys = b"\x80\x02].";
    let deep = [b"\x80\x02".as_slice(), &[b']'; 100_000], &[b'a'; 99_999], b"."].concat();
    assert!(refusal(&legacy(&deep, no_keys, b"")).contains("nested"));
    // A list that holds itself, and one of lists of lists that each are named many times.
    let own = b"\x80\x02]q\x00h\x00a.";
    assert!(refusal(&legacy(own, no_keys, b"")).contains("nested"));
    let mut laughs = b"\x80\x02]q\x00".to_vec();
    for level in 1..30_u8 {
        laughs.extend([b']', b'q', level, b'(']);
        laughs.extend([b'h', level - 1].repeat(10));
        laughs.push(b'e');
    }
    laughs.push(b'.');
    assert!(refusal(&legacy(&laughs, no_keys, b"")).contains("nested"));
    // Long keys, each over many tensors that stand there once.
    let one = one_tensor(6, 0, &[6], &[1]);
    let mut names = [&one[..one.len() - 2], b"q\x00s}q\x01("].concat();
    for inner in 0..200_u8 {
        names.extend([b'K', inner, b'h', 0]);
    }
    names.extend(b"u0(");
    for outer in 0..100 {
        let key = format!("{outer:0480}");
        names.extend([b"X\xe0\x01\x00\x00", key.as_bytes(), b"h\x01"].concat());
    }
    names.extend(b"u.");
    let said = refusal(&legacy(&names, KEYS, &floats(6)));
    assert!(said.contains("more tensors than any checkpoint"), "{said}");
    // Lengths that go beyond the file, of texts, bytes, numbers and frames.
    for code in [b"X\xff\xff\xff\xff".as_slice(), b"\x8b\xff\xff\xff\xff", b"T\xff\xff\xff\x7f"] {
        assert!(refusal(&legacy(&[b"\x80\x02", code].concat(), b"", b"")).contains("ends within"));
    }
    for code in [0x8d, 0x8e, 0x96, 0x95] {
        let long = [&[0x80, 4, code][..], &(1_u64 << 63).to_le_bytes()].concat();
        assert!(refusal(&legacy(&long, b"", b"")).contains("ends within"), "{code:x}");
    }
    // Instructions that take what is not there.
    for code in b"0122aesutlRbQ\x81\x85\x86\x87\x90\x91\x92\x93o" {
        assert!(refusal(&legacy(&[0x80, 2, *code, b'.'], b"", b"")).contains("makes no sense"));
    }
    for code in [0xff, 0x82, 0x83, 0x84, 0x97, 0x98, b'\n'] {
        assert!(refusal(&legacy(&[0x80, 2, code, b'.'], b"", b"")).contains("unknown instruction"));
    }
}

#[test]
fn a_tensor_that_is_named_twice_is_refused() {
    let one = one_tensor(6, 0, &[6], &[1]);
    // The same entry again, before the last instruction.
    let twice = [&one[..one.len() - 1], &one[3..]].concat();
    let said = refusal(&legacy(&twice, KEYS, &floats(6)));
    assert!(said.contains("holds the tensor “w” twice"), "{said}");
}

/// Holds an entry of a zip archive as its directory tells of it.
struct Entry {
    name: &'static str,
    /// What stands in the file, and where it is said to stand when not there.
    stored: Vec<u8>,
    at: Option<u32>,
    method: u16,
    bytes: u32,
}

fn stored(name: &'static str, bytes: &[u8]) -> Entry {
    Entry { name, stored: bytes.to_vec(), at: None, method: 0, bytes: bytes.len() as u32 }
}

fn zip(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let at = entry.at.unwrap_or(out.len() as u32);
        let common = [
            [20_u16, 0, entry.method, 0, 0].iter().flat_map(|v| v.to_le_bytes()).collect(),
            [0, entry.stored.len() as u32, entry.bytes]
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect(),
            (entry.name.len() as u16).to_le_bytes().to_vec(),
            vec![0, 0],
        ]
        .concat();
        if entry.at.is_none() {
            out.extend([b"PK\x03\x04", &common[..], entry.name.as_bytes(), &entry.stored].concat());
        }
        directory
            .extend([b"PK\x01\x02\x14\x00", &common[..], &[0; 10], &at.to_le_bytes()].concat());
        directory.extend(entry.name.as_bytes());
    }
    let start = out.len() as u32;
    let count = (entries.len() as u16).to_le_bytes();
    out.extend(&directory);
    out.extend([b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn archives_made_to_deceive_are_refused() {
    let body = one_tensor(6, 0, &[6], &[1]);
    let description = || stored("a/data.pkl", &body);
    let file = read(&zip(&[description(), stored("a/data/0", &[7; 24])])).unwrap();
    assert_eq!(file.bytes("w").unwrap(), [7; 24]);
    let packed = deflated(&[7; 24]);
    let packed = Entry { method: 8, bytes: 24, ..stored("a/data/0", &packed) };
    let file = read(&zip(&[description(), packed])).unwrap();
    assert_eq!(file.bytes("w").unwrap(), [7; 24]);

    let said = |entries: &[Entry]| refusal(&zip(entries));
    assert!(said(&[description()]).contains("lacks the numbers “0”"));
    assert!(said(&[description(), stored("a/data/0", &[7; 23])]).contains("cut short"));
    assert!(said(&[stored("a/data/0", &[7; 24])]).contains("no data.pkl"));
    assert!(said(&[description(), stored("b/data.pkl", &body)]).contains("no data.pkl"));
    let twice = [description(), stored("a/data/0", &[7; 24]), stored("a/data/0", &[7; 24])];
    assert!(said(&twice).contains("an entry twice"));
    let over = Entry { at: Some(0), ..stored("a/data/0", &body) };
    assert!(said(&[description(), over]).contains("overlap"));
    let big = stored("a/byteorder", b"big");
    assert!(said(&[description(), stored("a/data/0", &[7; 24]), big]).contains("big-endian"));
    let unknown = Entry { method: 12, ..stored("a/data/0", &[7; 24]) };
    assert!(said(&[description(), unknown]).contains("unknown method"));
    let bomb = deflated(&vec![0; 50_000_000]);
    let bomb = Entry { method: 8, bytes: 50_000_000, ..stored("a/data/0", &bomb) };
    assert!(said(&[description(), bomb]).contains("unpacks to far more"));
    // A bomb that hides its size is unpacked no further than it says.
    let hidden = deflated(&vec![0; 50_000_000]);
    let hidden = Entry { method: 8, bytes: 24, ..stored("a/data/0", &hidden) };
    assert_eq!(read(&zip(&[description(), hidden])).unwrap().bytes("w").unwrap(), [0; 24]);
    let short = Entry { method: 8, bytes: 24, ..stored("a/data/0", &deflated(&[0; 9])) };
    let file = read(&zip(&[description(), short])).unwrap();
    assert!(file.bytes("w").unwrap_err().to_string().contains("cannot be unpacked"));
}

#[test]
fn every_cut_of_a_file_is_refused() {
    for name in ["zip-2.pt", "zip-4.pt", "legacy-2.pt", "legacy-4.pt", "typed-legacy.pt"] {
        let bytes = std::fs::read(golden().join(name)).unwrap();
        for end in 0..bytes.len() {
            let opened = read(&bytes[..end]);
            assert!(matches!(opened, Err(EngineError::Damaged { .. })), "{name} cut at {end}");
        }
    }
}

/// Gives the same numbers each time (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[test]
fn random_damage_never_panics_nor_takes_more_than_the_file_holds() {
    let mut rng = Random(5);
    let mut opened = 0;
    for name in ["zip-2.pt", "zip-5.pt", "legacy-2.pt", "legacy-5.pt", "trained.ckpt"] {
        let whole = std::fs::read(golden().join(name)).unwrap();
        for _ in 0..3000 {
            let mut bytes = whole.clone();
            for _ in 0..=rng.next() % 4 {
                let at = (rng.next() % bytes.len() as u64) as usize;
                match rng.next() % 4 {
                    0 => bytes[at] = rng.next() as u8,
                    1 => bytes[at] ^= 1 << (rng.next() % 8),
                    2 => bytes[at] = 0xff,
                    _ => {
                        let from = (rng.next() % bytes.len() as u64) as usize;
                        let count = (rng.next() % 16) as usize;
                        let count = count.min(bytes.len() - at).min(bytes.len() - from);
                        bytes.copy_within(from..from + count, at);
                    }
                }
            }
            let Ok(file) = read(&bytes) else { continue };
            opened += 1;
            for (tensor, info) in file.tensors() {
                assert!(info.bytes() <= 16 << 20);
                if let Ok(read) = file.bytes(tensor) {
                    assert_eq!(read.len() as u64, info.bytes());
                }
            }
        }
    }
    println!("{opened} of 15000 damaged files could still be opened");
    assert!(opened > 100);
}
