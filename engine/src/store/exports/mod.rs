//! Pictures as files for other programs: PNG, JPEG, WebP and TIFF, each of which says that its
//! colours are sRGB.

mod colours;

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::{Deserialize, Serialize};
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder, colortype};
use tiff::tags::{ExtraSamples, Tag};

use crate::error::EngineError;
use crate::protocol::Pixels;

/// Names a kind of picture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureFormat {
    /// Keeps every pixel and transparency.
    Png,
    /// Is small and inexact; what is transparent is laid over white.
    Jpeg {
        /// 1 (smallest) to 100 (best).
        quality: u8,
    },
    /// Keeps every pixel and transparency, mostly in less room than PNG.
    WebP,
    /// Keeps every pixel and transparency, for print and photo programs.
    Tiff,
}

impl PictureFormat {
    /// Lists every format, in the order in which they are offered, with the usual quality.
    pub const ALL: [Self; 4] = [Self::Png, Self::Jpeg { quality: 92 }, Self::WebP, Self::Tiff];

    /// Returns the ending of its files, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg { .. } => "jpg",
            Self::WebP => "webp",
            Self::Tiff => "tif",
        }
    }

    /// Returns the format that a file's ending names, in small or large letters; `None` for others.
    pub fn of_extension(extension: &str) -> Option<Self> {
        let [png, jpeg, webp, tiff] = Self::ALL;
        match extension.to_ascii_lowercase().as_str() {
            "png" => Some(png),
            "jpg" | "jpeg" => Some(jpeg),
            "webp" => Some(webp),
            "tif" | "tiff" => Some(tiff),
            _ => None,
        }
    }

    /// Returns the longest side that such a file can have, in pixels.
    fn max_side_px(self) -> u32 {
        match self {
            // Numbers of 31 bits (PNG specification, 11.2.1); TIFF has no limit below 32 bits.
            Self::Png | Self::Tiff => i32::MAX as u32,
            // Numbers of 16 bits (ITU T.81, B.2.2).
            Self::Jpeg { .. } => 65_535,
            // Numbers of 14 bits, less one (RFC 9649, 3.4).
            Self::WebP => 16_384,
        }
    }
}

/// Encodes a picture as a file. No recipe stands in it.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when the pixels do not fit their size, or the picture is larger
/// than the format can hold.
pub fn encode(pixels: &Pixels, format: PictureFormat) -> Result<Vec<u8>, EngineError> {
    let Pixels { width_px, height_px, rgba } = pixels;
    let pixel_count = u64::from(*width_px) * u64::from(*height_px);
    if pixel_count == 0 || rgba.len() as u64 != pixel_count * 4 {
        return Err(EngineError::invalid("picture", "has not as many pixels as its size says"));
    }
    let most = format.max_side_px();
    if *width_px.max(height_px) > most {
        let reason = format!("is too large for this format: at most {most} pixels a side");
        return Err(EngineError::invalid("picture", reason));
    }
    let is_opaque = rgba.iter().skip(3).step_by(4).all(|&alpha| alpha == u8::MAX);
    match format {
        PictureFormat::Png => png(pixels, is_opaque),
        PictureFormat::Jpeg { quality } => jpeg(pixels, quality),
        PictureFormat::WebP => webp(pixels, is_opaque),
        PictureFormat::Tiff => tiff(pixels, is_opaque),
    }
}

/// Makes an error of what an encoder said.
fn failed(error: impl std::fmt::Display) -> EngineError {
    EngineError::invalid("picture", format!("cannot be encoded: {error}"))
}

fn without_alpha(rgba: &[u8]) -> Vec<u8> {
    rgba.chunks_exact(4).flat_map(|pixel| &pixel[..3]).copied().collect()
}

