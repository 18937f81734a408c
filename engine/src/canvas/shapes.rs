//! Lines, rectangles, ellipses and free shapes as coverage, and laying it on a layer.

use std::f32::consts::{PI, TAU};

use serde::{Deserialize, Serialize};

use super::ink::{Ink, by_255, byte_of, lay_coverage};
use super::limits::held;
use super::scan::cover;
use super::{Area, Tiles};

/// The most points that a polygon keeps; of a longer one every second, third … is taken.
const MAX_POINTS: usize = 16_384;

/// The widest line in pixels.
const MAX_WIDTH_PX: f32 = 2000.0;

/// How far a curve's pieces may be from the curve, in pixels.
const FLATNESS_PX: f32 = 0.01;

/// Describes a shape by places in pixels of the document; whole numbers are edges between pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Is a straight line with round ends; it is always drawn by its width.
    Line {
        /// One end.
        from: [f32; 2],
        /// The other end.
        to: [f32; 2],
    },
    /// Is an upright rectangle between two corners.
    Rectangle {
        /// One corner.
        from: [f32; 2],
        /// The corner across.
        to: [f32; 2],
    },
    /// Is the ellipse in an upright rectangle.
    Ellipse {
        /// One corner of the rectangle.
        from: [f32; 2],
        /// The corner across.
        to: [f32; 2],
    },
    /// Is a closed polygon or lasso; where it crosses itself, everything that it goes round counts.
    Polygon(Vec<[f32; 2]>),
}

/// Says how a shape is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShapeStyle {
    /// Covers what is inside.
    Filled,
    /// Covers a line along the border, half of it on either side.
    Outlined {
        /// The line's width in pixels, above 0 to 2000.
        width_px: f32,
    },
}

impl Shape {
    /// Returns its antialiased coverage within `bounds`. A filled line is one pixel wide.
    pub fn coverage(&self, style: ShapeStyle, bounds: Area) -> Tiles<1> {
        cover(&self.rings(style), bounds)
    }

    fn rings(&self, style: ShapeStyle) -> Vec<Vec<[f32; 2]>> {
        let half = match style {
            ShapeStyle::Filled => None,
            ShapeStyle::Outlined { width_px } => Some(held(width_px, 0.0, MAX_WIDTH_PX) / 2.0),
        };
        match (self, half) {
            (Self::Line { from, to }, half) => stroked(&[*from, *to], false, half.unwrap_or(0.5)),
            (Self::Rectangle { from, to }, half) => framed(*from, *to, half, rectangle),
            (Self::Ellipse { from, to }, half) => framed(*from, *to, half, ellipse),
            (Self::Polygon(points), None) => vec![thinned(points)],
            (Self::Polygon(points), Some(half)) => stroked(&thinned(points), true, half),
        }
    }
}

/// Lays the coverage of a shape on a layer, within a selection if there is one. The opacity is 0 to
/// 1; the colour's alpha lowers it. Returns the area that may have changed.
pub fn paint_shape(
    layer: &mut Tiles<4>,
    coverage: &Tiles<1>,
    colour: [u8; 4],
    opacity: f32,
    selection: Option<&Tiles<1>>,
) -> Area {
    let [red, green, blue, alpha] = colour;
    let opacity = by_255(u32::from(byte_of(opacity)) * u32::from(alpha)) as u8;
    lay_coverage(layer, coverage, Ink::Colour([red, green, blue]), opacity, selection)
}

/// Leaves out points so that a bounded number is left, and those that are no numbers.
fn thinned(points: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let step = points.len().div_ceil(MAX_POINTS).max(1);
    let kept = points.iter().step_by(step).copied();
    kept.filter(|point| !point.iter().any(|value| value.is_nan())).collect()
}

/// Returns an upright shape between two corners: whole, or the band around its border.
fn framed(
    from: [f32; 2],
    to: [f32; 2],
    half: Option<f32>,
    ring: fn([f32; 2], [f32; 2]) -> Vec<[f32; 2]>,
) -> Vec<Vec<[f32; 2]>> {
    let least = [0, 1].map(|axis| from[axis].min(to[axis]));
    let greatest = [0, 1].map(|axis| from[axis].max(to[axis]));
    let grown = |by: f32| (least.map(|value| value - by), greatest.map(|value| value + by));
    let Some(half) = half else { return vec![ring(least, greatest)] };
    let (outer, inner) = (grown(half), grown(-half));
    let mut rings = vec![ring(outer.0, outer.1)];
    if inner.0[0] < inner.1[0] && inner.0[1] < inner.1[1] {
        let mut hole = ring(inner.0, inner.1);
        hole.reverse();
        rings.push(hole);
    }
    rings
}

