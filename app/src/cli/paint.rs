//! `atelier paint`: a prompt becomes a picture.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use atelier_engine::EngineError;
use atelier_engine::library::{
    HOUSE_PICTURE, Models, PictureDefaults, PictureModel, peak_memory_bytes,
};
use atelier_engine::pipelines::{diffusion, picture, planned_size};
use atelier_engine::protocol::{
    DeviceChoice, Extras, ModelRef, NoiseSource, Output, Picture, PictureRequest, Precision,
    PreviewMode, Prompt, Request, SamplerKind, Sampling, Size, Source,
};
use atelier_engine::service::Engine;
use atelier_engine::store::{files, png};
use clap::Args;
use serde_json::json;

use super::job::{self, Report};
use super::output::{self, Place};
use super::paint_extras::{ExtrasArgs, SamplingArgs};
use super::precision::PrecisionName;
use super::{Console, Interrupt, Voice, latents, machine, notices, progress, studio};

/// What begins the name of a picture whose name was not chosen.
const PREFIX: &str = "atelier";

/// How long the calling thread sleeps at most between two looks at the job.
const PAUSE: Duration = Duration::from_millis(50);

/// Holds the arguments of `atelier paint`.
#[derive(Debug, Clone, Args)]
pub struct PaintArgs {
    /// What the picture shows, for instance "a red fox in the snow"
    pub prompt: String,
    /// File to write; `-` is standard output. Without it, a new file in the current folder
    #[arg(short, long, value_name = "FILE.png")]
    pub output: Option<PathBuf>,
    /// Model to paint with: its name, or the path of its file or folder
    #[arg(long, value_name = "NAME|PATH", default_value = HOUSE_PICTURE)]
    pub model: String,
    /// What the picture does not show
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub negative: String,
    /// Width in pixels, a multiple of 32, or of 64 for Stable Diffusion 1 and 2; what the model was
    /// trained at when not given
    #[arg(long, value_name = "N")]
    pub width: Option<u32>,
    /// Height in pixels, likewise
    #[arg(long, value_name = "N")]
    pub height: Option<u32>,
    /// Sampling steps, 1 to 150
    #[arg(long, value_name = "N")]
    pub steps: Option<u32>,
    /// Strength of the prompt, 0 to 30; 1 is off
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub guidance: Option<f32>,
    /// Sampler: euler, heun, dpmpp_2m or unipc for the house model; others have all of euler, euler_a,
    /// heun, dpm2, dpm2_a, lms, dpmpp_2m, dpmpp_2m_sde, dpmpp_sde, dpmpp_3m_sde, unipc, ddpm, ddim,
    /// pndm, lcm, tcd
    #[arg(long, value_name = "NAME", value_parser = parse_sampler)]
    pub sampler: Option<SamplerKind>,
    #[command(flatten)]
    pub(super) sampling: SamplingArgs,
    /// Seed of the first picture; the n-th of a batch has the seed plus n. Random when not given
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Number of pictures
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub batch: u32,
    /// Starting noise: tensor `noise`, `[batch, c, h, w]` f32, of a safetensors file
    #[arg(long, value_name = "FILE.safetensors")]
    pub init_noise: Option<PathBuf>,
    /// Writes the latents before decoding: tensor `latents`, `[batch, c, h, w]` f32
    #[arg(long, value_name = "FILE.safetensors")]
    pub save_latents: Option<PathBuf>,
    /// Device to compute on: auto, cpu, cuda:N or metal:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = parse_device)]
    pub device: DeviceChoice,
    /// How exactly the processor computes
    #[arg(long, value_enum, default_value_t = PrecisionName::Fast)]
    pub precision: PrecisionName,
    #[command(flatten)]
    pub(super) extras: ExtrasArgs,
    /// Prints one JSON object per event
    #[arg(long, conflicts_with = "quiet")]
    pub json: bool,
    /// Prints nothing but the file's path and errors
    #[arg(short, long)]
    pub quiet: bool,
}

fn parse_sampler(name: &str) -> Result<SamplerKind, String> {
    SamplerKind::from_id(&name.to_lowercase()).ok_or_else(|| {
        let names: Vec<_> = SamplerKind::ALL.iter().map(|kind| kind.id()).collect();
        format!("the samplers are {}", names.join(", "))
    })
}

