//! `atelier compose`: music from words, from other music, or from a picture.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use atelier_engine::EngineError;
use atelier_engine::audio::midi;
use atelier_engine::audio::recipe::Tags;
use atelier_engine::audio::write::{SampleFormat, flac, wav};
use atelier_engine::library::{HOUSE_COMPOSER, Models, peak_memory_bytes};
use atelier_engine::pipelines::sound::{self, parse_key, parse_metre};
use atelier_engine::protocol::{
    DeviceChoice, GivenMusic, GivenUse, Instrument, Key, Metre, ModelRef, MusicPlan, Notice,
    Output, Request, SoundOutput, SoundRequest, TokenSampling,
};
use atelier_engine::store::files;
use clap::Args;
use serde_json::json;

use super::job::{self, Report};
use super::paint::parse_device;
use super::{Console, Interrupt, Voice, machine, output, progress, studio};

/// How long the calling thread sleeps at most between two looks at the job.
const PAUSE: Duration = Duration::from_millis(20);

/// Holds the arguments of `atelier compose`.
#[derive(Debug, Clone, Args)]
pub struct ComposeArgs {
    /// What the music is to be like: mood, key, metre, tempo, instruments, length, density
    pub prompt: Option<String>,
    /// Length in seconds, 1 to 600
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seconds: Option<f32>,
    /// Key, for instance `C minor`, `F#` or `Bb major`
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub key: Option<Key>,
    /// Tempo in quarter notes a minute, 20 to 300
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub tempo: Option<f32>,
    /// Metre, for instance 3/4
    #[arg(long, value_name = "N/N", value_parser = metre)]
    pub metre: Option<Metre>,
    /// Instruments, the highest first, for instance flute,piano; at most 4, and drums
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = instrument)]
    pub instruments: Vec<Instrument>,
    /// Music to go on from, or to vary: a MIDI file
    #[arg(long, value_name = "FILE.mid")]
    pub midi_in: Option<PathBuf>,
    /// Varies the music of --midi-in instead of going on from it
    #[arg(long, requires = "midi_in")]
    pub vary: bool,
    #[command(flatten)]
    pub making: MakingArgs,
}

/// Holds what every command has that makes music.
#[derive(Debug, Clone, Args)]
pub struct MakingArgs {
    /// File to write: .wav, .flac or .mid
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Seed of the choice. Random when not given
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How freely notes are chosen, 0 to 5; 0 always takes the likeliest
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub temperature: Option<f32>,
    /// Composer: its name, or the path of a .gguf file
    #[arg(long, value_name = "NAME|PATH", default_value = HOUSE_COMPOSER)]
    pub model: String,
    /// Device to compute on: auto, cpu, cuda:N or metal:N
    #[arg(long, value_name = "DEVICE", default_value = "auto", value_parser = parse_device)]
    pub device: DeviceChoice,
    /// Prints one JSON object per event
    #[arg(long)]
    pub json: bool,
    /// Prints nothing but errors
    #[arg(long, conflicts_with = "json")]
    pub quiet: bool,
}

fn key(text: &str) -> Result<Key, String> {
    parse_key(text).ok_or_else(|| "write it as C minor, F# or Bb major".to_owned())
}

fn metre(text: &str) -> Result<Metre, String> {
    parse_metre(text).ok_or_else(|| "write it as 3/4 or 6/8".to_owned())
}

fn instrument(text: &str) -> Result<Instrument, String> {
    let wanted = text.trim().to_lowercase().replace([' ', '-'], "_");
    Instrument::ALL.into_iter().find(|one| one.id() == wanted).ok_or_else(|| {
        format!(
            "there is no such instrument; there are {}",
            Instrument::ALL.map(Instrument::id).join(", ")
        )
    })
}

impl MakingArgs {
    /// Returns how much is told.
    pub fn voice(&self) -> Voice {
        Voice::of(self.json, self.quiet)
    }

