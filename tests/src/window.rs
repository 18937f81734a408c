//! A window without a screen: the real shell, librarian and engine thread around a runner that
//! paints gradients, writes one story and plays one scale.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use atelier::action::Action;
use atelier::i18n::Language;
use atelier::services::settings_file::read_settings;
use atelier::services::{EngineLink, LateRunner, Librarian, LibraryPlace};
use atelier::shell::{Shell, ShellParts};
use atelier::state::words::HOUSE_WRITER;
use atelier::state::{AppState, LanguageModel, SavedSettings};
use atelier_engine::EngineError;
use atelier_engine::audio::synth::{SAMPLE_RATE_HZ, render};
use atelier_engine::library::{HOUSE_PICTURE, Models};
use atelier_engine::protocol::{
    EnlargeOutput, EnlargeRequest, Enlarged, Instrument, JobContext, Key, Live, Metre, Mode, Note,
    Notice, Output, Partial, Picture, PictureOutput, PictureRequest, Pixels, Request, Score, Sound,
    SoundOutput, SoundRequest, Stage, Track, WordsEnd, WordsOutput, WordsRequest, WordsStats,
    WordsTask,
};
use atelier_engine::service::{Engine, Runner, Studio};
use atelier_engine::store::{Store, png};
use egui_kittest::Harness;

/// Paints a gradient from the seed, step by step.
#[derive(Debug, Clone)]
pub struct GradientRunner {
    /// How long a step takes.
    pub step: Duration,
    /// Where pictures are saved; `None` for nowhere.
    pub store: Option<Arc<Store>>,
}

impl Runner for GradientRunner {
    fn run(&mut self, request: &Request, job: &JobContext) -> Result<Output, EngineError> {
        let request = match request {
            Request::Picture(request) => request,
            Request::Words(request) => return write(request, self.step, job).map(Output::Words),
            Request::Sound(request) => {
                let output = compose(request, self.step, self.store.as_deref(), job)?;
                return Ok(Output::Sound(Box::new(output)));
            }
            Request::Enlarge(request) => {
                let output = enlarge(request, self.step, self.store.as_deref(), job)?;
                return Ok(Output::Enlarged(Box::new(output)));
            }
            _ => return Err(EngineError::Stopped),
        };
        let mut pictures = Vec::new();
        let total = request.sampling.steps * request.count;
        for index in 0..request.count {
            let recipe = recipe_of(request, index);
            for step in 0..request.sampling.steps {
                let done = index * request.sampling.steps + step + 1;
                let preview = Some(gradient(&recipe, step));
                let steps = Some([done, total]);
                job.report(Live { stage: Stage::Sampling, steps, preview, ..Live::default() })?;
                std::thread::sleep(self.step);
            }
            let pixels = gradient(&recipe, request.sampling.steps);
            let saved = match &self.store {
                Some(store) => Some(store.save_picture(&pixels, &recipe, "CC0-1.0")?),
                None => None,
            };
            let result_id = saved.as_ref().map(|saved| saved.id);
            let file = saved.map(|saved| saved.file);
            let picture = Picture { pixels, recipe, file, result_id };
            job.partial(Partial::Picture(Box::new(picture.clone())));
            pictures.push(picture);
        }
        Ok(Output::Picture(PictureOutput { pictures, notices: Vec::new(), latents: None }))
    }

    fn forget_models(&mut self) {}
}

