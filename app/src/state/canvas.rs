//! What stands in the middle of the window, and how it is looked at.

use std::sync::Arc;

use atelier_engine::protocol::Pixels;

use super::ResultId;
use super::editor::Editor;

/// How far the canvas zooms, in points per pixel of the picture.
pub const SCALE_RANGE: [f32; 2] = [0.1, 32.0];

/// How many decoded pictures are kept at hand.
const LOADED_MAX: usize = 12;

/// Holds a project of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectEntry {
    /// Its file.
    pub path: std::path::PathBuf,
    /// Its name.
    pub name: String,
}

/// Says what the canvas shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shown {
    /// Nothing yet: the canvas invites.
    #[default]
    Nothing,
    /// The running job's preview.
    Live,
    /// A result.
    Result(ResultId),
}

/// Says how the picture lies on the canvas.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum View {
    /// As large as fits, in the middle.
    #[default]
    Fit,
    /// Placed by hand.
    Free {
        /// Points per pixel of the picture.
        scale: f32,
        /// From the canvas's centre to the picture's, in points.
        offset: [f32; 2],
    },
}

impl View {
    /// Returns the scale at which a picture of `size_px` fits into `canvas` points.
    pub fn fit_scale(size_px: [f32; 2], canvas: [f32; 2]) -> f32 {
        let scale = (canvas[0] / size_px[0].max(1.0)).min(canvas[1] / size_px[1].max(1.0));
        scale.clamp(SCALE_RANGE[0], SCALE_RANGE[1])
    }

    /// Returns scale and offset for a picture of `size_px` on a canvas of `canvas` points.
    pub fn place(self, size_px: [f32; 2], canvas: [f32; 2]) -> (f32, [f32; 2]) {
        match self {
            Self::Fit => (Self::fit_scale(size_px, canvas), [0.0, 0.0]),
            Self::Free { scale, offset } => (scale, offset),
        }
    }

    /// Returns the view zoomed by `factor`, keeping the point under `pointer` (from the canvas's
    /// centre, in points) where it is.
    #[must_use]
    pub fn zoomed(
        self,
        factor: f32,
        pointer: [f32; 2],
        size_px: [f32; 2],
        canvas: [f32; 2],
    ) -> Self {
        let (old, offset) = self.place(size_px, canvas);
        let scale = (old * factor).clamp(SCALE_RANGE[0], SCALE_RANGE[1]);
        let ratio = scale / old;
        let moved = |axis: usize| pointer[axis] + (offset[axis] - pointer[axis]) * ratio;
        Self::Free { scale, offset: [moved(0), moved(1)] }
    }

    /// Returns the view moved by `delta` points, so far that the picture's edge stays in sight.
    #[must_use]
    pub fn panned(self, delta: [f32; 2], size_px: [f32; 2], canvas: [f32; 2]) -> Self {
        let (scale, offset) = self.place(size_px, canvas);
        let moved = |axis: usize| {
            let limit = (size_px[axis] * scale + canvas[axis]) / 2.0 - 32.0;
            (offset[axis] + delta[axis]).clamp(-limit.max(0.0), limit.max(0.0))
        };
        Self::Free { scale, offset: [moved(0), moved(1)] }
    }
}

/// Holds what the canvas shows.
#[derive(Debug, Clone, Default)]
pub struct CanvasState {
    /// What is shown.
    pub shown: Shown,
    /// What was shown before it, for comparing.
    pub before: Option<ResultId>,
    /// How the picture lies.
    pub view: View,
    /// Where the comparing slider stands, 0 (left) to 1; `None` while not comparing.
    pub compare: Option<f32>,
    /// Decoded pictures, the latest used last.
    loaded: Vec<(ResultId, Arc<Pixels>)>,
    /// Pictures that were asked of the library and have not come.
    pub awaited: Vec<ResultId>,
    /// The picture that is copied to the clipboard as soon as it comes.
    pub copy_when_here: Option<ResultId>,
    /// The picture that is edited as soon as it comes.
    pub edit_when_here: Option<ResultId>,
    /// The picture that becomes a layer as soon as it comes.
    pub place_when_here: Option<ResultId>,
    /// The picture that is being edited.
    pub editor: Option<Box<Editor>>,
    /// The project that is open, to be opened again at the next start.
    pub reopen: Option<std::path::PathBuf>,
    /// The projects there are, the latest changed first.
    pub projects: Vec<ProjectEntry>,
}

impl CanvasState {
    /// Returns a decoded picture, when it is at hand.
    pub fn picture(&self, id: ResultId) -> Option<&Arc<Pixels>> {
        self.loaded.iter().find(|(other, _)| *other == id).map(|(_, pixels)| pixels)
    }

    /// Keeps a decoded picture and drops the one that was not needed for longest.
    pub fn keep(&mut self, id: ResultId, pixels: Arc<Pixels>) {
        self.awaited.retain(|other| *other != id);
        self.loaded.retain(|(other, _)| *other != id);
        self.loaded.push((id, pixels));
        if self.loaded.len() > LOADED_MAX {
            self.loaded.remove(0);
        }
    }

    /// Returns the result that is shown.
    pub fn result(&self) -> Option<ResultId> {
        match self.shown {
            Shown::Result(id) => Some(id),
            Shown::Nothing | Shown::Live => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [f32; 2] = [256.0, 256.0];
    const CANVAS: [f32; 2] = [800.0, 600.0];

    #[test]
    fn zooming_keeps_the_point_under_the_pointer() {
        let pointer = [120.0, -40.0];
        let before = View::Fit.place(SIZE, CANVAS);
        let after = View::Fit.zoomed(1.7, pointer, SIZE, CANVAS).place(SIZE, CANVAS);
        let under = |(scale, offset): (f32, [f32; 2])| {
            [(pointer[0] - offset[0]) / scale, (pointer[1] - offset[1]) / scale]
        };
        let (before, after) = (under(before), under(after));
        assert!((before[0] - after[0]).abs() < 1e-3 && (before[1] - after[1]).abs() < 1e-3);
    }

    #[test]
    fn a_picture_cannot_be_pushed_out_of_sight() {
        let view = View::Fit.panned([9_999.0, -9_999.0], SIZE, CANVAS);
        let (scale, offset) = view.place(SIZE, CANVAS);
        assert!(offset[0] - SIZE[0] * scale / 2.0 < CANVAS[0] / 2.0);
        assert!(offset[1] + SIZE[1] * scale / 2.0 > -CANVAS[1] / 2.0);
    }

    #[test]
    fn the_scale_stays_in_its_range() {
        let mut view = View::Fit;
        for _ in 0..100 {
            view = view.zoomed(2.0, [0.0, 0.0], SIZE, CANVAS);
        }
        assert_eq!(view.place(SIZE, CANVAS).0, SCALE_RANGE[1]);
    }
}
