//! The brush and the eraser: a stroke of round dabs along a smooth curve.

use serde::{Deserialize, Serialize};

use super::ink::{Ink, by_255, byte_of, piece};
use super::limits::{held, workable};
use super::{Area, Tiles};

/// The smallest and the largest diameter of a brush in pixels.
pub const BRUSH_SIZES_PX: [f32; 2] = [0.5, 2000.0];

/// Dabs that are drawn together: enough that a tile is seldom visited twice, few enough that rows
/// need not look through many.
const DABS_AT_ONCE: usize = 32;

/// Describes a round brush.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Brush {
    /// Its diameter in pixels, 0.5 to 2000.
    pub size_px: f32,
    /// How much of the radius is fully covered, 0 (soft to the middle) to 1 (a clean edge).
    pub hardness: f32,
    /// What one stroke covers at most, 0 to 1.
    pub opacity: f32,
    /// Red, green, blue and alpha; the alpha lowers the opacity.
    pub colour: [u8; 4],
    /// Takes alpha away instead of laying colour.
    pub erases: bool,
    /// Makes the size follow the pen's pressure.
    pub pressure_size: bool,
    /// Makes the opacity follow the pen's pressure.
    pub pressure_opacity: bool,
}

impl Default for Brush {
    fn default() -> Self {
        Self {
            size_px: 24.0,
            hardness: 0.8,
            opacity: 1.0,
            colour: [0, 0, 0, 255],
            erases: false,
            pressure_size: true,
            pressure_opacity: false,
        }
    }
}

impl Brush {
    /// Returns it with every number in its range; what is no number becomes the smallest.
    #[must_use]
    pub fn in_range(self) -> Self {
        let [least, most] = BRUSH_SIZES_PX;
        Self {
            size_px: held(self.size_px, least, most),
            hardness: held(self.hardness, 0.0, 1.0),
            opacity: held(self.opacity, 0.0, 1.0),
            ..self
        }
    }

    /// Returns the dab at a place of the stroke.
    fn dab(&self, at: Sample) -> Dab {
        let size_px = if self.pressure_size {
            (self.size_px * at.pressure).max(BRUSH_SIZES_PX[0])
        } else {
            self.size_px
        };
        let strength = if self.pressure_opacity { at.pressure } else { 1.0 };
        Dab::new(at.point, size_px / 2.0, self.hardness, strength)
    }
}

/// Is one place of the pen.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    point: [f32; 2],
    /// 0 to 1.
    pressure: f32,
}

/// Is one print of the brush.
#[derive(Debug, Clone, Copy)]
struct Dab {
    centre: [f32; 2],
    /// The distance from the centre at which the coverage is 0.
    reach: f32,
    /// One divided by the width of the edge.
    per_px: f32,
    /// How round the edge's slope is: 0 (straight, one pixel wide) to 1 (soft).
    softness: f32,
    /// The coverage in the middle, 0 to 255.
    strength: f32,
}

impl Dab {
    fn new(centre: [f32; 2], radius: f32, hardness: f32, strength: f32) -> Self {
        let width = radius * (1.0 - hardness);
        // An edge is at least one pixel wide, half of it on either side of where it would be.
        let widened = (1.0 - width).max(0.0) / 2.0;
        let edge = width.max(1.0);
        let reach = radius + widened;
        // The peak of a dab that is finer than a pixel is so high that a line drawn with it is as
        // strong as it is wide.
        let peak =
            if radius < 0.5 { 2.0 * radius / ((radius + 0.5) * (radius + 0.5)) } else { 1.0 };
        Self {
            centre,
            reach,
            per_px: 1.0 / edge,
            softness: (width - 1.0).clamp(0.0, 1.0),
            strength: strength * peak * 255.0,
        }
    }

    /// Returns the pixels that it may cover.
    fn area(&self) -> Area {
        let [x, y] = self.centre;
        let reach = self.reach;
        Area::around([x - reach, y - reach], [x + reach, y + reach])
    }

