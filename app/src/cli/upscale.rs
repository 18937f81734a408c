//! `atelier upscale`: a picture becomes larger.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use atelier_engine::EngineError;
use atelier_engine::library::{HOUSE_UPSCALER, Models, peak_memory_bytes};
use atelier_engine::pipelines::enlarge;
use atelier_engine::protocol::{
    DeviceChoice, EnlargeRequest, Enlarged, Extras, MemoryUse, ModelRef, Output, Prompt, Refine,
    Request, Size,
};
use atelier_engine::service::Engine;
use atelier_engine::store::png;
use clap::Args;
use serde_json::json;

use super::job::{self, Report};
use super::output::Place;
use super::paint::parse_device;
use super::precision::PrecisionName;
use super::{Console, Interrupt, Voice, notices, progress, studio};

/// How long the calling thread sleeps at most between two looks at the job.
const PAUSE: Duration = Duration::from_millis(50);

/// Holds the arguments of `atelier upscale`.
#[derive(Debug, Clone, Args)]
pub struct UpscaleArgs {
    /// Picture to enlarge: PNG, JPEG or WebP
    pub picture: PathBuf,
    /// How many times as wide and high it becomes, 1 to 16; parts of a number too
    #[arg(
        short = 'x',
        long,
        value_name = "F",
        default_value_t = 4.0,
        allow_negative_numbers = true
    )]
    pub factor: f32,
    /// Net that enlarges: its name, or the path of a .pth or .safetensors file; `lanczos` for none. The
    /// house's own when not given
    #[arg(long, value_name = "NAME|PATH")]
    pub model: Option<String>,
    /// Paints over the enlarged picture in tiles, so that it gains detail
    #[arg(long)]
    pub refine: bool,
    /// How far refining may leave the enlarged picture, above 0 to 1
    #[arg(
        long,
        value_name = "F",
        default_value_t = Refine::STRENGTH,
        requires = "refine",
        allow_negative_numbers = true
    )]
    pub strength: f32,
    /// What the picture shows, for refining; what its recipe says when not given
    #[arg(long, value_name = "TEXT", requires = "refine")]
    pub prompt: Option<String>,
    /// Model that refines: its name, or the path of a file or folder; the one that painted the picture
    /// when not given, else the house's own
    #[arg(long, value_name = "NAME|PATH", requires = "refine")]
    pub model_refine: Option<String>,
    /// Seed of refining's noise; that of the picture's recipe when not given
    #[arg(long, value_name = "N", requires = "refine")]
    pub seed: Option<u64>,
    /// Saves memory while refining: parts of the model are in memory one after the other
    #[arg(long, requires = "refine")]
    pub low_memory: bool,
    /// File to write; `-` is standard output. Without it, a new file in the current folder
    #[arg(short, long, visible_alias = "out", value_name = "FILE.png")]
    pub output: Option<PathBuf>,
    /// Folder of models of another program, used where it is; may be given several times
    #[arg(long, value_name = "FOLDER")]
    pub models: Vec<PathBuf>,
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

impl UpscaleArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        Voice::of(self.json, self.quiet)
    }

    /// Returns how the enlarged picture is painted over, if it is.
    fn refinement(&self) -> Option<Box<Refine>> {
        let memory = if self.low_memory { MemoryUse::Low } else { MemoryUse::Automatic };
        self.refine.then(|| {
            Box::new(Refine {
                model: self.model_refine.as_ref().map(ModelRef::named),
                prompt: self
                    .prompt
                    .as_ref()
                    .map(|text| Prompt { text: text.clone(), ..Prompt::default() }),
                seed: self.seed,
                extras: Extras { memory, ..Extras::default() },
                ..Refine::new(self.strength)
            })
        })
    }
}