    /// Makes the request that these arguments complete.
    pub fn request(
        &self,
        prompt: String,
        plan: MusicPlan,
        given: Option<GivenMusic>,
    ) -> SoundRequest {
        let usual = TokenSampling::for_music();
        let temperature = self.temperature.unwrap_or(usual.temperature);
        SoundRequest {
            model: ModelRef::named(&self.model),
            prompt,
            plan,
            given,
            sampling: TokenSampling { temperature, ..usual },
            seed: self.seed.unwrap_or_else(machine::random_seed),
            device: self.device,
        }
    }
}

impl ComposeArgs {
    /// Makes the request that the arguments describe.
    ///
    /// # Errors
    /// When the given music cannot be read.
    pub fn request(&self) -> Result<SoundRequest, EngineError> {
        let usage = if self.vary { GivenUse::Vary } else { GivenUse::Continue };
        let given = match &self.midi_in {
            Some(path) => Some(GivenMusic { score: midi::read_file(path)?, usage }),
            None => None,
        };
        let plan = MusicPlan {
            duration_secs: self.seconds,
            key: self.key,
            metre: self.metre,
            tempo_bpm: self.tempo,
            instruments: self.instruments.clone(),
            density: None,
        };
        let prompt = self.prompt.clone().unwrap_or_default();
        Ok(self.making.request(prompt, plan, given))
    }
}

/// Composes what the arguments describe and writes it.
///
/// # Errors
/// Whatever kept it from being composed or written.
pub fn compose(
    arguments: &ComposeArgs,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    let kind = Kind::of(&arguments.making.output)?;
    carry_out(arguments.request()?, &arguments.making.output, kind, console, interrupt)
}

/// Says what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sound without compression.
    Wav,
    /// Sound, compressed without loss.
    Flac,
    /// Notes.
    Midi,
}

impl Kind {
    /// Tells by its ending what a file is to be, and finds out that it can be written.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] or [`EngineError::Io`] when it cannot.
    pub fn of(path: &Path) -> Result<Self, EngineError> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let kind = match ending.as_str() {
            "wav" => Self::Wav,
            "flac" => Self::Flac,
            "mid" | "midi" => Self::Midi,
            _ => {
                let reason = format!("must end in .wav, .flac or .mid, not {}", path.display());
                return Err(EngineError::invalid("output", reason));
            }
        };
        output::check_file("output", path)?;
        Ok(kind)
    }

    fn encode(self, made: &SoundOutput, licence: &str) -> Result<Vec<u8>, EngineError> {
        let sound = &made.sound;
        let tags = Tags::of(&sound.recipe, licence);
        let with_score = || Tags { score: Some(sound.score.as_ref().clone()), ..tags.clone() };
        match self {
            Self::Wav => wav(&sound.pcm, SampleFormat::Int24, &with_score()),
            Self::Flac => flac(&sound.pcm, SampleFormat::Int24, &with_score()),
            Self::Midi => midi::encode(&sound.score, &tags),
        }
    }
}

/// Composes a request on this machine, writes the file and tells about it.
///
/// # Errors
/// Whatever kept it from being composed or written; nothing half-written stays behind.
pub fn carry_out(
    request: SoundRequest,
    path: &Path,
    kind: Kind,
    console: &mut Console,
    interrupt: &Interrupt,
) -> Result<(), EngineError> {
    sound::validate(&request)?;
    let licence = Models::standard().locate_language(&request.model.name)?.licence();
    let start = Instant::now();
    let asked = json!(request);
    let mut report = |report: Report<'_>| {
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
    };
    let request = Request::Sound(Box::new(request));
    let outcome =
        job::run(&studio::engine(Models::standard())?, request, interrupt, PAUSE, &mut report)?;
    let Output::Sound(made) = outcome else {
        return Err(EngineError::Model { reason: "no music came out".to_owned() });
    };
    files::write_atomic(path, &kind.encode(&made, licence.as_deref().unwrap_or_default())?)?;
    tell_end(&made, path, start.elapsed(), console);
    Ok(())
}

