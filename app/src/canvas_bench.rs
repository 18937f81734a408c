//! Measures the window's frames while a large document is moved, zoomed and painted on, without a
//! screen.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_engine::EngineError;
use atelier_engine::canvas::{Area, Blend, Document, LayerKind};
use atelier_engine::library::Models;
use atelier_engine::protocol::{JobContext, Output, Request, Size};
use atelier_engine::service::{Engine, Runner};
use egui::{Context, Event, Modifiers, PointerButton, Pos2, pos2, vec2};
use serde::Serialize;

use crate::action::{Action, EditorAction, ToolAction};
use crate::frame_bench::frame;
use crate::frame_log::FrameReport;
use crate::i18n::Language;
use crate::services::{EngineLink, Librarian, LibraryPlace};
use crate::shell::{Shell, ShellParts};
use crate::state::editor::Tool;
use crate::state::{SavedSettings, View};

/// Frames of each measurement.
const FRAMES: usize = 240;

/// Where the canvas's middle is, in points.
const MIDDLE: Pos2 = pos2(760.0, 400.0);

/// Holds what was measured with a document of some layers.
#[derive(Debug, Clone, Serialize)]
pub struct CanvasReport {
    /// From opening to the frame that has every tile, in milliseconds.
    pub opening_ms: f64,
    /// While the view is moved at full size.
    pub panning: FrameReport,
    /// While the view is zoomed from the whole document to single pixels and back.
    pub zooming: FrameReport,
    /// While a brush of 60 pixels paints with the whole document in sight.
    pub painting_small: FrameReport,
    /// While a brush of 200 pixels paints at full size.
    pub painting_large: FrameReport,
}

/// Refuses every job: there are none here.
pub(crate) struct Idle;

impl Runner for Idle {
    fn run(&mut self, _: &Request, _: &JobContext) -> Result<Output, EngineError> {
        Err(EngineError::Stopped)
    }

    fn forget_models(&mut self) {}
}

/// Opens a document of `side_px` pixels each way with three layers and returns how long the frames
/// took: events, strokes, compositing, panels and tessellation, but not what the graphics card does.
///
/// # Errors
/// When no thread is to be had, or the document cannot be as large.
pub fn bench_canvas(folder: &Path, side_px: u32) -> anyhow::Result<CanvasReport> {
    let place = LibraryPlace {
        data_folder: folder.join("library"),
        settings_file: folder.join("settings.json"),
        models: Models::standard(),
        find_writers: |_| Vec::new(),
    };
    let librarian = Librarian::spawn(place, |_| (), || ())?;
    let engine = EngineLink::new(Engine::spawn(Idle, Arc::new(|| ()))?);
    let settings = SavedSettings { language: Some(Language::English), ..SavedSettings::default() };
    let ctx = Context::default();
    let shell = Shell::new(&ctx, ShellParts { engine, librarian, settings, entropy: 1 });
    let mut stage = Stage { ctx, shell, began: Instant::now(), at: MIDDLE };
    for _ in 0..30 {
        stage.frame(Vec::new());
        std::thread::sleep(Duration::from_millis(5));
    }

    let document = sample(side_px)?;
    let opening = Instant::now();
    stage.act(EditorAction::BeginWith("bench".to_owned(), Box::new(document)));
    stage.frame(Vec::new());
    while stage.frame(Vec::new()) > Duration::from_millis(4) {}
    let opening_ms = opening.elapsed().as_secs_f64() * 1e3;

    stage.act(EditorAction::SetView(View::Free { scale: 1.0, offset: [0.0, 0.0] }));
    let panning = stage.measure(|n| {
        let way = n as f32 / FRAMES as f32 * std::f32::consts::TAU;
        let offset = [way.cos() * 900.0, way.sin() * 900.0];
        (Vec::new(), Some(View::Free { scale: 1.0, offset }))
    });
    let zooming = stage.measure(|n| {
        let share = 1.0 - (2.0 * n as f32 / FRAMES as f32 - 1.0).abs();
        let scale = 0.15 * 80.0_f32.powf(share);
        (Vec::new(), Some(View::Free { scale, offset: [0.0, 0.0] }))
    });
    stage.act(EditorAction::SetView(View::Fit));
    let painting_small = stage.paint(60.0);
    stage.act(EditorAction::SetView(View::Free { scale: 1.0, offset: [0.0, 0.0] }));
    let painting_large = stage.paint(200.0);
    stage.shell.close();
    Ok(CanvasReport { opening_ms, panning, zooming, painting_small, painting_large })
}

