//! Where a prompt's things stand in a picture of which only a part may change.

use crate::models::house_picture::Frame;

/// From here on a pixel counts as one that changes altogether, or where there are none such, changes:
/// where a mask fades things would fade with it.
const CHANGES: [u8; 2] = [250, 128];
/// The share of its bounds that a mask fills when things can stand in their middle.
const SOLID: f32 = 0.5;

/// Returns the part of a picture `[height, width]` that a mask opens: its bounds, or where it is a
/// border or has large holes, the largest square in it. `None` where all may change, or nothing.
pub(super) fn of(mask: &[u8], width: usize) -> Option<Frame> {
    CHANGES.into_iter().find_map(|from| at_least(from, mask, width))
}

fn at_least(from: u8, mask: &[u8], width: usize) -> Option<Frame> {
    let height = mask.len() / width.max(1);
    let changes = |at: &usize| mask[*at] >= from;
    let (mut count, mut least, mut most) = (0usize, [usize::MAX; 2], [0; 2]);
    for at in (0..mask.len()).filter(changes) {
        count += 1;
        for (axis, side) in [at % width, at / width].into_iter().enumerate() {
            least[axis] = least[axis].min(side);
            most[axis] = most[axis].max(side + 1);
        }
    }
    if count == 0 || count == mask.len() {
        return None;
    }
    let bounds = (most[0] - least[0]) * (most[1] - least[1]);
    if (count as f32) < SOLID * bounds as f32 {
        let (corner, side) = square(from, mask, width);
        least = corner;
        most = corner.map(|start| start + side);
    }
    let whole = [width, height].map(|side| side as f32);
    let share = |axis: usize, of: f32| of / whole[axis];
    Some(Frame {
        centre: [0, 1].map(|axis| share(axis, (least[axis] + most[axis]) as f32 / 2.0)),
        sides: [0, 1].map(|axis| share(axis, (most[axis] - least[axis]) as f32)),
    })
}

/// Finds the largest square of pixels that change: its upper left corner and its side.
fn square(from: u8, mask: &[u8], width: usize) -> ([usize; 2], usize) {
    // The side of the largest square that ends at each pixel, row by row.
    let mut above = vec![0usize; width];
    let mut best = ([0, 0], 0);
    for (y, row) in mask.chunks_exact(width).enumerate() {
        let mut corner = 0;
        for (x, value) in row.iter().enumerate() {
            let left = if x == 0 { 0 } else { above[x - 1] };
            let side = if *value < from { 0 } else { 1 + left.min(above[x]).min(corner) };
            corner = std::mem::replace(&mut above[x], side);
            if side > best.1 {
                best = ([x + 1 - side, y + 1 - side], side);
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(is_open: impl Fn(usize, usize) -> bool) -> Vec<u8> {
        (0..100 * 80).map(|at| if is_open(at % 100, at / 100) { 255 } else { 0 }).collect()
    }

    #[test]
    fn things_stand_within_what_may_change() {
        let near = |frame: Option<Frame>, wanted: [f32; 4]| {
            let found = frame.map(|f| [f.centre[0], f.centre[1], f.sides[0], f.sides[1]]);
            let is_near =
                |found: [f32; 4]| found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.03);
            assert!(found.is_some_and(is_near), "{found:?} {wanted:?}");
        };
        let is_round = |x: usize, y: usize| (x as f32 - 30.0).hypot(y as f32 - 40.0) < 20.0;
        near(of(&mask(is_round), 100), [0.3, 0.5, 0.4, 0.5]);
        // A border 20 wide on the right and 10 elsewhere: a square on the right.
        let is_border = |x: usize, y: usize| !((10..80).contains(&x) && (10..70).contains(&y));
        let frame = of(&mask(is_border), 100);
        near(frame, [0.9, 0.125, 0.2, 0.25]);
        assert_eq!(of(&mask(|_, _| true), 100), None);
        assert_eq!(of(&mask(|_, _| false), 100), None);
    }
}
