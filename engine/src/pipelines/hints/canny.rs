//! Edges by Canny's method.

use super::plane::Plane;
use crate::protocol::Pixels;

/// The tangents of 22.5 and 67.5 degrees: where one of the four directions ends.
const TURNS: [f32; 2] = [0.414_213_57, 2.414_213_7];

/// Finds the edges of a picture: where the sum of a gradient's two sides is the largest across the
/// edge, and above `high`, or above `low` and joined to such a place. Each pixel has the gradient of
/// the colour that changes most there.
///
/// # Source
/// Canny: A computational approach to edge detection, with Sobel's gradients and their sum as OpenCV
/// takes them, without a blur before; OpenCV finds the same pixels (`tests/golden/hints`).
pub(super) fn edges(picture: &Pixels, [low, high]: [f32; 2]) -> Vec<bool> {
    let sobel = |plane: &Plane, x: isize, y: isize, is_across: bool| {
        let at = |dx: isize, dy: isize| match is_across {
            true => plane.at(x + dx, y + dy),
            false => plane.at(x + dy, y + dx),
        };
        at(1, -1) + 2.0 * at(1, 0) + at(1, 1) - at(-1, -1) - 2.0 * at(-1, 0) - at(-1, 1)
    };
    let gradients = |channel: usize| {
        let plane = Plane::channel(picture, channel);
        let across = plane.mapped(|plane, x, y| sobel(plane, x, y, true));
        (across, plane.mapped(|plane, x, y| sobel(plane, x, y, false)))
    };
    let (mut across, mut down) = gradients(0);
    let sum = |dx: f32, dy: f32| dx.abs() + dy.abs();
    for (dx, dy) in [gradients(1), gradients(2)] {
        let before = across.values.iter_mut().zip(&mut down.values);
        for ((x, y), (dx, dy)) in before.zip(dx.values.into_iter().zip(dy.values)) {
            if sum(dx, dy) > sum(*x, *y) {
                (*x, *y) = (dx, dy);
            }
        }
    }
    let strength = Plane {
        values: across.values.iter().zip(&down.values).map(|(dx, dy)| sum(*dx, *dy)).collect(),
        ..across
    };
    let (width, height) = (strength.width, strength.height);
    // Beyond the edge of the picture nothing is stronger.
    let around = |x: isize, y: isize| {
        let is_inside = (0..width as isize).contains(&x) && (0..height as isize).contains(&y);
        if is_inside { strength.values[y as usize * width + x as usize] } else { 0.0 }
    };
    let is_largest = |place: usize| {
        let (x, y) = ((place % width) as isize, (place / width) as isize);
        let (here, dx, dy) = (strength.values[place], across.values[place], down.values[place]);
        let [first, second] = TURNS.map(|turn| turn * dx.abs());
        if dy.abs() < first {
            here > around(x - 1, y) && here >= around(x + 1, y)
        } else if dy.abs() > second {
            here > around(x, y - 1) && here >= around(x, y + 1)
        } else {
            let side = if dx * dy < 0.0 { -1 } else { 1 };
            here > around(x - side, y - 1) && here > around(x + side, y + 1)
        }
    };
    let mut is_edge = vec![false; width * height];
    let is_weak: Vec<bool> = (0..width * height)
        .map(|place| strength.values[place] > low && is_largest(place))
        .collect();
    let mut open: Vec<usize> = (0..width * height)
        .filter(|place| is_weak[*place] && strength.values[*place] > high)
        .collect();
    open.iter().for_each(|place| is_edge[*place] = true);
    while let Some(place) = open.pop() {
        let (x, y) = (place % width, place / width);
        for y in y.saturating_sub(1)..(y + 2).min(height) {
            for x in x.saturating_sub(1)..(x + 2).min(width) {
                let near = y * width + x;
                if is_weak[near] && !is_edge[near] {
                    is_edge[near] = true;
                    open.push(near);
                }
            }
        }
    }
    is_edge
}