/// Repeats each pixel of a picture, and says what stands for painting over it.
fn enlarge(
    request: &EnlargeRequest,
    step: Duration,
    store: Option<&Store>,
    job: &JobContext,
) -> Result<EnlargeOutput, EngineError> {
    let small = png::decode(&png::read_file(&request.picture.path)?)?;
    let times = request.factor as usize;
    let width = small.width_px as usize;
    let mut rgba = Vec::with_capacity(small.rgba.len() * times * times);
    for row in small.rgba.chunks_exact(4 * width) {
        let wide: Vec<u8> = row.chunks_exact(4).flat_map(|pixel| pixel.repeat(times)).collect();
        (0..times).for_each(|_| rgba.extend_from_slice(&wide));
    }
    let stages = [Some(Stage::Enlarging), request.refine.as_ref().map(|_| Stage::Refining)];
    for stage in stages.into_iter().flatten() {
        for done in 1..=4 {
            job.report(Live { stage, steps: Some([done, 4]), ..Live::default() })?;
            std::thread::sleep(step);
        }
    }
    let times = request.factor as u32;
    let pixels =
        Pixels { width_px: small.width_px * times, height_px: small.height_px * times, rgba };
    let recipe = request.clone();
    let saved = store.map(|store| store.save_enlarged(&pixels, &recipe, "CC0-1.0")).transpose()?;
    let enlarged = Enlarged {
        pixels: Arc::new(pixels),
        recipe,
        licence: "CC0-1.0".to_owned(),
        result_id: saved.as_ref().map(|saved| saved.id),
        file: saved.map(|saved| saved.file),
    };
    job.partial(Partial::Enlarged(Box::new(enlarged.clone())));
    Ok(EnlargeOutput { enlarged, notices: Vec::new() })
}

/// What [`GradientRunner`] writes, word by word; the seed stands at the end.
pub const STORY: &str = "Once upon a time a red fox lived in the snow.\n\nThe fox saw a cat.";

/// Writes a story word by word, or a prompt.
fn write(
    request: &WordsRequest,
    step: Duration,
    job: &JobContext,
) -> Result<WordsOutput, EngineError> {
    let story = match &request.task {
        WordsTask::Expand { prompt } => format!("{prompt} in the snow"),
        WordsTask::Surprise => "a green cactus in the desert".to_owned(),
        _ => format!("{STORY} Seed {}.", request.seed),
    };
    let mut stats = WordsStats { prompt_tokens: 12, context_tokens: 2_048, ..Default::default() };
    for word in story.split_inclusive(' ') {
        stats.written_tokens += 1;
        stats.decode_secs += 0.02;
        let words = Some(stats);
        job.report(Live { stage: Stage::Writing, words, ..Live::default() })?;
        job.text(word.to_owned());
        std::thread::sleep(step);
    }
    Ok(WordsOutput {
        text: story,
        recipe: request.clone(),
        stats,
        ended: WordsEnd::EndOfText,
        logits: None,
        notices: Vec::new(),
    })
}

/// Writes a scale in the asked key note by note, or goes on from given music; the word “zither” is
/// unknown.
fn compose(
    request: &SoundRequest,
    step: Duration,
    store: Option<&Store>,
    job: &JobContext,
) -> Result<SoundOutput, EngineError> {
    let key = request.plan.key.unwrap_or(Key { tonic: 0, mode: Mode::Major });
    let mut score = match &request.given {
        Some(given) => given.score.clone(),
        None => Score {
            ticks_per_quarter: 12,
            tempo_bpm: request.plan.tempo_bpm.unwrap_or(120.0),
            metre: request.plan.metre.unwrap_or(Metre { beats: 4, unit: 4 }),
            key: Some(key),
            tracks: vec![Track { instrument: Instrument::Piano, notes: Vec::new() }],
        },
    };
    let begin = score.end_ticks() as u32;
    for n in 0..12 {
        let pitch = 60 + key.tonic + [0, 2, 4, 5, 7, 9, 11, 12, 11, 9, 7, 5][n as usize];
        let note = Note { start_ticks: begin + 6 * n, duration_ticks: 6, pitch, velocity: 90 };
        score.tracks[0].notes.push(note);
        let (steps, written) = (Some([n + 1, 12]), Some(Arc::new(score.clone())));
        let stage = Stage::Composing;
        job.report(Live { stage, steps, score: written, ..Live::default() })?;
        std::thread::sleep(step);
    }
    let pcm = Arc::new(render(&score, SAMPLE_RATE_HZ, &mut |_, _| Ok(()))?);
    let score = Arc::new(score);
    let saved = match store {
        Some(store) => Some(store.save_sound(&pcm, &score, request, "CC0-1.0")?),
        None => None,
    };
    let result_id = saved.as_ref().map(|saved| saved.id);
    let file = saved.map(|saved| saved.file);
    let sound = Sound { score, pcm, recipe: request.clone(), file, result_id };
    job.partial(Partial::Sound(Box::new(sound.clone())));
    let mut notices = Vec::new();
    if request.prompt.contains("zither") {
        notices.push(Notice::UnknownWords { words: vec!["zither".to_owned()] });
    }
    Ok(SoundOutput { sound, plan: request.plan.clone(), notices })
}

