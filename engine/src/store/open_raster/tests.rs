//! What OpenRaster files must hold to, ours and others'.

use super::*;

fn plain(width_px: u32, height_px: u32, colour: [u8; 4]) -> Pixels {
    let rgba = colour.repeat((width_px * height_px) as usize);
    Pixels::new(width_px, height_px, rgba).expect("the size fits")
}

fn layer(name: &str, pixels: Pixels) -> OraLayer {
    OraLayer {
        name: name.to_owned(),
        pixels,
        x: 0,
        y: 0,
        opacity: 1.0,
        is_visible: true,
        operator: "svg:src-over".to_owned(),
    }
}

fn example() -> OraPicture {
    let upper = OraLayer {
        x: -3,
        y: 7,
        opacity: 0.25,
        is_visible: false,
        operator: "svg:multiply".to_owned(),
        ..layer("Ebene <\"2\"> & 图层", plain(10, 20, [9, 8, 7, 6]))
    };
    OraPicture {
        width_px: 60,
        height_px: 40,
        layers: vec![layer("Ground", plain(60, 40, [1, 2, 3, 255])), upper],
        dissolved_groups: 0,
        left_out: 0,
    }
}

/// Makes an archive of a list of layers, one layer's file and one more entry.
fn archive(stack: &str, name: &str, file: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in
        [("mimetype", MIMETYPE.as_bytes()), ("stack.xml", stack.as_bytes()), (name, file)]
    {
        zip.start_file(name, stored).expect("an entry begins");
        zip.write_all(bytes).expect("bytes are written");
    }
    zip.finish().expect("it ends").into_inner()
}

