//! Pictures as other programs write them: small files with settings in every place that there is.

use std::io::{Cursor, Write};

use flate2::Crc;
use flate2::write::{GzEncoder, ZlibEncoder};
use image::{ExtendedColorType, ImageEncoder, Rgb, Rgba, RgbaImage};

/// The side of the pictures that are written.
pub const SIDE: u32 = 48;

/// Says how a text stands in a PNG file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextChunk {
    /// As it is.
    Plain,
    /// As UTF-8 with a language.
    International,
    /// Packed.
    Packed,
    /// As UTF-8 with a language, packed.
    InternationalPacked,
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(data);
    let length = (data.len() as u32).to_be_bytes();
    [&length, &kind[..], data, &crc.sum().to_be_bytes()].concat()
}

fn text_chunk(how: TextChunk, keyword: &str, text: &[u8]) -> Vec<u8> {
    let keyword = keyword.as_bytes();
    match how {
        TextChunk::Plain => chunk(b"tEXt", &[keyword, b"\0", text].concat()),
        TextChunk::International => chunk(b"iTXt", &[keyword, b"\0\0\0\0\0", text].concat()),
        TextChunk::Packed => chunk(b"zTXt", &[keyword, b"\0\0", &zlib(text)].concat()),
        TextChunk::InternationalPacked => {
            chunk(b"iTXt", &[keyword, b"\0\x01\0\0\0", &zlib(text)].concat())
        }
    }
}

/// Writes a PNG file with chunks of its own before the pixels.
fn png_of(picture: &RgbaImage, before: &[Vec<u8>]) -> Vec<u8> {
    let (width, height) = picture.dimensions();
    let rows: Vec<u8> = picture
        .as_raw()
        .chunks(width as usize * 4)
        .flat_map(|row| std::iter::once(0).chain(row.iter().copied()))
        .collect();
    let sides = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(chunk(b"IHDR", &[&sides[..], &[8, 6, 0, 0, 0]].concat()));
    file.extend(before.concat());
    file.extend(chunk(b"IDAT", &zlib(&rows)));
    file.extend(chunk(b"IEND", &[]));
    file
}

/// Returns a picture whose pixels depend on a number.
fn picture(number: u8) -> RgbaImage {
    RgbaImage::from_fn(SIDE, SIDE, |x, y| Rgba([x as u8, y as u8, number, 255]))
}

/// Writes a PNG file with texts.
pub fn png(texts: &[(&str, &str)]) -> Vec<u8> {
    png_as(TextChunk::International, texts)
}

/// Writes a PNG file with texts in one of the ways that there are.
pub fn png_as(how: TextChunk, texts: &[(&str, &str)]) -> Vec<u8> {
    let chunks: Vec<Vec<u8>> =
        texts.iter().map(|(keyword, text)| text_chunk(how, keyword, text.as_bytes())).collect();
    png_of(&picture(texts.len() as u8), &chunks)
}

/// Writes a PNG file with a text hidden in the lowest bits of its transparency.
pub fn png_with_hidden(text: &str, is_packed: bool) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::best());
    let packed = gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish()).unwrap_or_default();
    let (mark, body) = match is_packed {
        true => (b"stealth_pngcomp", packed),
        false => (b"stealth_pnginfo", text.as_bytes().to_vec()),
    };
    let bits = (body.len() as u32 * 8).to_be_bytes();
    png_with_bits(&[&mark[..], &bits, &body].concat())
}

/// Writes a PNG file with bytes in the lowest bits of its transparency, column by column.
pub fn png_with_bits(bytes: &[u8]) -> Vec<u8> {
    let side = ((bytes.len() * 8) as f64).sqrt().ceil() as u32;
    let side = side.max(SIDE);
    let mut picture = RgbaImage::from_pixel(side, side, Rgba([9, 9, 9, 254]));
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    for (at, bit) in bits.enumerate() {
        let (column, row) = (at as u32 / side, at as u32 % side);
        picture.get_pixel_mut(column, row).0[3] |= bit;
    }
    png_of(&picture, &[])
}