/// Enlarges a picture with the models of this machine.
///
/// # Errors
/// Whatever kept it from being enlarged or written.
pub fn upscale(
    arguments: &UpscaleArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let models = Models::standard().with_folders(arguments.models.iter().cloned());
    let model = match &arguments.model {
        Some(model) => model.clone(),
        None if models.locate_upscaler(HOUSE_UPSCALER).is_ok() => HOUSE_UPSCALER.to_owned(),
        None => {
            console.note("The house's net is not here; enlarging by Lanczos's filter");
            EnlargeRequest::LANCZOS.to_owned()
        }
    };
    let request = EnlargeRequest {
        device: arguments.device,
        precision: arguments.precision.into(),
        refine: arguments.refinement(),
        ..EnlargeRequest::new(&arguments.picture, model, arguments.factor)
    };
    enlarge::validate(&request)?;
    if request.model.name != EnlargeRequest::LANCZOS {
        models.locate_upscaler(&request.model.name)?;
    }
    let place = Place::resolve(arguments.output.as_deref(), 1)?;
    if place == Place::Standard && arguments.json {
        return Err(EngineError::invalid("output", "cannot be `-` together with --json"));
    }
    carry_out(request, &place, &studio::engine(models)?, console, interrupt)
}

/// Enlarges on an engine that wakes the calling thread, writes the picture and tells about it.
fn carry_out(
    request: EnlargeRequest,
    place: &Place,
    engine: &Engine,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let start = Instant::now();
    let asked = json!(request);
    let request = Request::Enlarge(Box::new(request));
    let outcome = job::run(engine, request, interrupt, PAUSE, &mut |report| {
        match report {
            Report::Started(id) => {
                console.event(&json!({ "event": "started", "job": id, "request": asked }));
            }
            Report::Progress(live) => {
                console.bar(&progress::draw(live));
                console.event(&json!({
                    "event": "progress",
                    "stage": live.stage,
                    "steps": live.steps,
                    "seconds": start.elapsed().as_secs_f64(),
                }));
            }
            Report::Picture(_) | Report::Text(_) => {}
        }
        Ok(())
    })?;
    let Output::Enlarged(made) = outcome else {
        return Err(EngineError::Model { reason: "no picture came out".to_owned() });
    };
    let Enlarged { pixels, recipe, licence, .. } = &made.enlarged;
    let size = Size { width_px: pixels.width_px, height_px: pixels.height_px };
    let bytes = png::encode_enlarged(pixels, recipe, licence)?;
    let stem = recipe.picture.path.file_stem().unwrap_or_default().to_string_lossy();
    match place.write(1, &format!("{stem}-x{}", recipe.factor), &bytes)? {
        Some(file) => {
            console.event(&json!({
                "event": "picture",
                "file": file.to_string_lossy(),
                "size": size,
                "recipe": recipe,
                "licence": licence,
            }));
            if console.voice() != Voice::Json {
                console.line(&file.display().to_string());
            }
        }
        None => console.bytes(&bytes),
    }
    for notice in &made.notices {
        notices::tell(notice, console);
    }
    let seconds = start.elapsed().as_secs_f64();
    console.note(&format!("{} × {} pixels, {seconds:.1} s", size.width_px, size.height_px));
    console.event(&json!({
        "event": "finished",
        "seconds": seconds,
        "peak_memory_bytes": peak_memory_bytes(),
    }));
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        upscale: UpscaleArgs,
    }

    #[test]
    fn the_factor_may_be_a_part_and_the_output_has_two_names() {
        let parse = |words: &[&str]| Line::try_parse_from(words).map(|line| line.upscale);
        let arguments = parse(&["upscale", "a.png", "-x", "2.5", "--out", "b.png"]).unwrap();
        assert_eq!((arguments.factor, arguments.output), (2.5, Some("b.png".into())));
        assert_eq!(parse(&["upscale", "a.png"]).unwrap().factor, 4.0);
        assert!(parse(&["upscale", "a.png", "--json", "--quiet"]).is_err());
        assert!(parse(&["upscale"]).is_err());
        assert_eq!(parse(&["upscale", "a.png"]).unwrap().refinement(), None);
        let refining = ["upscale", "a.png", "--refine", "--prompt", "a fox", "--strength", "0.4"];
        let refine = parse(&refining).unwrap().refinement().unwrap();
        assert_eq!((refine.strength, refine.model), (0.4, None));
        assert_eq!(refine.prompt.unwrap().text, "a fox");
        // What is meant for refining alone is not passed over.
        assert!(parse(&["upscale", "a.png", "--prompt", "a fox"]).is_err());
    }
}