fn rectangle(from: [f32; 2], to: [f32; 2]) -> Vec<[f32; 2]> {
    vec![from, [to[0], from[1]], to, [from[0], to[1]]]
}

fn ellipse(from: [f32; 2], to: [f32; 2]) -> Vec<[f32; 2]> {
    let centre = [0, 1].map(|axis| f32::midpoint(from[axis], to[axis]));
    let radii = [0, 1].map(|axis| (to[axis] - from[axis]) / 2.0);
    let pieces = pieces_of_arc(radii[0].max(radii[1]), TAU);
    let angle = |at: u32| at as f32 / pieces as f32 * TAU;
    (0..pieces)
        .map(|at| {
            let (sin, cos) = angle(at).sin_cos();
            [centre[0] + radii[0] * cos, centre[1] + radii[1] * sin]
        })
        .collect()
}

/// Returns how many straight pieces an arc needs.
fn pieces_of_arc(radius: f32, angle: f32) -> u32 {
    let step = 2.0 * (1.0 - FLATNESS_PX / radius.max(0.1)).max(0.0).acos();
    // A radius that is not finite makes the step 0 or no number; the count stays in its range.
    held((angle.abs() / step.max(1e-3)).ceil(), 1.0, 4096.0) as u32
}

/// Returns rings that together cover a line of `half` the width to either side of a path, with round
/// joins and, where it is open, round ends. All go round in the same direction, so none is a hole.
fn stroked(points: &[[f32; 2]], closed: bool, half: f32) -> Vec<Vec<[f32; 2]>> {
    let mut points = points.to_vec();
    points.dedup();
    if closed && points.len() > 1 && points.first() == points.last() {
        points.pop();
    }
    if half <= 0.0 || points.is_empty() {
        return Vec::new();
    }
    let sides = if closed && points.len() > 2 { points.len() } else { points.len() - 1 };
    let side = |at: usize| (points[at % points.len()], points[(at + 1) % points.len()]);
    let mut rings = Vec::new();
    for at in 0..sides {
        let (from, to) = side(at);
        let [dx, dy] = direction(from, to).map(|value| value * half);
        let corner = |point: [f32; 2], side: f32| [point[0] - dy * side, point[1] + dx * side];
        rings.push(vec![corner(from, -1.0), corner(to, -1.0), corner(to, 1.0), corner(from, 1.0)]);
    }
    if sides == points.len() {
        (0..sides).for_each(|at| rings.extend(join(side(at), side(at + 1), half)));
    } else {
        (1..sides).for_each(|at| rings.extend(join(side(at - 1), side(at), half)));
        for end in [points[0], points[points.len() - 1]] {
            rings.push(ellipse(end.map(|value| value - half), end.map(|value| value + half)));
        }
    }
    rings
}

/// Returns the wedge that rounds the outer side of a bend; `None` where the path goes straight on.
fn join(
    before: ([f32; 2], [f32; 2]),
    after: ([f32; 2], [f32; 2]),
    half: f32,
) -> Option<Vec<[f32; 2]>> {
    let (a, b) = (direction(before.0, before.1), direction(after.0, after.1));
    let bend = (a[0] * b[1] - a[1] * b[0]).atan2(a[0] * b[0] + a[1] * b[1]);
    if bend == 0.0 || bend.is_nan() {
        return None;
    }
    // The outer side is to the left of a bend to the right.
    let first = a[1].atan2(a[0]) - PI / 2.0 * bend.signum();
    let pieces = pieces_of_arc(half, bend);
    let centre = after.0;
    let arc = (0..=pieces).map(|at| {
        let (sin, cos) = (first + bend * at as f32 / pieces as f32).sin_cos();
        [centre[0] + half * cos, centre[1] + half * sin]
    });
    let mut ring: Vec<[f32; 2]> = std::iter::once(centre).chain(arc).collect();
    if bend < 0.0 {
        ring.reverse();
    }
    Some(ring)
}

/// Returns the direction from one point to another, of length 1; 0 when they are the same.
fn direction(from: [f32; 2], to: [f32; 2]) -> [f32; 2] {
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let length = dx.hypot(dy);
    if length > 0.0 && length.is_finite() { [dx / length, dy / length] } else { [0.0; 2] }
}

#[cfg(test)]
#[path = "shapes_tests.rs"]
mod tests;
