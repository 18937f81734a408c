//! The border of a selection as lines, for drawing it as marching ants.

use super::limits::workable;
use super::{Area, Tiles};

/// The most lines that an outline has; a border with more is followed in larger steps.
pub const MAX_OUTLINE_LINES: usize = 100_000;

/// From this value on a pixel counts as inside.
const INSIDE: u8 = 128;

/// Returns the border between what is at least half selected and the rest, as horizontal and vertical
/// lines along the sides of pixels: `[from, to]` in pixels of the document. Sides that follow each
/// other are one line; horizontal lines go to the right and vertical ones down.
///
/// There are at most [`MAX_OUTLINE_LINES`]: a selection whose border is longer is looked at in steps
/// of two pixels, or four and so on.
#[must_use]
pub fn outline(selection: &Tiles<1>) -> Vec<[[f32; 2]; 2]> {
    let Some(area) = selection.bounds().map(workable) else { return Vec::new() };
    let mut step = 1;
    loop {
        if let Some(lines) = lines(selection, area, step) {
            return lines;
        }
        step *= 2;
    }
}

/// Follows the border in steps of some pixels; `None` when it has too many lines.
fn lines(selection: &Tiles<1>, area: Area, step: u32) -> Option<Vec<[[f32; 2]; 2]>> {
    let columns = area.width_px.div_ceil(step) as usize;
    let rows = area.height_px.div_ceil(step);
    let mut found: Vec<[[f32; 2]; 2]> = Vec::new();
    // The row at which the vertical side to the left of each column began, and which way it looks.
    let mut begun: Vec<Option<(u32, bool)>> = vec![None; columns + 1];
    let mut above = vec![false; columns];
    let x = |column: usize| area.x as f32 + (column as u32 * step) as f32;
    let y = |row: u32| area.y as f32 + (row * step) as f32;
    // One row more, which is all outside, ends what is open.
    for row in 0..=rows {
        let here: Vec<bool> = if row == rows {
            vec![false; columns]
        } else {
            let line = Area { y: area.y + (row * step) as i32, height_px: 1, ..area };
            selection.read(line).iter().step_by(step as usize).map(|v| *v >= INSIDE).collect()
        };
        let mut run = None;
        for (column, begun) in begun.iter_mut().enumerate() {
            let sides = |line: &[bool]| line.get(column).copied();
            let horizontal = match (sides(&above), sides(&here)) {
                (Some(above), Some(here)) if above != here => Some(here),
                _ => None,
            };
            match run {
                Some((_, way)) if Some(way) == horizontal => {}
                _ => {
                    if let Some((from, _)) = run {
                        found.push([[x(from), y(row)], [x(column), y(row)]]);
                    }
                    run = horizontal.map(|way| (column, way));
                }
            }
            let left = column.checked_sub(1).is_some_and(|left| here[left]);
            let right = here.get(column).copied().unwrap_or(false);
            let vertical = (left != right).then_some(right);
            match *begun {
                Some((_, way)) if Some(way) == vertical => {}
                open => {
                    if let Some((from, _)) = open {
                        found.push([[x(column), y(from)], [x(column), y(row)]]);
                    }
                    *begun = vertical.map(|way| (row, way));
                }
            }
        }
        if found.len() > MAX_OUTLINE_LINES {
            return None;
        }
        above = here;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(lines: &[[[f32; 2]; 2]]) -> f32 {
        lines.iter().map(|[a, b]| (b[0] - a[0]) + (b[1] - a[1])).sum()
    }

    #[test]
    fn a_rectangle_has_four_lines_also_across_tiles_and_below_zero() {
        let mut selection = Tiles::default();
        selection.fill(Area::new(-200, -10, 500, 300), [255]);
        let mut lines = outline(&selection);
        lines.sort_by(|a, b| a.concat().partial_cmp(&b.concat()).expect("numbers"));
        let (left, top, right, bottom) = (-200.0, -10.0, 300.0, 290.0);
        let sides = [
            [[left, top], [left, bottom]],
            [[left, top], [right, top]],
            [[left, bottom], [right, bottom]],
            [[right, top], [right, bottom]],
        ];
        assert_eq!(lines, sides);
    }

    #[test]
    fn the_border_is_where_half_is_selected() {
        let mut selection = Tiles::default();
        selection.fill(Area::new(0, 0, 10, 10), [127]);
        assert!(outline(&selection).is_empty());
        selection.fill(Area::new(2, 2, 3, 3), [128]);
        assert_eq!(length(&outline(&selection)), 12.0);
        assert!(outline(&Tiles::default()).is_empty());
    }

    #[test]
    fn squares_that_touch_at_a_corner_keep_their_own_borders() {
        let mut selection = Tiles::default();
        selection.fill(Area::new(0, 0, 5, 5), [255]);
        selection.fill(Area::new(5, 5, 5, 5), [255]);
        let lines = outline(&selection);
        assert_eq!((lines.len(), length(&lines)), (8, 40.0));
    }

    #[test]
    fn a_selection_full_of_holes_has_a_bounded_outline() {
        let bytes: Vec<u8> = (0..1024 * 1024u32)
            .map(|at| if (at / 1024 + at % 1024) % 2 == 0 { 255 } else { 0 })
            .collect();
        let selection = Tiles::from_bytes(Area::new(0, 0, 1024, 1024), &bytes);
        let lines = outline(&selection);
        assert!(!lines.is_empty() && lines.len() <= MAX_OUTLINE_LINES, "{}", lines.len());
    }
}