    /// Raises the coverage of a piece of a row to its own.
    fn raise(&self, [x, y]: [i32; 2], row: &mut [u8]) {
        let dy = y as f32 + 0.5 - self.centre[1];
        let half = self.reach * self.reach - dy * dy;
        if half <= 0.0 {
            return;
        }
        let half = half.sqrt();
        let column = |at: f32| ((at - x as f32).max(0.0) as usize).min(row.len());
        let from = column((self.centre[0] - half).floor());
        let to = column((self.centre[0] + half).ceil());
        let first = x as f32 + 0.5 - self.centre[0];
        // Plain arithmetic without a branch, so that the compiler makes vectors of it.
        for (at, covered) in (from as u32..).zip(&mut row[from..to.max(from)]) {
            let dx = first + at as f32;
            let inside = (self.reach - (dx * dx + dy * dy).sqrt()) * self.per_px;
            let inside = inside.clamp(0.0, 1.0);
            let soft = inside * inside * (3.0 - 2.0 * inside);
            let share = inside + (soft - inside) * self.softness;
            // 0 to 255.5, so the way through i32 loses nothing and is one instruction.
            *covered = (*covered).max((share * self.strength + 0.5) as i32 as u8);
        }
    }
}

/// Walks along a curve and drops dabs at even distances.
#[derive(Debug, Clone, Copy)]
struct Walk {
    /// The way to the next dab, in pixels.
    ahead_px: f32,
}

impl Walk {
    /// Returns the distance to the next dab: close enough that the rim of a hard stroke waves by
    /// less than a sixth of a pixel (the arc between two dabs of radius r at distance s is s²/8r
    /// deep) and a soft one has no ripples.
    fn spacing_px(size_px: f32) -> f32 {
        (size_px * 0.08).min((size_px * 0.6).sqrt()).max(0.5)
    }

    /// Goes from `ends[1]` to `ends[2]` along a Catmull-Rom curve (its neighbours `ends[0]` and
    /// `ends[3]` give the directions) and hands each dab over.
    fn go(&mut self, brush: &Brush, ends: [Sample; 4], mut drop: impl FnMut(Dab)) {
        let [_, from, to, _] = ends;
        let chord = distance(from.point, to.point);
        // Pieces of at most two pixels are straight enough; a long way gets no more than 256.
        let pieces = (chord / 2.0).ceil().clamp(1.0, 256.0) as u32;
        let mut last = from;
        for index in 1..=pieces {
            let next = curve(ends, index as f32 / pieces as f32);
            let length = distance(last.point, next.point);
            while self.ahead_px <= length && length > 0.0 {
                let share = self.ahead_px / length;
                let dab_at = between(last, next, share);
                let dab = brush.dab(dab_at);
                drop(dab);
                self.ahead_px += Self::spacing_px(if brush.pressure_size {
                    brush.size_px * dab_at.pressure
                } else {
                    brush.size_px
                });
            }
            self.ahead_px -= length;
            last = next;
        }
    }
}

fn distance(a: [f32; 2], b: [f32; 2]) -> f32 {
    let [dx, dy] = [a[0] - b[0], a[1] - b[1]];
    (dx * dx + dy * dy).sqrt()
}

fn between(a: Sample, b: Sample, share: f32) -> Sample {
    let mix = |a: f32, b: f32| a + (b - a) * share;
    Sample {
        point: [mix(a.point[0], b.point[0]), mix(a.point[1], b.point[1])],
        pressure: mix(a.pressure, b.pressure),
    }
}

