//! Work on sound: reading, looking, measuring, writing. Each task has a thread of its own and ends
//! early when its piece is no longer at hand, so that the window never waits for an hour of sound.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use atelier_engine::EngineError;
use atelier_engine::audio::peaks::Peaks;
use atelier_engine::audio::recipe::{Tags, is_sound, recipe_of};
use atelier_engine::audio::spectrogram::{SpectrogramPlan, spectrogram_of};
use atelier_engine::audio::write::{SampleFormat, flac, wav};
use atelier_engine::audio::{loudness, midi, read, synth};
use atelier_engine::protocol::{Pcm, Pixels};
use atelier_engine::store::files::write_atomic;

use crate::state::{ResultId, SoundFormat, SpectrumAsk, SpectrumPart};
use crate::theme::spectrum_colour;
use crate::update::{Incoming, OpenedSound, SoundExport, SoundNews, SoundTask};

/// Sounds of at most so many samples have their exact outline at once.
const SKETCH_FROM_SAMPLES: usize = 8_000_000;

/// Columns and rows of a spectrogram.
const SPECTRUM_PX: [usize; 2] = [1024, 320];

/// Levels between which a spectrogram has its colours, in decibels of full scale.
const SPECTRUM_DB: [f32; 2] = [-96.0, -12.0];

/// Is the window's end of the workers.
pub struct SoundDesk {
    tell: Tell,
    news: Receiver<SoundNews>,
}

#[derive(Clone)]
struct Tell {
    news: Sender<SoundNews>,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// The latest piece or file; work for earlier ones ends.
    latest: Arc<AtomicU64>,
}

impl Tell {
    fn say(&self, news: SoundNews) {
        // Nobody listens any more only while the window closes.
        let _closing = self.news.send(news);
        (self.wake)();
    }

    fn go_on(&self, number: u64) -> Result<(), EngineError> {
        match self.latest.load(Ordering::Relaxed) == number {
            true => Ok(()),
            false => Err(EngineError::Cancelled),
        }
    }
}

impl SoundDesk {
    /// Makes the desk; `wake` is called when there is news.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        let (send, news) = channel();
        let latest = Arc::new(AtomicU64::new(0));
        Self { tell: Tell { news: send, wake: Arc::new(wake), latest }, news }
    }

    /// Begins a task; never blocks.
    pub fn carry_out(&self, task: SoundTask) {
        let tell = self.tell.clone();
        let begun = match task {
            SoundTask::Open { number, file, result } => {
                start("atelier-open-sound", move || match open(&file, result) {
                    Ok(opened) => tell.say(SoundNews::Opened(number, Box::new(opened))),
                    Err(error) => tell.say(SoundNews::NotOpened(number, error)),
                })
            }
            SoundTask::Look { number, pcm } => {
                tell.latest.store(number, Ordering::Relaxed);
                start("atelier-look", move || look(number, &pcm, &tell))
            }
            SoundTask::Spectrum { number, pcm, ask } => start("atelier-spectrum", move || {
                let news = match spectrum(&pcm, ask, &mut || tell.go_on(number)) {
                    Ok(pixels) => {
                        let part = SpectrumPart { ask, pixels: Arc::new(pixels) };
                        SoundNews::Spectrum(number, Box::new(part))
                    }
                    Err(_) => SoundNews::NoSpectrum(number),
                };
                tell.say(news);
            }),
            SoundTask::Export { export, to } => start("atelier-export", move || {
                tell.say(match write(&export, &to) {
                    Ok(()) => SoundNews::Exported(to),
                    Err(error) => SoundNews::Failed(error),
                });
            }),
        };
        if let Err(error) = begun {
            let error = EngineError::io("start the work on", Path::new("sound"), &error);
            self.tell.say(SoundNews::Failed(error));
        }
    }

    /// Takes what was done since the last call; never blocks.
    pub fn poll(&self) -> impl Iterator<Item = Incoming> {
        self.news.try_iter().map(Incoming::Sound)
    }
}