/// Reads a device's name.
pub(super) fn parse_device(name: &str) -> Result<DeviceChoice, String> {
    let name = name.to_lowercase();
    let (kind, number) = name.split_once(':').unwrap_or((&name, "0"));
    match (kind, number.parse::<usize>(), name.contains(':')) {
        ("auto", _, false) => Ok(DeviceChoice::Auto),
        ("cpu", _, false) => Ok(DeviceChoice::Cpu),
        ("cuda", Ok(number), _) => Ok(DeviceChoice::Cuda(number)),
        ("metal", Ok(number), _) => Ok(DeviceChoice::Metal(number)),
        _ => Err("the devices are auto, cpu, cuda:N and metal:N".to_owned()),
    }
}

impl PaintArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        Voice::of(self.json, self.quiet)
    }

    /// Returns the models of this machine, with those in the folders that were given.
    fn models(&self) -> Models {
        Models::standard().with_folders(self.extras.models.iter().cloned())
    }

    /// Makes the request that the arguments describe; what they leave open is as the model was
    /// trained.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the seeds of the batch go past the largest number; those
    /// of [`PictureDefaults::of`].
    pub fn request(&self) -> Result<PictureRequest, EngineError> {
        let usual = PictureDefaults::of(&self.models(), &self.model, self.extras.choice())?;
        let seed = self.seed.unwrap_or_else(machine::random_seed);
        if seed.checked_add(u64::from(self.batch)).is_none() {
            return Err(EngineError::invalid("seed", "is too large for the batch"));
        }
        let mut extras = self.extras.extras()?;
        Ok(PictureRequest {
            model: ModelRef::named(&self.model),
            prompt: Prompt {
                text: self.prompt.clone(),
                negative: self.negative.clone(),
                styles: Vec::new(),
            },
            size: self.size(&usual, extras.source.as_mut())?,
            sampling: self.sampling.apply(Sampling {
                sampler: self.sampler.unwrap_or(usual.sampling.sampler),
                steps: self.steps.unwrap_or(usual.sampling.steps),
                guidance: self.guidance.unwrap_or(usual.sampling.guidance),
                ..usual.sampling
            }),
            seed,
            count: self.batch,
            noise: self.init_noise.clone().map_or(NoiseSource::Seed, NoiseSource::File),
            preview: PreviewMode::Off,
            device: self.device,
            precision: self.precision.into(),
            keep_latents: self.save_latents.is_some(),
            extras,
        })
    }

    /// Returns the size at which the model paints: the one that was given, or the best for the part of a
    /// picture that is to be changed, or else the usual one.
    fn size(
        &self,
        usual: &PictureDefaults,
        source: Option<&mut Source>,
    ) -> Result<Size, EngineError> {
        let Some(source) = source else { return Ok(self.given_size(usual)) };
        if self.width.is_some() || self.height.is_some() {
            // All of the picture is scaled and cropped to the size that was asked for.
            source.region = None;
            return Ok(self.given_size(usual));
        }
        let rules = match self.models().locate_picture(&self.model)? {
            PictureModel::House(_) => picture::SIZE_RULES,
            PictureModel::Diffusion(_) => diffusion::size_rules(usual.grid_px, usual.size),
        };
        planned_size(source, &rules)
    }

    fn given_size(&self, usual: &PictureDefaults) -> Size {
        Size {
            width_px: self.width.unwrap_or(usual.size.width_px),
            height_px: self.height.unwrap_or(usual.size.height_px),
        }
    }
}

/// Paints what the arguments describe with the models of this machine.
///
/// # Errors
/// Whatever kept it from being painted or written.
pub fn paint(
    arguments: &PaintArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let order = Order::new(arguments)?;
    let models = arguments.models();
    let licence = studio::licence(&models, &order.request.model.name)?;
    order.carry_out(&studio::engine(models)?, &licence, console, interrupt)
}

/// What is to be painted and where it goes, both checked as far as can be without a model.
struct Order {
    request: PictureRequest,
    place: Place,
    latents: Option<PathBuf>,
}

impl Order {
    fn new(arguments: &PaintArgs) -> Result<Self, EngineError> {
        let request = arguments.request()?;
        match arguments.models().locate_picture(&request.model.name)? {
            PictureModel::House(_) => picture::validate(&request)?,
            PictureModel::Diffusion(_) => diffusion::validate(&request)?,
        }
        let place = Place::resolve(arguments.output.as_deref(), request.count)?;
        if place == Place::Standard && arguments.json {
            return Err(EngineError::invalid("output", "cannot be `-` together with --json"));
        }
        if let Some(path) = &arguments.save_latents {
            output::check_file("save-latents", path)?;
        }
        Ok(Self { request, place, latents: arguments.save_latents.clone() })
    }