/// Returns a point of the uniform Catmull-Rom curve between the second and the third sample.
///
/// # Source
/// E. Catmull, R. Rom: A class of local interpolating splines, 1974. The tangents are held to the
/// chord, or a short step after a long one would swing out.
fn curve(ends: [Sample; 4], share: f32) -> Sample {
    let [before, from, to, after] = ends;
    let chord = distance(from.point, to.point);
    let tangent = |a: Sample, b: Sample| {
        let [x, y] = [0, 1].map(|axis| (b.point[axis] - a.point[axis]) / 2.0);
        let length = (x * x + y * y).sqrt();
        let held = if length > chord { chord / length } else { 1.0 };
        [x * held, y * held]
    };
    let (leaving, arriving) = (tangent(before, to), tangent(from, after));
    let (t, t2) = (share, share * share);
    let t3 = t2 * t;
    let point = [0, 1].map(|axis| {
        (2.0 * t3 - 3.0 * t2 + 1.0) * from.point[axis]
            + (t3 - 2.0 * t2 + t) * leaving[axis]
            + (3.0 * t2 - 2.0 * t3) * to.point[axis]
            + (t3 - t2) * arriving[axis]
    });
    Sample { point, pressure: between(from, to, share).pressure }
}

/// Is a stroke that grows with the pen.
///
/// The layer is the one from before the stroke with the brush laid on it once, by the strongest
/// coverage that the stroke has at each pixel: crossing its own way does not make it darker, and it
/// never exceeds the brush's opacity. The newest piece of the curve may still bend when the next
/// point comes; it is drawn again then. So the pixels depend on the points alone.
#[derive(Debug, Clone)]
pub struct Stroke {
    brush: Brush,
    bounds: Area,
    base: Tiles<4>,
    selection: Option<Tiles<1>>,
    /// The coverage of what cannot change any more.
    settled: Tiles<1>,
    /// The coverage that `result` shows.
    shown: Tiles<1>,
    result: Tiles<4>,
    /// The last points, the newest last, at most three.
    points: Vec<Sample>,
    walk: Walk,
    /// Where the newest piece was drawn.
    tail: Area,
}

impl Stroke {
    /// Begins a stroke on a layer, within a selection if there is one. Nothing is drawn outside
    /// `bounds`, the document or as much of the layer as may be painted on.
    pub fn new(brush: Brush, base: Tiles<4>, selection: Option<Tiles<1>>, bounds: Area) -> Self {
        Self {
            brush: brush.in_range(),
            bounds: workable(bounds),
            result: base.clone(),
            base,
            selection,
            settled: Tiles::default(),
            shown: Tiles::default(),
            points: Vec::with_capacity(4),
            walk: Walk { ahead_px: 0.0 },
            tail: Area::default(),
        }
    }

    /// Returns the layer with the stroke so far.
    pub fn result(&self) -> &Tiles<4> {
        &self.result
    }

    /// Ends the stroke and returns the layer with it.
    pub fn into_result(self) -> Tiles<4> {
        self.result
    }

    /// Adds a place of the pen, in pixels of the document, with a pressure from 0 to 1. Returns the
    /// area whose pixels may have changed.
    ///
    /// A place that is no number is left out; one far outside the document is brought to its rim.
    pub fn add(&mut self, point: [f32; 2], pressure: f32) -> Area {
        let Some(sample) = self.sample(point, pressure) else { return Area::default() };
        if self.points.last().is_some_and(|last| last.point == sample.point) {
            return Area::default();
        }
        let Some(last) = self.points.last().copied() else {
            self.points.push(sample);
            let mut coverage = Canvas::new(&mut self.settled, self.bounds);
            coverage.drop(self.brush.dab(sample));
            let dirty = coverage.flush();
            self.walk.ahead_px = Walk::spacing_px(self.brush.dab(sample).reach * 2.0);
            self.show(dirty, self.settled.clone());
            return dirty;
        };
        // What was the newest piece has its final form now.
        let mut dirty = self.tail;
        if let [.., before, from] = self.points[..] {
            let earlier = self.points.len().checked_sub(3).map_or(before, |at| self.points[at]);
            let mut coverage = Canvas::new(&mut self.settled, self.bounds);
            let ends = [earlier, before, from, sample];
            self.walk.go(&self.brush, ends, |dab| coverage.drop(dab));
            dirty = dirty.union(coverage.flush());
        }
        let before = self.points.len().checked_sub(2).map_or(last, |at| self.points[at]);
        let mut with_tail = self.settled.clone();
        let mut coverage = Canvas::new(&mut with_tail, self.bounds);
        let mut walk = self.walk;
        walk.go(&self.brush, [before, last, sample, sample], |dab| coverage.drop(dab));
        self.tail = coverage.flush();
        dirty = dirty.union(self.tail);
        if self.points.len() == 3 {
            self.points.remove(0);
        }
        self.points.push(sample);
        self.show(dirty, with_tail);
        dirty
    }

