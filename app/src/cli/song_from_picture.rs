//! `atelier song-from-picture`: music for a picture, by its colours and the words of its recipe.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use atelier_engine::EngineError;
use atelier_engine::pipelines::sound::from_picture::{PictureSong, SongField, song_of_picture};
use atelier_engine::protocol::{Instrument, Pixels};
use atelier_engine::store::png;
use clap::Args;
use serde_json::json;

use super::compose::{Kind, MakingArgs, carry_out};
use super::{Console, Interrupt, Voice};

/// How a PNG file begins.
const PNG: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// The longest side of a picture that is read, in pixels.
const MAX_SIDE_PX: u32 = 16_384;
/// The most memory that decoding may take.
const MAX_BYTES: u64 = 1 << 30;

/// Holds the arguments of `atelier song-from-picture`.
#[derive(Debug, Clone, Args)]
pub struct SongArgs {
    /// Picture: PNG, JPEG or WebP
    pub picture: PathBuf,
    /// Words of the picture, instead of those of its recipe
    #[arg(long, value_name = "TEXT")]
    pub words: Option<String>,
    #[command(flatten)]
    pub making: MakingArgs,
}

/// Composes for a picture and writes the music.
///
/// # Errors
/// Whatever kept the picture from being read, or the music from being composed or written.
pub fn song_from_picture(
    arguments: &SongArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let kind = Kind::of(&arguments.making.output)?;
    let (picture, found) = read_picture(&arguments.picture)?;
    let words = arguments.words.clone().unwrap_or(found);
    let song = song_of_picture(&picture, &words);
    let mut event = json!(song);
    event["event"] = json!("picture");
    console.event(&event);
    if console.voice() == Voice::Plain {
        tell(&song, console);
    }
    let request = arguments.making.request(song.prompt, song.plan, None);
    carry_out(request, &arguments.making.output, kind, console, interrupt)
}

/// Says what the picture set, trait by trait.
fn tell(song: &PictureSong, console: &mut Console) {
    for link in &song.links {
        let by = format!("{:?}", link.by).to_lowercase();
        let sets = match &link.sets {
            SongField::Tonic(tonic) => {
                format!(
                    "tonic {}",
                    ["C", "D♭", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"]
                        [usize::from(*tonic) % 12]
                )
            }
            SongField::Mode(mode) => format!("{mode:?}").to_lowercase(),
            SongField::TempoBpm(tempo) => format!("{tempo:.0} a minute"),
            SongField::Density(density) => format!("{density:?} notes").to_lowercase(),
            SongField::Instruments(players) => {
                players.iter().copied().map(Instrument::id).collect::<Vec<_>>().join(", ")
            }
        };
        console.note(&format!("{by:<11} → {sets}"));
    }
}

/// Reads a picture and the words of its recipe, empty where it has none.
fn read_picture(path: &Path) -> Result<(Pixels, String), EngineError> {
    let failed = |error: std::io::Error| EngineError::io("read the picture", path, &error);
    let mut head = Vec::new();
    File::open(path).map_err(failed)?.take(8).read_to_end(&mut head).map_err(failed)?;
    if head == PNG {
        let pixels = png::decode_file(path)?;
        // A picture without a recipe, or with one that is broken, has its colours all the same.
        let recipe = png::read_recipe_file(path).ok();
        let words = recipe.map(|found| match (found.request, found.foreign) {
            (Some(request), _) => request.prompt.text,
            (None, Some(_)) => found.text.lines().next().unwrap_or_default().to_owned(),
            (None, None) => String::new(),
        });
        return Ok((pixels, words.unwrap_or_default()));
    }
    let refused = |error: image::ImageError| match error {
        image::ImageError::IoError(error) => failed(error),
        error => EngineError::damaged(path, format!("cannot be read as a picture ({error})")),
    };
    let file = File::open(path).map_err(failed)?;
    let mut reader =
        image::ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(failed)?;
    let mut limits = image::Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE_PX), Some(MAX_SIDE_PX));
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let rgba = reader.decode().map_err(refused)?.into_rgba8();
    let (width, height) = rgba.dimensions();
    Pixels::new(width, height, rgba.into_raw())
        .map(|pixels| (pixels, String::new()))
        .ok_or_else(|| EngineError::damaged(path, "holds no pixels"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn pictures_of_every_kind_are_read_and_others_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let red = image::RgbImage::from_pixel(20, 10, image::Rgb([220, 20, 20]));
        for name in ["a.png", "a.jpg", "a.webp"] {
            let path = folder.path().join(name);
            red.save(&path).unwrap();
            let (pixels, words) = read_picture(&path).unwrap();
            assert_eq!((pixels.width_px, pixels.height_px, words.as_str()), (20, 10, ""), "{name}");
        }
        let text = folder.path().join("a.txt");
        std::fs::write(&text, "no picture").unwrap();
        assert!(matches!(read_picture(&text), Err(EngineError::Damaged { .. })));
        let gone = folder.path().join("gone.png");
        assert!(matches!(read_picture(&gone), Err(EngineError::Io { .. })));
    }
}
