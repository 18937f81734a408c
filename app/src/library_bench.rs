//! Measures the window's frames while the grid of a large library is scrolled, without a screen.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use atelier_engine::library::Models;
use atelier_engine::service::Engine;
use egui::{
    Context, Event, Modifiers, MouseWheelSource, MouseWheelUnit, Pos2, TouchPhase, pos2, vec2,
};
use serde::Serialize;

use crate::action::{Action, LibraryAction, PickAction, PickMode, Step};
use crate::canvas_bench::Idle;
use crate::frame_bench::{REFRESH, frame};
use crate::frame_log::FrameReport;
use crate::i18n::Language;
use crate::services::{EngineLink, Librarian, LibraryPlace};
use crate::shell::{Shell, ShellParts};
use crate::state::{Room, SavedSettings, Thumbnail};

/// Frames of each measurement.
const FRAMES: usize = 600;

/// Where the grid's middle is, in points.
const MIDDLE: Pos2 = pos2(700.0, 500.0);

/// How far the wheel turns in a frame, in points: slowly, and as fast as a hand does it.
const WHEEL: [f32; 2] = [12.0, 180.0];

/// How long the library may take to answer before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Holds what was measured of the library room.
#[derive(Debug, Clone, Serialize)]
pub struct LibraryFrames {
    /// How many results were listed.
    pub results: usize,
    /// From entering the room to the frame in which every thumbnail in sight is there, in
    /// milliseconds.
    pub opening_ms: f64,
    /// While the wheel turns slowly.
    pub slowly: FrameReport,
    /// While the wheel turns fast.
    pub fast: FrameReport,
    /// While every frame shows another part of the library.
    pub leaping: FrameReport,
    /// While words are typed into the search field.
    pub typing: FrameReport,
    /// How many results were at hand at most.
    pub most_cards: usize,
}

/// Opens the library in `folder`, scrolls through it at 60 Hz and returns how long the frames took:
/// events, panels, text and tessellation, but not what the graphics card does.
///
/// # Errors
/// When no thread is to be had, or the library does not answer.
pub fn bench_library(folder: &Path) -> anyhow::Result<LibraryFrames> {
    let place = LibraryPlace {
        data_folder: folder.to_owned(),
        settings_file: folder.join("settings-of-bench.json"),
        models: Models::standard(),
        find_writers: |_| Vec::new(),
    };
    let librarian = Librarian::spawn(place, |_| (), || ())?;
    let engine = EngineLink::new(Engine::spawn(Idle, Arc::new(|| ()))?);
    let settings = SavedSettings { language: Some(Language::English), ..SavedSettings::default() };
    let ctx = Context::default();
    let shell = Shell::new(&ctx, ShellParts { engine, librarian, settings, entropy: 1 });
    let mut stage = Stage { ctx, shell, began: Instant::now(), most_cards: 0 };
    stage.wait(|stage| stage.shell.state().settings.data_folder.is_some())?;

    let opening = Instant::now();
    stage.act(Action::Enter(Room::Library));
    stage.wait(Stage::is_complete)?;
    let opening_ms = opening.elapsed().as_secs_f64() * 1e3;
    let results = stage.shell.state().shell.library.found.ids.len();
    stage.frame(vec![Event::PointerMoved(MIDDLE)]);
    let [slow, fast] = WHEEL;
    let slowly = stage.measure(|_, _| vec![wheel(slow)]);
    let fast = stage.measure(|_, _| vec![wheel(fast)]);
    let leaping = stage.measure(|stage, number| {
        // A step that shares no factor with the number leads everywhere.
        let to = (number * 7919) % results.max(1);
        stage.jump(to);
        Vec::new()
    });
    stage.act(Action::Library(LibraryAction::Focus));
    let letters = ["f", "o", "x", " ", "s", "n", "o", "w"];
    let typing = stage.measure(|_, number| match number % 12 {
        0 if number / 12 < letters.len() => vec![Event::Text(letters[number / 12].to_owned())],
        _ => Vec::new(),
    });
    let most_cards = stage.most_cards;
    stage.shell.close();
    Ok(LibraryFrames { results, opening_ms, slowly, fast, leaping, typing, most_cards })
}

fn wheel(points: f32) -> Event {
    Event::MouseWheel {
        unit: MouseWheelUnit::Point,
        delta: vec2(0.0, -points),
        phase: TouchPhase::Move,
        source: MouseWheelSource::Unknown,
        modifiers: Modifiers::NONE,
    }
}

struct Stage {
    ctx: Context,
    shell: Shell,
    began: Instant,
    most_cards: usize,
}

impl Stage {
    fn act(&mut self, action: Action) {
        self.shell.act(&self.ctx, action);
    }

    fn frame(&mut self, events: Vec<Event>) -> Duration {
        let took = frame(&self.ctx, &mut self.shell, self.began, events);
        self.most_cards = self.most_cards.max(self.shell.state().shell.library.found.cards.len());
        took
    }

    /// Goes to a place by the keyboard's way: to the first, then there.
    fn jump(&mut self, place: usize) {
        let library = &self.shell.state().shell.library;
        let Some(id) = library.found.ids.get(place).copied() else { return };
        let pick = PickAction::One(id, PickMode::Only);
        self.act(Action::Library(LibraryAction::Pick(pick)));
        for step in [Step::Right, Step::Left] {
            self.act(Action::Library(LibraryAction::Pick(PickAction::Step(step, false))));
        }
    }

    /// Tells whether every result in sight is there with its thumbnail.
    fn is_complete(&self) -> bool {
        let library = &self.shell.state().shell.library;
        let sight = library.found.ids.get(library.grid.sight.clone()).unwrap_or_default();
        let is_there = |id: &i64| {
            let card = library.found.cards.get(*id);
            card.is_some_and(|card| !matches!(card.entry.thumbnail, Thumbnail::Awaited))
        };
        library.found.is_loaded && !sight.is_empty() && sight.iter().all(is_there)
    }

    fn wait(&mut self, reached: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let begin = Instant::now();
        while !reached(self) {
            anyhow::ensure!(begin.elapsed() < PATIENCE, "The library does not answer");
            self.frame(Vec::new());
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn measure(&mut self, mut plan: impl FnMut(&mut Self, usize) -> Vec<Event>) -> FrameReport {
        let mut durations_ms = Vec::with_capacity(FRAMES);
        for number in 0..FRAMES {
            let planning = Instant::now();
            let events = plan(self, number);
            let took = planning.elapsed() + self.frame(events);
            durations_ms.push(took.as_secs_f64() * 1e3);
            thread::sleep(REFRESH.saturating_sub(took));
        }
        FrameReport::of(&durations_ms)
    }
}