/// Makes a document with a picture that differs everywhere, a layer that multiplies and one that is
/// half there.
fn sample(side_px: u32) -> Result<Document, EngineError> {
    let mut document = Document::new(Size { width_px: side_px, height_px: side_px })?;
    let area = document.area();
    for (name, blend, opacity) in [
        ("ground", Blend::Normal, 255),
        ("shade", Blend::Multiply, 200),
        ("paint", Blend::Normal, 128),
    ] {
        let id = document.add_layer(name, LayerKind::Raster)?;
        let Some(layer) = document.layer_mut(id) else { continue };
        (layer.blend, layer.opacity) = (blend, opacity);
        let seed = u32::from(opacity);
        layer.pixels.change(area, |[x, y], row| {
            for (column, pixel) in row.chunks_exact_mut(4).enumerate() {
                let place =
                    (x as u32 + column as u32).wrapping_mul(31) ^ (y as u32).wrapping_mul(17);
                let [r, g, b, a] = (place.wrapping_mul(2_654_435_761) ^ seed).to_le_bytes();
                pixel.copy_from_slice(&[r, g, b, a | 0x80]);
            }
        });
    }
    let top = Area::new(0, 0, side_px, side_px / 2);
    if let Some(layer) = document.layers.last_mut() {
        layer.pixels.keep_within(top);
    }
    Ok(document)
}

struct Stage {
    ctx: Context,
    shell: Shell,
    began: Instant,
    at: Pos2,
}

impl Stage {
    fn act(&mut self, action: EditorAction) {
        self.shell.act(&self.ctx, Action::Editor(action));
    }

    fn measure(
        &mut self,
        mut plan: impl FnMut(usize) -> (Vec<Event>, Option<View>),
    ) -> FrameReport {
        let mut durations_ms = Vec::with_capacity(FRAMES);
        for number in 0..FRAMES {
            let (events, view) = plan(number);
            if let Some(view) = view {
                self.act(EditorAction::SetView(view));
            }
            durations_ms.push(self.frame(events).as_secs_f64() * 1e3);
        }
        FrameReport::of(&durations_ms)
    }

    /// Paints circles, 20 points in a frame by four events.
    fn paint(&mut self, size_px: f32) -> FrameReport {
        self.act(EditorAction::Tool(ToolAction::Take(Tool::Brush)));
        self.act(EditorAction::Tool(ToolAction::Size(size_px)));
        let button = |pos, pressed| Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        self.frame(vec![Event::PointerMoved(MIDDLE)]);
        self.frame(vec![button(MIDDLE, true)]);
        let report = self.measure(|number| {
            let place = |part: usize| {
                let way = (number * 4 + part) as f32 * 0.025;
                MIDDLE + vec2(way.cos(), way.sin()) * 200.0
            };
            ((0..4).map(|part| Event::PointerMoved(place(part))).collect(), None)
        });
        self.frame(vec![button(MIDDLE, false)]);
        report
    }

    /// Draws one frame as eframe would and returns how long it took.
    fn frame(&mut self, events: Vec<Event>) -> Duration {
        if let Some(Event::PointerMoved(at)) = events.last() {
            self.at = *at;
        }
        frame(&self.ctx, &mut self.shell, self.began, events)
    }
}
