//! `atelier cutout`: a picture loses its background, or all but what is pointed at.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_engine::EngineError;
use atelier_engine::library::{Models, peak_memory_bytes};
use atelier_engine::protocol::{
    CutOutOutput, CutOutRequest, DeviceChoice, Notice, ObjectBox, ObjectPoint, ObjectPrompt,
    Output, Pixels, Request, Size,
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
    /// Place inside what is meant, in pixels; with `,out` one outside of it. May be given several times
    #[arg(long = "point", value_name = "X,Y[,out]", value_parser = parse_point)]
    pub points: Vec<ObjectPoint>,
    /// Box around what is meant, in pixels from the left and upper edge
    #[arg(long = "box", value_name = "X,Y,W,H", allow_hyphen_values = true, value_parser = parse_box)]
    pub around: Option<ObjectBox>,
    /// Segment Anything model for points and boxes: name or path. Without it, the first that is found
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Which of the three masks is taken, from part (1) to whole (3). Without it, the one that fits best
    #[arg(long, value_name = "1-3", value_parser = clap::value_parser!(u8).range(1..=3))]
    pub part: Option<u8>,
    /// Writes the mask, white on black, in place of the transparent picture
    #[arg(long)]
    pub mask: bool,
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
    /// Returns what is pointed at; `None` where nothing is.
    fn object(&self) -> Result<Option<ObjectPrompt>, EngineError> {
        if self.points.is_empty() && self.around.is_none() {
            return if self.model.is_some() || self.part.is_some() {
                let reason = "needs a --point or a --box that says what is meant";
                Err(EngineError::invalid("model", reason))
            } else {
                Ok(None)
            };
        }
        Ok(Some(ObjectPrompt {
            model: self.model.clone(),
            points: self.points.clone(),
            around: self.around,
            mask: self.part.map(|part| part - 1),
        }))
    }

    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        Voice::of(self.json, self.quiet)
    }
}

/// Cuts the subject out of a picture with the house's net, or what is pointed at with one of the Segment
/// Anything family.
///
/// # Errors
/// Whatever kept it from being cut out or written.
pub fn cut_out(
    arguments: &CutoutArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let models = Models::standard();
    let object = arguments.object()?;
    match &object {
        Some(object) => models.locate_sam(object.model.as_deref()).map(|_| ())?,
        None => models.locate_segmenter().map(|_| ())?,
    }
    let request = CutOutRequest {
        object,
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
    let pixels = if arguments.mask { mask_of(&made) } else { made.pixels.clone() };
    let bytes = png::encode_plain(&pixels)?;
    let kind = if arguments.mask { "mask" } else { "cutout" };
    match place.write(1, &format!("{stem}-{kind}"), &bytes)? {
        Some(file) => {
            console.event(&json!({
                "event": "picture",
                "file": file.to_string_lossy(),
                "size": size,
                "subject_share": made.subject_share,
                "licence": made.licence,
                "model": made.object.as_ref().map(|object| &object.model),
                "qualities": made.object.as_ref().map(|object| &object.qualities),
                "part": made.object.as_ref().and_then(|object| object.chosen).map(|part| part + 1),
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

/// Draws the mask white on black.
fn mask_of(made: &CutOutOutput) -> Arc<Pixels> {
    let values: Vec<u8> = match &made.object {
        Some(object) => object.mask.to_vec(),
        // What was transparent belongs to no subject.
        None => made.pixels.rgba.iter().skip(3).step_by(4).copied().collect(),
    };
    let rgba = values.into_iter().flat_map(|value| [value, value, value, 255]).collect();
    let Pixels { width_px, height_px, .. } = *made.pixels;
    Arc::new(Pixels { width_px, height_px, rgba })
}

fn parse_point(text: &str) -> Result<ObjectPoint, String> {
    let wrong = || format!("must be X,Y or X,Y,out, for instance 120,80; not {text}");
    let mut parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let is_inside = match parts.get(2) {
        None => true,
        Some(&"in") => true,
        Some(&"out") => false,
        Some(_) => return Err(wrong()),
    };
    parts.truncate(2);
    match numbers(&parts.join(",")).as_deref() {
        Some(&[x, y]) => Ok(ObjectPoint { x, y, is_inside }),
        _ => Err(wrong()),
    }
}

fn parse_box(text: &str) -> Result<ObjectBox, String> {
    match numbers(text).as_deref() {
        Some(&[x, y, width, height]) => Ok(ObjectBox { x, y, width, height }),
        _ => Err(format!("must be X,Y,W,H, for instance 40,30,200,160; not {text}")),
    }
}

/// Reads finite numbers between commas.
fn numbers(text: &str) -> Option<Vec<f32>> {
    let number = |part: &str| part.trim().parse().ok().filter(|value: &f32| value.is_finite());
    text.split(',').map(number).collect()
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
        assert_eq!(arguments.voice(), Voice::Json);
        assert_eq!(arguments.output, Some("b.png".into()));
        assert!(parse(&["cutout", "a.png", "--json", "--quiet"]).is_err());
        assert!(parse(&["cutout"]).is_err());
        assert_eq!(arguments.object(), Ok(None));
    }

    #[test]
    fn points_and_a_box_say_what_is_meant_and_anything_else_is_refused() {
        let parse = |words: &[&str]| Line::try_parse_from(words).map(|line| line.cutout);
        let words = ["cutout", "a.png", "--point", "12,8.5", "--point", "3, 4,out"];
        let prompt = parse(&words).unwrap().object().unwrap().unwrap();
        let point = |x, y, is_inside| ObjectPoint { x, y, is_inside };
        assert_eq!(prompt.points, [point(12.0, 8.5, true), point(3.0, 4.0, false)]);
        let words =
            ["cutout", "a.png", "--box", "-2,0,9,8", "--part", "3", "--model", "mobile_sam"];
        let prompt = parse(&words).unwrap().object().unwrap().unwrap();
        let area = ObjectBox { x: -2.0, y: 0.0, width: 9.0, height: 8.0 };
        assert_eq!((prompt.around, prompt.mask), (Some(area), Some(2)));
        for wrong in [
            ["--point", "12"],
            ["--point", "1,2,3"],
            ["--box", "1,2,3"],
            ["--point", "nan,1"],
            ["--part", "4"],
        ] {
            assert!(parse(&["cutout", "a.png", wrong[0], wrong[1]]).is_err(), "{wrong:?}");
        }
        assert!(parse(&["cutout", "a.png", "--part", "1"]).unwrap().object().is_err());
    }
}