/// Returns the recipe of the n-th picture of a request.
pub fn recipe_of(request: &PictureRequest, index: u32) -> PictureRequest {
    PictureRequest { seed: request.seed + u64::from(index), count: 1, ..request.clone() }
}

/// Paints a gradient that depends on the recipe's seed and on how far the job is.
pub fn gradient(recipe: &PictureRequest, step: u32) -> Arc<Pixels> {
    let (w, h) = (recipe.size.width_px, recipe.size.height_px);
    let hue = (recipe.seed % 256) as u8;
    let rgba = (0..h)
        .flat_map(|y| (0..w).flat_map(move |x| [(x % 256) as u8, (y % 256) as u8, hue, 255]))
        .map(|value| value.saturating_sub((20u32.saturating_sub(step) * 4).min(255) as u8))
        .collect();
    Arc::new(Pixels { width_px: w, height_px: h, rgba })
}

/// Writes the files of a model that knows a few words and cannot paint.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_model(models: &Path) -> anyhow::Result<()> {
    const WORDS: &str = "a an the red green fox cat cactus rocket snow desert city in above \
        3d flat style 雪地 里的 红 狐狸";
    let folder = models.join(HOUSE_PICTURE);
    std::fs::create_dir_all(&folder)?;
    let header = r#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend(header.bytes());
    weights.extend([0; 4]);
    std::fs::write(folder.join("model.safetensors"), weights)?;
    std::fs::write(folder.join("config.json"), "{}")?;
    let phrases: serde_json::Map<String, serde_json::Value> = WORDS
        .split_whitespace()
        .zip(1u32..)
        .map(|(word, id)| (word.to_owned(), serde_json::json!([id])))
        .collect();
    let lexicon = serde_json::json!({ "version": 1, "max_tokens": 48, "phrases": phrases });
    std::fs::write(folder.join("lexicon.json"), lexicon.to_string())?;
    Ok(())
}

/// Holds a window and what it is made of, until the first frame makes it.
#[derive(Default)]
pub struct OpenWindow {
    parts: Option<ShellParts>,
    shell: Option<Shell>,
}

impl OpenWindow {
    /// Writes down what a window writes down when it is closed.
    pub fn close(&mut self) {
        if let Some(shell) = &mut self.shell {
            shell.close();
        }
    }
}

/// Is a window that a test looks at and clicks in.
pub type Window = Harness<'static, OpenWindow>;

/// Opens a window around a thread that paints gradients, `step` per step, with its data, its
/// settings and its model below `home`.
///
/// # Errors
/// When the operating system gives no thread or no room.
pub fn open(home: &Path, step: Duration, language: Language) -> anyhow::Result<Window> {
    write_model(&home.join("models"))?;
    let models = Models::in_places([home.join("models")]);
    open_around(home, language, models, move |store| {
        Box::new(GradientRunner { step, store: Some(store) })
    })
}

/// Opens an English window around the real engine with the house models, its data and its settings
/// below `home`.
///
/// # Errors
/// As [`open`].
pub fn open_studio(home: &Path) -> anyhow::Result<Window> {
    let models = Models::standard();
    let of_studio = models.clone();
    open_around(home, Language::English, models, move |store| {
        Box::new(Studio::new(Some(store), of_studio))
    })
}