/// Writes a block of EXIF with one list of tags, each with its kind and its bytes; those from 0x9000 on
/// stand in the list of EXIF itself.
pub fn exif(tags: &[(u16, u16, &[u8])], is_big_endian: bool) -> Vec<u8> {
    let two = |n: u16| if is_big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let four = |n: u32| if is_big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let (first, second): (Vec<_>, Vec<_>) = tags.iter().partition(|(tag, ..)| *tag < 0x9000);
    let mut out = if is_big_endian { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
    out.extend(four(8));
    // Two lists, then the values one after another.
    let list_bytes = |entries: usize| 2 + entries * 12 + 4;
    let second_at = 8 + list_bytes(first.len() + 1);
    let mut value_at = second_at + list_bytes(second.len());
    let mut values = Vec::new();
    let mut write_list = |entries: &[(u16, u16, &[u8])], link: bool| {
        let mut list = two((entries.len() + usize::from(link)) as u16).to_vec();
        for (tag, kind, bytes) in entries {
            list.extend([two(*tag), two(*kind)].concat());
            list.extend(four(bytes.len() as u32));
            if bytes.len() <= 4 {
                list.extend(bytes.iter().copied().chain([0; 4]).take(4));
            } else {
                list.extend(four(value_at as u32));
                values.extend_from_slice(bytes);
                value_at += bytes.len();
            }
        }
        if link {
            list.extend([two(0x8769), two(4)].concat());
            list.extend([four(1), four(second_at as u32)].concat());
        }
        list.extend(four(0));
        list
    };
    let first = write_list(&first, true);
    let second = write_list(&second, false);
    out.extend(first);
    out.extend(second);
    out.extend(values);
    out
}

/// Writes a comment of EXIF in UTF-16.
pub fn unicode_comment(text: &str, is_big_endian: bool) -> Vec<u8> {
    let units = text.encode_utf16().flat_map(|unit| match is_big_endian {
        true => unit.to_be_bytes(),
        false => unit.to_le_bytes(),
    });
    b"UNICODE\0".iter().copied().chain(units).collect()
}

/// Writes a JPEG file with a block of EXIF.
pub fn jpeg(exif: &[u8]) -> Vec<u8> {
    let pixels = image::RgbImage::from_fn(SIDE, SIDE, |x, y| Rgb([x as u8, y as u8, 7]));
    let mut plain = Cursor::new(Vec::new());
    let encoded = image::codecs::jpeg::JpegEncoder::new(&mut plain).write_image(
        pixels.as_raw(),
        SIDE,
        SIDE,
        ExtendedColorType::Rgb8,
    );
    encoded.unwrap_or_default();
    let plain = plain.into_inner();
    let length = ((exif.len() + 8) as u16).to_be_bytes();
    [&plain[..2], b"\xff\xe1", &length, b"Exif\0\0", exif, &plain[2..]].concat()
}

/// Writes a WebP file with a block of EXIF.
pub fn webp(exif: &[u8]) -> Vec<u8> {
    let mut plain = Cursor::new(Vec::new());
    let encoded = image::codecs::webp::WebPEncoder::new_lossless(&mut plain).write_image(
        picture(1).as_raw(),
        SIDE,
        SIDE,
        ExtendedColorType::Rgba8,
    );
    encoded.unwrap_or_default();
    let plain = plain.into_inner();
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let length = (data.len() as u32).to_le_bytes();
        [&kind[..], &length, data, &vec![0; data.len() % 2]].concat()
    };
    let side = (SIDE - 1).to_le_bytes();
    let head = [&[0x18, 0, 0, 0], &side[..3], &side[..3]].concat();
    let body = [&b"WEBP"[..], &chunk(b"VP8X", &head), &plain[12..], &chunk(b"EXIF", exif)].concat();
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}
