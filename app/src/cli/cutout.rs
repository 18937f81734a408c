//! `atelier cutout`: a picture loses its background.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use atelier_engine::EngineError;
use atelier_engine::library::{Models, peak_memory_bytes};
use atelier_engine::protocol::{
    CutOutOutput, CutOutRequest, DeviceChoice, Notice, Output, Request, Size,
};
use atelier_engine::service::Engine;
use atelier_engine::store::png;
use clap::Args;
use serde_json::json;

use super::job::{self, Report};
use super::output::Place;
use super::paint::parse_device;
use super::precision::PrecisionName;
use super::{Console, Interrupt, Voice, progress, studio};

/// How long the calling thread sleeps at most between two looks at the job.
const PAUSE: Duration = Duration::from_millis(50);
/// The share of a picture below which it is said that there may be no subject.
const LEAST_SHARE: f32 = 0.002;

/// Holds the arguments of `atelier cutout`.
#[derive(Debug, Clone, Args)]
pub struct CutoutArgs {
    /// Picture to cut the subject out of: PNG, JPEG or WebP
    pub picture: PathBuf,
    /// File to write; `-` is standard output. Without it, a new file in the current folder
    #[arg(short, long, visible_alias = "out", value_name = "FILE.png")]
    pub output: Option<PathBuf>,
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

impl CutoutArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        Voice::of(self.json, self.quiet)
    }
}

/// Cuts the subject out of a picture with the house's net.
///
/// # Errors
/// Whatever kept it from being cut out or written.
pub fn cut_out(
    arguments: &CutoutArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let models = Models::standard();
    models.locate_segmenter()?;
    let request = CutOutRequest {
        device: arguments.device,
        precision: arguments.precision.into(),
        ..CutOutRequest::new(&arguments.picture)
    };
    let place = Place::resolve(arguments.output.as_deref(), 1)?;
    if place == Place::Standard && arguments.json {
        return Err(EngineError::invalid("output", "cannot be `-` together with --json"));
    }
    let engine = studio::engine(models)?;
    let start = Instant::now();
    let made = carry_out(&request, &engine, start, console, interrupt)?;
    let stem = request.picture.path.file_stem().unwrap_or_default().to_string_lossy();
    let size = Size { width_px: made.pixels.width_px, height_px: made.pixels.height_px };
    let bytes = png::encode_plain(&made.pixels)?;
    match place.write(1, &format!("{stem}-cutout"), &bytes)? {
        Some(file) => {
            console.event(&json!({
                "event": "picture",
                "file": file.to_string_lossy(),
                "size": size,
                "subject_share": made.subject_share,
                "licence": made.licence,
            }));
            if console.voice() != Voice::Json {
                console.line(&file.display().to_string());
            }
        }
        None => console.bytes(&bytes),
    }
    tell_notices(&made.notices, console);
    if made.subject_share < LEAST_SHARE {
        console.note("Next to nothing of the picture was found to be its subject");
    }
    let seconds = start.elapsed().as_secs_f64();
    let percent = 100.0 * made.subject_share;
    console.note(&format!(
        "{} × {} pixels, {percent:.0}% of them subject, {seconds:.1} s",
        size.width_px, size.height_px
    ));
    console.event(&json!({
        "event": "finished",
        "seconds": seconds,
        "peak_memory_bytes": peak_memory_bytes(),
    }));
    Ok(())
}

/// Runs the request on an engine that wakes the calling thread, and tells about it.
fn carry_out(
    request: &CutOutRequest,
    engine: &Engine,
    start: Instant,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<CutOutOutput, EngineError> {
    let asked = json!(request);
    let request = Request::CutOut(Box::new(request.clone()));
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
    match outcome {
        Output::CutOut(made) => Ok(*made),
        _ => Err(EngineError::Model { reason: "no picture came out".to_owned() }),
    }
}

fn tell_notices(notices: &[Notice], console: &mut Console) {
    for notice in notices {
        let mut event = json!(notice);
        event["event"] = json!("notice");
        console.event(&event);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        cutout: CutoutArgs,
    }

    #[test]
    fn the_output_has_two_names_and_json_is_not_quiet() {
        let parse = |words: &[&str]| Line::try_parse_from(words).map(|line| line.cutout);
        let arguments = parse(&["cutout", "a.png", "--out", "b.png", "--json"]).unwrap();
        assert_eq!((arguments.voice(), arguments.output), (Voice::Json, Some("b.png".into())));
        assert!(parse(&["cutout", "a.png", "--json", "--quiet"]).is_err());
        assert!(parse(&["cutout"]).is_err());
    }
}