    /// Holds a place and a pressure within what can be drawn; `None` for what is no number.
    fn sample(&self, point: [f32; 2], pressure: f32) -> Option<Sample> {
        if point.iter().any(|value| value.is_nan()) {
            return None;
        }
        let margin = self.brush.size_px;
        let near =
            |value: f32, from: i32, to: i32| held(value, from as f32 - margin, to as f32 + margin);
        let Area { x, y, .. } = self.bounds;
        let [right, bottom] = [self.bounds.right(), self.bounds.bottom()];
        let point = [near(point[0], x, right), near(point[1], y, bottom)];
        Some(Sample { point, pressure: held(pressure, 0.0, 1.0) })
    }

    /// Makes the pixels of an area anew from the layer before the stroke.
    fn show(&mut self, area: Area, coverage: Tiles<1>) {
        let shown = std::mem::replace(&mut self.shown, coverage);
        let Self { brush, base, selection, result, shown: coverage, .. } = self;
        let [red, green, blue, alpha] = brush.colour;
        let (ink, alpha) = match brush.erases {
            true => (Ink::Nothing, 255),
            false => (Ink::Colour([red, green, blue]), u32::from(alpha)),
        };
        let opacity = by_255(u32::from(byte_of(brush.opacity)) * alpha) as u8;
        for at in Tiles::<4>::touched(area) {
            let part = Tiles::<4>::tile_area(at).intersect(area);
            let (below, covered) = (base.tile(at), coverage.tile(at));
            let selected = selection.as_ref().map(|selection| selection.tile(at));
            // A large brush covers much of what it covered before.
            if covered == shown.tile(at) {
                continue;
            }
            let untouched = covered.is_none() || matches!(selected, Some(None)) || opacity == 0;
            if untouched && below == result.tile(at) {
                continue;
            }
            result.change(part, |from, row| {
                let pixels = row.len() / 4;
                match piece::<4>(below, from, pixels) {
                    Some(below) => row.copy_from_slice(below),
                    None => row.fill(0),
                }
                if let Some(covered) = piece::<1>(covered, from, pixels).filter(|_| !untouched) {
                    let selected = selected.and_then(|tile| piece::<1>(tile, from, pixels));
                    ink.lay_row(row, covered, selected, opacity);
                }
            });
        }
    }
}

/// Gathers dabs and draws them into a coverage, a few at a time.
struct Canvas<'a> {
    coverage: &'a mut Tiles<1>,
    bounds: Area,
    waiting: Vec<Dab>,
    waiting_area: Area,
    drawn: Area,
}

impl<'a> Canvas<'a> {
    fn new(coverage: &'a mut Tiles<1>, bounds: Area) -> Self {
        let none = Area::default();
        Self { coverage, bounds, waiting: Vec::new(), waiting_area: none, drawn: none }
    }

    fn drop(&mut self, dab: Dab) {
        let area = dab.area().intersect(self.bounds);
        if area.is_empty() {
            return;
        }
        self.waiting.push(dab);
        self.waiting_area = self.waiting_area.union(area);
        if self.waiting.len() == DABS_AT_ONCE {
            self.flush();
        }
    }

    /// Draws what waits, and returns the area of everything that was drawn.
    fn flush(&mut self) -> Area {
        let dabs = std::mem::take(&mut self.waiting);
        let area = std::mem::take(&mut self.waiting_area);
        self.coverage.change(area, |from, row| {
            dabs.iter().for_each(|dab| dab.raise(from, row));
        });
        self.drawn = self.drawn.union(area);
        self.drawn
    }
}

#[cfg(test)]
#[path = "brush_tests.rs"]
mod tests;