fn tell_end(made: &SoundOutput, path: &Path, took: Duration, console: &mut Console) {
    for notice in &made.notices {
        let mut event = json!(notice);
        event["event"] = json!("notice");
        console.event(&event);
        match notice {
            Notice::UnknownWords { words } => console.note(&format!(
                "The composer does not know these words, so they had no influence: {}",
                words.join(", ")
            )),
            Notice::ModelDiffers { .. } => console
                .note("The recipe names another version of the composer, so the music may differ"),
            _ => {}
        }
    }
    let sound = &made.sound;
    if console.voice() != Voice::Json {
        console.line(&path.display().to_string());
    }
    console.note(&format!(
        "{}; seed {}, {:.1} s",
        describe(&made.plan),
        sound.recipe.seed,
        took.as_secs_f64()
    ));
    console.event(&json!({
        "event": "finished",
        "file": path.to_string_lossy(),
        "seed": sound.recipe.seed,
        "recipe": sound.recipe,
        "plan": made.plan,
        "score": *sound.score,
        "music_seconds": sound.score.secs(sound.score.end_ticks()),
        "seconds": took.as_secs_f64(),
        "peak_memory_bytes": peak_memory_bytes(),
    }));
}

/// Says in a line what a plan settles.
fn describe(plan: &MusicPlan) -> String {
    const NAMES: [&str; 12] = ["C", "D♭", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
    let mut parts = Vec::new();
    if let Some(key) = plan.key {
        let mode = format!("{:?}", key.mode).to_lowercase();
        parts.push(format!("{} {mode}", NAMES[usize::from(key.tonic) % 12]));
    }
    if let Some(metre) = plan.metre {
        parts.push(format!("{}/{}", metre.beats, metre.unit));
    }
    if let Some(tempo) = plan.tempo_bpm {
        parts.push(format!("{tempo:.0} a minute"));
    }
    let players: Vec<String> =
        plan.instruments.iter().map(|one| one.id().replace('_', " ")).collect();
    parts.push(players.join(", "));
    if let Some(secs) = plan.duration_secs {
        parts.push(format!("{secs:.0} s of music"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use atelier_engine::protocol::Mode;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        compose: ComposeArgs,
    }

    fn parse(words: &[&str]) -> Result<ComposeArgs, clap::Error> {
        Line::try_parse_from([&["compose"], words].concat()).map(|line| line.compose)
    }

    #[test]
    fn settings_reach_the_request() {
        let words = [
            "sad",
            "--seconds",
            "20",
            "--key",
            "F# minor",
            "--tempo",
            "90",
            "--metre",
            "3/4",
            "--instruments",
            "flute,music box",
            "--seed",
            "4",
            "-o",
            "a.mid",
        ];
        let made = parse(&words).map(|arguments| arguments.request());
        let Ok(Ok(made)) = made else { panic!("{made:?}") };
        assert_eq!(made.prompt, "sad");
        assert_eq!(made.plan.key, Some(Key { tonic: 6, mode: Mode::Minor }));
        assert_eq!(made.plan.metre, Some(Metre { beats: 3, unit: 4 }));
        assert_eq!(made.plan.instruments, [Instrument::Flute, Instrument::MusicBox]);
        assert_eq!((made.plan.duration_secs, made.plan.tempo_bpm), (Some(20.0), Some(90.0)));
        assert_eq!(made.seed, 4);
    }

    #[test]
    fn an_instrument_that_is_none_is_refused_with_those_there_are() {
        let error = parse(&["--instruments", "kazoo", "-o", "a.mid"]).expect_err("it is none");
        let said = error.to_string();
        assert!(said.contains("kazoo") && said.contains("music_box"), "{said}");
    }

    #[test]
    fn a_file_of_another_kind_is_refused_before_the_work() {
        assert!(Kind::of(Path::new("song.mp3")).is_err());
        assert!(Kind::of(Path::new("no/such/folder/song.wav")).is_err());
        assert!(matches!(Kind::of(Path::new("song.FLAC")), Ok(Kind::Flac)));
    }
}