fn open_around(
    home: &Path,
    language: Language,
    models: Models,
    runner: impl FnOnce(Arc<Store>) -> Box<dyn Runner> + Send + 'static,
) -> anyhow::Result<Window> {
    let (opened, library) = channel();
    let runner = LateRunner::new(move || {
        let store = library.recv().map_err(|_| EngineError::Stopped)??;
        Ok(runner(store))
    });
    let engine = Engine::spawn(runner, Arc::new(|| ()))?;
    let place = LibraryPlace {
        data_folder: home.join("library"),
        settings_file: home.join("settings.json"),
        models,
        find_writers: |_| {
            let (name, title) = (HOUSE_WRITER.to_owned(), "House writer".to_owned());
            vec![LanguageModel { name, title, context_tokens: 2_048, need: None }]
        },
    };
    let opened = move |store| {
        let _closing = opened.send(store);
    };
    let saved = read_settings(&home.join("settings.json"));
    let settings = SavedSettings { language: Some(language), ..saved };
    let parts = ShellParts {
        engine: EngineLink::new(engine),
        librarian: Librarian::spawn(place, opened, || ())?,
        settings,
        entropy: 7,
    };
    let stage = OpenWindow { parts: Some(parts), shell: None };
    Ok(Harness::builder()
        .with_size([1280.0, 800.0])
        .with_max_steps(40)
        .with_accessibility_check(true)
        .with_context_setup(atelier::theme::install)
        .build_ui_state(
            |ui, stage: &mut OpenWindow| {
                let parts = stage.parts.take();
                let shell = stage.shell.get_or_insert_with(|| match parts {
                    Some(parts) => Shell::new(ui.ctx(), parts),
                    None => unreachable!("a window is made once"),
                });
                shell.logic(ui.ctx());
                shell.ui(ui);
            },
            stage,
        ))
}

/// Opens an English window, see [`open`].
///
/// # Errors
/// As [`open`].
pub fn open_painting(home: &Path, step: Duration) -> anyhow::Result<Window> {
    open(home, step, Language::English)
}

/// Returns what the window knows.
pub fn state(window: &Window) -> &AppState {
    match &window.state().shell {
        Some(shell) => shell.state(),
        None => unreachable!("the first frame makes the window"),
    }
}

/// Has every file dialog answered by `script`: it gets the proposed name and returns the file.
pub fn answer_dialogs(window: &mut Window, script: impl FnMut(&str) -> Option<PathBuf> + 'static) {
    if let Some(shell) = &mut window.state_mut().shell {
        shell.answer_dialogs(script);
    }
}

/// Does what a person would ask for in a way that the test is not about.
pub fn act(window: &mut Window, action: Action) {
    let ctx = window.ctx.clone();
    if let Some(shell) = &mut window.state_mut().shell {
        shell.act(&ctx, action);
    }
    window.step();
}

#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

/// Drops a file onto the window.
pub fn drop_file(window: &mut Window, file: impl Into<PathBuf>) {
    window.input_mut().dropped_files.push(Arc::new(Dropped(file.into())));
    window.step();
}

/// Draws frames until `reached` holds of the state.
///
/// # Panics
/// When it does not within ten seconds.
pub fn wait_until(window: &mut Window, what: &str, reached: impl Fn(&AppState) -> bool) {
    let begin = Instant::now();
    while !reached(state(window)) {
        assert!(begin.elapsed() < Duration::from_secs(10), "waited in vain for {what}");
        window.step();
        std::thread::sleep(Duration::from_millis(5));
    }
    // Once more, so that the frame shows what was reached.
    window.step();
}

/// Draws frames until the librarian has said what there is, and a few more.
pub fn settle(window: &mut Window) {
    wait_until(window, "the librarian", |state| {
        state.history.loaded && !state.models.devices.is_empty()
    });
    window.run_steps(4);
}