fn start(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// Opens a sound or a MIDI file.
fn open(file: &Path, result: Option<ResultId>) -> Result<OpenedSound, EngineError> {
    let mut head = Vec::new();
    let refused = |error: io::Error| EngineError::io("read the sound", file, &error);
    File::open(file).and_then(|opened| opened.take(12).read_to_end(&mut head)).map_err(refused)?;
    // Tags that are broken do not keep the sound from being heard.
    let found = match is_sound(&head) {
        true => recipe_of(file).unwrap_or_default(),
        false => Default::default(),
    };
    let (pcm, score) = if head.starts_with(b"MThd") {
        let score = midi::read_file(file)?;
        (synth::render(&score, synth::SAMPLE_RATE_HZ, &mut |_, _| Ok(()))?, Some(score))
    } else {
        (read::read_file(file)?, found.score)
    };
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let title = found.title.or_else(|| found.request.as_ref().map(|r| r.prompt.clone()));
    Ok(OpenedSound {
        file: file.to_owned(),
        result,
        title: title.filter(|title| !title.trim().is_empty()).or(stem).unwrap_or_default(),
        pcm: Arc::new(pcm),
        score: score.map(Arc::new),
        recipe: found.request.map(Arc::new),
    })
}

/// Makes the outline, of a long sound a sketch first, and then measures the loudness.
fn look(number: u64, pcm: &Pcm, tell: &Tell) {
    if pcm.samples.len() > SKETCH_FROM_SAMPLES {
        tell.say(SoundNews::Outline(number, Arc::new(Peaks::sketch(pcm))));
    }
    tell.say(SoundNews::Outline(number, Arc::new(Peaks::of(pcm))));
    // What cannot be measured has no number beside it.
    if let Ok(loudness) = loudness::measure_reporting(pcm, &mut || tell.go_on(number)) {
        tell.say(SoundNews::Loudness(number, loudness));
    }
}

/// Paints a spectrogram, the lowest frequency at the bottom.
fn spectrum(
    pcm: &Pcm,
    ask: SpectrumAsk,
    go_on: &mut dyn FnMut() -> Result<(), EngineError>,
) -> Result<Pixels, EngineError> {
    let rate_hz = f64::from(pcm.sample_rate_hz);
    let frame = |secs: f64| ((secs * rate_hz).max(0.0) as usize).min(pcm.frames());
    let stretch = frame(ask.span.start_secs)..frame(ask.span.end_secs);
    let [columns, rows] = SPECTRUM_PX;
    // A short stretch is seen sharper in time, a long one in pitch.
    let per_column = stretch.len() / columns;
    let window = (4 * per_column).next_power_of_two().clamp(1024, 4096);
    let plan = SpectrogramPlan { columns, rows, window, is_logarithmic: true };
    let levels = spectrogram_of(pcm, stretch, plan, &mut |_, _| go_on())?.levels_db;
    let [low, high] = SPECTRUM_DB;
    let shades: Vec<[u8; 4]> = (0_u8..=255)
        .map(|shade| spectrum_colour(f32::from(shade) / 255.0, ask.is_dark).to_array())
        .collect();
    let mut rgba = Vec::with_capacity(columns * rows * 4);
    for row in (0..rows).rev() {
        for column in 0..columns {
            let share = (levels[column * rows + row] - low) / (high - low);
            rgba.extend(shades[(share.clamp(0.0, 1.0) * 255.0) as usize]);
        }
    }
    Pixels::new(columns as u32, rows as u32, rgba)
        .ok_or_else(|| EngineError::invalid("spectrogram", "has a size that cannot be drawn"))
}

/// Writes a piece into a file, with its recipe and its licence in the tags.
fn write(export: &SoundExport, to: &Path) -> Result<(), EngineError> {
    let found = export.file.as_deref().and_then(|file| recipe_of(file).ok()).unwrap_or_default();
    let tags = Tags {
        title: export.title.clone(),
        licence: found.licence.unwrap_or_default(),
        recipe: export.recipe.as_deref().cloned(),
        score: export.score.as_deref().cloned(),
    };
    let bytes = match (export.format, &export.score) {
        (SoundFormat::Wav, _) => wav(&export.pcm, SampleFormat::Int24, &tags)?,
        (SoundFormat::Flac, _) => flac(&export.pcm, SampleFormat::Int16, &tags)?,
        (SoundFormat::Midi, Some(score)) => midi::encode(score, &tags)?,
        (SoundFormat::Midi, None) => {
            return Err(EngineError::invalid("sound", "has no notes; save it as WAV or FLAC"));
        }
    };
    write_atomic(to, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::TimeSpan;
    use crate::theme::spectrum_colour;

    #[test]
    fn a_spectrogram_has_a_low_tone_at_the_bottom() -> Result<(), EngineError> {
        let rate_hz = 44_100;
        let samples = (0..rate_hz as i32).map(|n| 0.5 * (n as f32 * 0.0142).sin()).collect();
        let pcm = Pcm { sample_rate_hz: rate_hz, channels: 1, samples };
        let ask = SpectrumAsk { span: TimeSpan::whole(1.0), is_dark: true };
        let pixels = spectrum(&pcm, ask, &mut || Ok(()))?;
        let width = pixels.width_px as usize;
        let light = |row: usize| pixels.rgba[(row * width + width / 2) * 4 + 1];
        let rows = 0..pixels.height_px as usize;
        let most = rows.clone().map(light).max().unwrap_or_default();
        // A tone is as wide as the window of the transform lets it be: its middle counts.
        let brightest: Vec<usize> = rows.filter(|row| light(*row) == most).collect();
        let middle = brightest.iter().sum::<usize>() as f64 / brightest.len() as f64;
        // 99.7 Hz of 30 to 22,050 Hz: 18 % of the height from the bottom.
        let share = 1.0 - middle / f64::from(pixels.height_px);
        assert!((share - 0.18).abs() < 0.03, "{share}");
        assert_eq!(light(10), spectrum_colour(0.0, true).g());
        Ok(())
    }

    /// Takes 1.3 GB: `cargo test --workspace --lib an_hour -- --ignored --nocapture`.
    #[test]
    #[ignore = "takes 1.3 GB of memory"]
    fn an_hour_is_handed_to_the_window_within_a_fifth_of_a_second() {
        let rate_hz = 44_100;
        let samples = (0..rate_hz as usize * 3600 * 2).map(|n| (n % 997) as f32 / 1994.0).collect();
        let pcm = Arc::new(Pcm { sample_rate_hz: rate_hz, channels: 2, samples });
        let desk = SoundDesk::new(|| ());
        let begun = std::time::Instant::now();
        desk.carry_out(SoundTask::Look { number: 1, pcm });
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let outlines = desk.news.iter().take(1).filter_map(|news| match news {
                SoundNews::Outline(_, outline) => Some((outline.is_sketch(), begun.elapsed())),
                _ => None,
            });
            seen.extend(outlines);
        }
        // The measuring of the loudness ends with the next piece.
        desk.tell.latest.store(2, Ordering::Relaxed);
        println!("an hour of stereo at 44,100 Hz: (sketch, after) {seen:?}");
        assert!(seen[0].0 && !seen[1].0);
        assert!(seen[0].1.as_millis() < 200, "{seen:?}");
    }
}