fn reason(bytes: &[u8]) -> String {
    match read(bytes) {
        Err(EngineError::Damaged { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_written_is_read_back() {
    let picture = example();
    let bytes = encode(&picture, &plain(60, 40, [1, 2, 3, 255])).expect("it is encoded");
    assert_eq!(read(&bytes).expect("it is read"), picture);
}

#[test]
fn the_mimetype_stands_first_and_unpacked() {
    let bytes = encode(&example(), &plain(60, 40, [0; 4])).expect("it is encoded");
    // A local header of 30 bytes, the name, then the content itself: so `file` knows the kind.
    assert_eq!(&bytes[30..54], b"mimetypeimage/openraster");
    let mut zip = zip::ZipArchive::new(Cursor::new(&bytes)).expect("an archive");
    let names: Vec<String> = (0..zip.len())
        .map(|at| zip.by_index_raw(at).expect("an entry").name().expect("a name").into_owned())
        .collect();
    let expected = [
        "mimetype",
        "stack.xml",
        "data/layer0.png",
        "data/layer1.png",
        "mergedimage.png",
        "Thumbnails/thumbnail.png",
    ];
    assert_eq!(names, expected);
}

#[test]
fn groups_are_dissolved_and_say_so() {
    let png = exports::encode(&plain(2, 2, [1, 2, 3, 255]), PictureFormat::Png).expect("encoded");
    let stack = "<image w='9' h='9'><stack><layer src='data/a.png' name='top'/>\
        <stack opacity='0.5' visibility='hidden' x='4' y='-2'><layer src='data/a.png' x='1.0' opacity='0.5'/>\
        <layer name='no pixels'/></stack><layer src='data/a.png' name='ground'/></stack></image>";
    let picture = read(&archive(stack, "data/a.png", &png)).expect("it is read");
    let names: Vec<&str> = picture.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["ground", "", "top"]);
    let inner = &picture.layers[1];
    assert_eq!((inner.x, inner.y, inner.opacity, inner.is_visible), (5, -2, 0.25, false));
    assert!(picture.layers[2].is_visible);
    assert_eq!((picture.dissolved_groups, picture.left_out), (1, 1));
}

#[test]
fn hostile_archives_are_refused() {
    let stack = |inside: &str| format!("<image w='9' h='9'><stack>{inside}</stack></image>");
    let one = "<layer src='data/a.png'/>";
    let png = exports::encode(&plain(2, 2, [1, 2, 3, 255]), PictureFormat::Png).expect("encoded");
    let refused = |inside: &str| reason(&archive(&stack(inside), "data/a.png", &png));
    assert!(refused("<layer src='../../etc/passwd'/>").contains("lacks its"));
    assert!(refused(&one.repeat(MAX_LAYERS + 1)).contains("layers"));
    assert!(refused("<layer src='data/a.png' x='99999999'/>").contains("far outside"));
    assert!(refused("</stack></image></image>").contains("not well formed"));
    let size = "<image w='999999' h='1'><stack/></image>";
    assert!(reason(&archive(size, "data/a.png", &png)).contains("no document"));
    // A picture that claims to be huge.
    let mut large = png.clone();
    large[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
    assert!(reason(&archive(&stack(one), "data/a.png", &large)).contains("layer that"));
    let many = stack(&one.repeat(3));
    large[16..24].copy_from_slice(&[0x7f, 0, 0x40, 0, 0x7f, 0, 0x40, 0]);
    assert!(reason(&archive(&many, "data/a.png", &large)).contains("memory"));
    assert!(reason(&archive(&stack(one), "data/a.png", b"not a picture")).contains("no picture"));
    assert!(reason(b"PK\x03\x04").contains("zip archive"));
    assert!(reason(b"").contains("zip archive"));
}

#[test]
fn an_entry_that_unpacks_to_more_than_it_says_is_refused() {
    // The entry is packed by hand: 4 MiB of zeros that claim to be 100 bytes.
    let mut packed = Vec::new();
    let mut encoder = flate2::write::DeflateEncoder::new(&mut packed, flate2::Compression::best());
    encoder.write_all(&vec![0; 4 << 20]).expect("it is packed");
    encoder.finish().expect("it ends");
    let honest =
        archive("<image w='9' h='9'><stack><layer src='a'/></stack></image>", "a", &packed);
    let mut bomb = honest.clone();
    // The method and the unpacked size of the entry `a`, in its local header and in the directory.
    let local = honest.windows(4).rposition(|at| at == b"PK\x03\x04").expect("a header");
    let central = honest.windows(4).rposition(|at| at == b"PK\x01\x02").expect("a header");
    for (method, size) in [(local + 8, local + 22), (central + 10, central + 24)] {
        bomb[method..method + 2].copy_from_slice(&8u16.to_le_bytes());
        bomb[size..size + 4].copy_from_slice(&100u32.to_le_bytes());
    }
    assert!(reason(&bomb).contains("not as long as it says"), "{}", reason(&bomb));
}

#[test]
fn every_file_that_is_cut_short_or_changed_is_read_or_refused() {
    let bytes = encode(&example(), &plain(60, 40, [0; 4])).expect("it is encoded");
    for end in (0..bytes.len()).step_by(7) {
        assert!(read(&bytes[..end]).is_err());
    }
    let mut state = 1u32;
    for _ in 0..2000 {
        let mut changed = bytes.clone();
        for _ in 0..3 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = state as usize % changed.len();
            changed[at] = (state >> 24) as u8;
        }
        let _ = read(&changed);
    }
}

#[test]
fn every_blend_mode_has_a_name_of_its_own() {
    for blend in Blend::ALL {
        assert_eq!(blend_of(operator_of(blend)), Some(blend));
    }
    assert_eq!(blend_of("krita:gamma_dark"), None);
}

#[test]
fn pictures_that_no_document_can_be_are_not_written() {
    let picture = example();
    let merged = plain(60, 40, [0; 4]);
    let none = OraPicture { layers: Vec::new(), ..picture.clone() };
    let wide = OraPicture { width_px: MAX_SIDE_PX + 1, ..picture };
    assert!(encode(&none, &merged).is_err() && encode(&wide, &merged).is_err());
}