    /// Paints on an engine that wakes the calling thread, writes the pictures and tells about them.
    fn carry_out(
        self,
        engine: &Engine,
        licence: &str,
        console: &mut Console,
        interrupt: &Interrupt,
    ) -> Result<(), EngineError> {
        let Self { request, place, latents } = self;
        let start = Instant::now();
        let seed = request.seed;
        let mut desk = Desk { console, place, licence, written: 0, start };
        let asked = json!(request);
        let outcome = job::run(
            engine,
            Request::Picture(Box::new(request)),
            interrupt,
            PAUSE,
            &mut |report| desk.take(report, &asked),
        )?;
        let Output::Picture(made) = outcome else {
            return Err(EngineError::Model { reason: "no picture came out".to_owned() });
        };
        for picture in made.pictures.iter().skip(desk.written) {
            desk.write(picture)?;
        }
        if let Some(path) = latents {
            let Some(latents) = &made.latents else {
                return Err(EngineError::Model { reason: "no latents came out".to_owned() });
            };
            files::write_atomic(&path, &latents::encode(latents)?)?;
        }
        for notice in &made.notices {
            notices::tell(notice, desk.console);
        }
        desk.tell_end(seed);
        Ok(())
    }
}

/// Writes pictures as they come and tells about them.
struct Desk<'a> {
    console: &'a mut Console,
    place: Place,
    licence: &'a str,
    written: usize,
    start: Instant,
}

impl Desk<'_> {
    fn take(&mut self, report: Report<'_>, asked: &serde_json::Value) -> Result<(), EngineError> {
        match report {
            Report::Started(id) => {
                let event = json!({ "event": "started", "job": id, "request": asked });
                self.console.event(&event);
            }
            Report::Progress(live) => {
                self.console.bar(&progress::draw(live));
                self.console.event(&json!({
                    "event": "progress",
                    "stage": live.stage,
                    "steps": live.steps,
                    "seconds": self.start.elapsed().as_secs_f64(),
                }));
            }
            Report::Picture(picture) => self.write(picture)?,
            Report::Text(_) => {}
        }
        Ok(())
    }

    fn write(&mut self, picture: &Picture) -> Result<(), EngineError> {
        let bytes = png::encode(&picture.pixels, &picture.recipe, self.licence)?;
        let stem = files::picture_stem(PREFIX, &picture.recipe.prompt.text, picture.recipe.seed);
        let file = self.place.write(self.written + 1, &stem, &bytes)?;
        self.written += 1;
        match file {
            Some(file) => {
                self.console.event(&json!({
                    "event": "picture",
                    "file": file.to_string_lossy(),
                    "seed": picture.recipe.seed,
                    "recipe": picture.recipe,
                }));
                if self.console.voice() != Voice::Json {
                    self.console.line(&file.display().to_string());
                }
            }
            None => self.console.bytes(&bytes),
        }
        Ok(())
    }

    fn tell_end(&mut self, seed: u64) {
        let seconds = self.start.elapsed().as_secs_f64();
        self.console.note(&format!("Seed {seed}, {seconds:.1} s"));
        self.console.event(&json!({
            "event": "finished",
            "pictures": self.written,
            "seed": seed,
            "seconds": seconds,
            "peak_memory_bytes": peak_memory_bytes(),
        }));
    }
}

/// Makes a request with the usual settings and seed 5, for benchmarks and tests.
pub(super) fn example_request(prompt: &str) -> PictureRequest {
    PictureRequest {
        model: ModelRef::named(HOUSE_PICTURE),
        prompt: Prompt { text: prompt.to_owned(), ..Prompt::default() },
        size: Size { width_px: 256, height_px: 256 },
        sampling: Sampling::default(),
        seed: 5,
        count: 1,
        noise: NoiseSource::Seed,
        preview: PreviewMode::Off,
        device: DeviceChoice::Auto,
        precision: Precision::Fast,
        keep_latents: false,
        extras: Extras::default(),
    }
}

#[cfg(test)]
#[path = "paint_tests.rs"]
mod tests;
