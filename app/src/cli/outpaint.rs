//! `atelier outpaint`: a picture is continued beyond its edges.

use std::path::PathBuf;

use atelier_engine::EngineError;
use atelier_engine::library::HOUSE_PICTURE;
use atelier_engine::protocol::{Borders, DeviceChoice, RegionMode};
use clap::Args;

use super::paint::{PaintArgs, paint, parse_device};
use super::paint_extras::{ExtrasArgs, SamplingArgs};
use super::precision::PrecisionName;
use super::{Console, Interrupt, Voice};

/// Holds the arguments of `atelier outpaint`.
#[derive(Debug, Clone, Args)]
pub struct OutpaintArgs {
    /// Picture that is to be continued; none of its pixels changes
    pub image: PathBuf,
    /// Pixels that are added on the left
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub left: u32,
    /// Pixels that are added on the right
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub right: u32,
    /// Pixels that are added above
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub top: u32,
    /// Pixels that are added below
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub bottom: u32,
    /// What is added shows; without it, the background is continued
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub prompt: String,
    /// What is added does not show
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub negative: String,
    /// File to write; `-` is standard output. Without it, a new file in the current folder
    #[arg(short, long, value_name = "FILE.png")]
    pub output: Option<PathBuf>,
    /// Model to paint with: its name, or the path of its file or folder
    #[arg(long, value_name = "NAME|PATH", default_value = HOUSE_PICTURE)]
    pub model: String,
    /// Folder of models: a plain one, or an installation of AUTOMATIC1111's web UI or ComfyUI
    #[arg(long, value_name = "FOLDER")]
    pub models: Vec<PathBuf>,
    /// Pixels over which the new part fades in, from the picture's edge outwards
    #[arg(long, value_name = "N")]
    pub feather: Option<u32>,
    /// Sampling steps, 1 to 150
    #[arg(long, value_name = "N")]
    pub steps: Option<u32>,
    /// Strength of the prompt, 0 to 30; 1 is off
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub guidance: Option<f32>,
    /// Seed of the first picture; the n-th of a batch has the seed plus n. Random when not given
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Number of pictures
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub batch: u32,
    /// Device to compute on: auto, cpu, cuda:N or metal:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = parse_device)]
    pub device: DeviceChoice,
    /// How exactly the processor computes
    #[arg(long, value_enum, default_value_t = PrecisionName::Fast)]
    pub precision: PrecisionName,
    /// Prints one JSON object per event
    #[arg(long, conflicts_with = "quiet")]
    pub json: bool,
    /// Prints nothing but the file's path and errors
    #[arg(short, long)]
    pub quiet: bool,
}

impl OutpaintArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        Voice::of(self.json, self.quiet)
    }

    /// Returns the arguments of `atelier paint` that mean the same.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when nothing is added.
    fn as_paint(&self) -> Result<PaintArgs, EngineError> {
        let added = Borders {
            left_px: self.left,
            top_px: self.top,
            right_px: self.right,
            bottom_px: self.bottom,
        };
        if added.is_empty() {
            let reason = "must be given on one side at least: --left, --right, --top or --bottom";
            return Err(EngineError::invalid("border", reason));
        }
        let mut extras = ExtrasArgs::default();
        extras.models.clone_from(&self.models);
        extras.init = Some(self.image.clone());
        extras.strength = Some(1.0);
        extras.region.mode = Some(RegionMode::Fill);
        extras.region.feather = self.feather;
        extras.region.added = added;
        Ok(PaintArgs {
            prompt: self.prompt.clone(),
            output: self.output.clone(),
            model: self.model.clone(),
            negative: self.negative.clone(),
            width: None,
            height: None,
            steps: self.steps,
            guidance: self.guidance,
            sampler: None,
            sampling: SamplingArgs::default(),
            seed: self.seed,
            batch: self.batch,
            init_noise: None,
            save_latents: None,
            device: self.device,
            precision: self.precision,
            extras,
            json: self.json,
            quiet: self.quiet,
        })
    }
}

/// Continues a picture beyond its edges with the models of this machine.
///
/// # Errors
/// Whatever kept it from being painted or written.
pub fn outpaint(
    arguments: &OutpaintArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    paint(&arguments.as_paint()?, console, interrupt)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        outpaint: OutpaintArgs,
    }

    fn request(words: &[&str]) -> Result<atelier_engine::protocol::PictureRequest, EngineError> {
        let line = Line::try_parse_from(std::iter::once(&"outpaint").chain(words)).unwrap();
        line.outpaint.as_paint()?.request()
    }

    #[test]
    fn borders_become_a_region_of_the_picture_and_none_is_wrong_input() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.png");
        image::RgbaImage::from_pixel(90, 60, image::Rgba([9, 9, 9, 255])).save(&file).unwrap();
        let file = file.to_string_lossy();
        let made = request(&[&file, "--left", "30", "--bottom", "20", "--seed", "3"]).unwrap();
        let source = made.extras.source.unwrap();
        let added = source.region.unwrap().added;
        assert_eq!((added.left_px, added.bottom_px, added.top_px), (30, 20, 0));
        assert_eq!((source.strength, made.prompt.text.as_str()), (1.0, ""));
        assert!(request(&[&file]).unwrap_err().to_string().contains("on one side at least"));
        let far = request(&[&file, "--left", "60000"]).unwrap_err();
        assert!(far.to_string().contains("at most 16384 pixels each way"), "{far}");
        assert!(request(&["nowhere.png", "--left", "3"]).is_err());
    }
}