fn png(pixels: &Pixels, is_opaque: bool) -> Result<Vec<u8>, EngineError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, pixels.width_px, pixels.height_px);
    encoder.set_color(if is_opaque { png::ColorType::Rgb } else { png::ColorType::Rgba });
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let mut writer = encoder.write_header().map_err(failed)?;
    if is_opaque {
        writer.write_image_data(&without_alpha(&pixels.rgba)).map_err(failed)?;
    } else {
        writer.write_image_data(&pixels.rgba).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

fn jpeg(pixels: &Pixels, quality: u8) -> Result<Vec<u8>, EngineError> {
    let over_white = |pixel: &[u8]| {
        let alpha = u32::from(pixel[3]);
        [0, 1, 2].map(|at| ((u32::from(pixel[at]) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
    };
    let rgb: Vec<u8> = pixels.rgba.chunks_exact(4).flat_map(over_white).collect();
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100));
    encoder.set_icc_profile(colours::srgb_profile()).map_err(failed)?;
    encoder
        .write_image(&rgb, pixels.width_px, pixels.height_px, ExtendedColorType::Rgb8)
        .map_err(failed)?;
    Ok(bytes)
}

fn webp(pixels: &Pixels, is_opaque: bool) -> Result<Vec<u8>, EngineError> {
    let mut bytes = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut bytes);
    encoder.set_icc_profile(colours::srgb_profile()).map_err(failed)?;
    let (width, height) = (pixels.width_px, pixels.height_px);
    if is_opaque {
        let rgb = without_alpha(&pixels.rgba);
        encoder.write_image(&rgb, width, height, ExtendedColorType::Rgb8)
    } else {
        encoder.write_image(&pixels.rgba, width, height, ExtendedColorType::Rgba8)
    }
    .map_err(failed)?;
    Ok(bytes)
}

fn tiff(pixels: &Pixels, is_opaque: bool) -> Result<Vec<u8>, EngineError> {
    let mut out = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut out)
        .map_err(failed)?
        .with_compression(Compression::Deflate(DeflateLevel::Balanced));
    let mut picture =
        encoder.new_image::<colortype::RGB8>(pixels.width_px, pixels.height_px).map_err(failed)?;
    let profile = colours::srgb_profile();
    picture.encoder().write_tag(Tag::IccProfile, profile.as_slice()).map_err(failed)?;
    if is_opaque {
        picture.write_data(&without_alpha(&pixels.rgba)).map_err(failed)?;
    } else {
        // Said in so many words: without it readers take alpha for multiplied into the colours.
        picture.extra_samples(&[ExtraSamples::UnassociatedAlpha]).map_err(failed)?;
        picture.write_data(&pixels.rgba).map_err(failed)?;
    }
    Ok(out.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(alpha: impl Fn(u32) -> u8) -> Pixels {
        let rgba = (0..60 * 40)
            .flat_map(|at| [(at % 251) as u8, (at / 60 * 6) as u8, (at % 60 * 4) as u8, alpha(at)])
            .collect();
        Pixels::new(60, 40, rgba).expect("the size fits")
    }

    fn read(bytes: &[u8]) -> Vec<u8> {
        image::load_from_memory(bytes).expect("our own file is read").to_rgba8().into_raw()
    }

    #[test]
    fn png_and_webp_come_back_bit_for_bit_with_and_without_transparency() {
        for picture in [picture(|_| 255), picture(|at| (at % 256) as u8)] {
            for format in [PictureFormat::Png, PictureFormat::WebP] {
                let bytes = encode(&picture, format).expect("it is encoded");
                assert!(read(&bytes) == picture.rgba, "{format:?}");
            }
        }
    }

    #[test]
    fn tiff_comes_back_bit_for_bit_and_says_what_its_alpha_is() {
        for picture in [picture(|_| 255), picture(|at| (at % 256) as u8)] {
            let bytes = encode(&picture, PictureFormat::Tiff).expect("it is encoded");
            let mut decoder =
                tiff::decoder::Decoder::new(Cursor::new(&bytes)).expect("a TIFF file");
            let alpha = decoder.find_tag(Tag::ExtraSamples).expect("tags are read");
            let tiff::decoder::DecodingResult::U8(values) = decoder.read_image().expect("pixels")
            else {
                panic!("the file has 8 bits a channel");
            };
            match alpha {
                Some(kind) => {
                    // 2 is unassociated alpha.
                    assert_eq!(kind.into_u16_vec().expect("numbers"), [2]);
                    assert!(values == picture.rgba);
                }
                None => assert!(values == without_alpha(&picture.rgba)),
            }
        }
    }

    #[test]
    fn jpeg_is_close_and_over_white() {
        let bytes =
            encode(&picture(|_| 255), PictureFormat::Jpeg { quality: 95 }).expect("it is encoded");
        let small =
            encode(&picture(|_| 255), PictureFormat::Jpeg { quality: 0 }).expect("it is encoded");
        assert!(small.len() < bytes.len());
        let clear =
            encode(&picture(|_| 0), PictureFormat::Jpeg { quality: 90 }).expect("it is encoded");
        assert!(read(&clear).iter().all(|value| *value >= 254));
    }

    #[test]
    fn what_a_format_cannot_hold_is_refused() {
        let long = Pixels::new(16_385, 1, vec![255; 16_385 * 4]).expect("the size fits");
        assert!(encode(&long, PictureFormat::WebP).is_err());
        assert!(encode(&long, PictureFormat::Tiff).is_ok());
        let odd = Pixels { width_px: 9, height_px: 9, rgba: vec![0; 7] };
        for format in PictureFormat::ALL {
            assert!(encode(&odd, format).is_err());
        }
    }

    #[test]
    fn endings_name_formats() {
        for format in PictureFormat::ALL {
            assert_eq!(PictureFormat::of_extension(format.extension()), Some(format));
        }
        assert_eq!(PictureFormat::of_extension("TIFF"), Some(PictureFormat::Tiff));
        assert_eq!(PictureFormat::of_extension("exe"), None);
    }
}
