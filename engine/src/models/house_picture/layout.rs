//! Where the things of a prompt nominally stand, and their sketches laid there.
//!
//! # Source
//! `layout`, `edges`, `hint` and `cell_angles` of the recipe's `model.py`.

use super::config::{AREA, CELL, Config, HEAD_WIDTH, PATCH};

/// Says where a thing nominally stands: `[dx, dy, side]`, in units of [`unit`], counted from the
/// middle of the width and 0.52 of the height.
pub(super) type Place = [f32; 3];

/// How far down the middle of the things is, as a share of the height.
const MIDDLE: f32 = 0.52;
/// Key of the boxes of a single thing without a size or a count.
const ALONE: u32 = 0;
/// Key of the boxes of two things without a relation; smaller keys are relations, larger ones
/// sizes and counts.
const AND: u32 = 90;

/// Finds where in `ids` the concepts stand that bring a sketch, at most [`Config::sketch_max`].
pub(super) fn concepts(ids: &[u32], config: &Config) -> impl Iterator<Item = usize> {
    (0..ids.len()).filter(|at| ids[*at] as usize >= config.sketch_first).take(config.sketch_max)
}

/// Finds the sketches that a prompt brings: where in `ids` the concept of each stands, and where
/// the thing stands in the picture; at most [`Config::sketch_max`].
///
/// One concept alone has the places that a size or a count among the ids gives it, a count one for
/// each. Of several, the first two have the places of the first relation among the ids, a third
/// that of a thing alone.
pub(super) fn layout(ids: &[u32], config: &Config) -> Vec<(usize, Place)> {
    let concepts: Vec<usize> = concepts(ids, config).collect();
    let named = |wanted: &dyn Fn(u32) -> bool| {
        ids.iter().filter(|id| wanted(**id)).find_map(|id| config.layouts.get(id))
    };
    let boxes_of = |key: u32| config.layouts.get(&key).map(Vec::as_slice).unwrap_or_default();
    if let [concept] = concepts[..] {
        let places = named(&|id| id > AND).map_or(boxes_of(ALONE), Vec::as_slice);
        return places.iter().take(config.sketch_max).map(|place| (concept, *place)).collect();
    }
    let places = named(&|id| id <= AND).map_or(boxes_of(AND), Vec::as_slice);
    concepts.into_iter().zip(places.iter().chain(boxes_of(ALONE)).copied()).collect()
}

/// What sizes in pictures are measured against, in latent cells, for latents of `[height, width]`.
fn unit([h, w]: [usize; 2]) -> f32 {
    let pixels = |cells: usize| (cells * AREA * CELL) as f64;
    let of_shape = if h == w { 1.0 } else { 0.86 };
    ((pixels(h) * pixels(w)).sqrt() * of_shape / (AREA * CELL) as f64) as f32
}

/// Left, top and side of a place, in latent cells.
fn edges(place: &Place, latent: [usize; 2]) -> [f32; 3] {
    let [h, w] = latent.map(|cells| cells as f32);
    let unit = unit(latent);
    let [dx, dy, side] = place.map(|number| number * unit);
    [w / 2.0 + dx - side / 2.0, h * MIDDLE + dy - side / 2.0, side]
}

/// For each latent cell along a side, how much it has of each cell of a sketch: `[cells, side]`.
fn shares(cells: usize, start: f32, size: f32, side: usize) -> Vec<f32> {
    let at = |cell: usize| (cell as f32 + 0.5 - start) / size * side as f32 - 0.5;
    let share = |cell: usize, part: usize| (1.0 - (at(cell) - part as f32).abs()).max(0.0);
    (0..cells).flat_map(|cell| (0..side).map(move |part| share(cell, part))).collect()
}

/// Adds a sketch's codes `[side · side, code width]`, laid into its place bilinearly, to the hints
/// of a latent's tokens, `[tokens, code width · 4]`, whose numbers are ordered (code, row, column).
pub(super) fn add_hint(
    hints: &mut [f32],
    code: &[f32],
    place: &Place,
    side: usize,
    latent: [usize; 2],
) {
    let [h, w] = latent;
    let code_width = code.len() / (side * side);
    let [left, top, size] = edges(place, latent);
    let rows = shares(h, top, size, side);
    let columns = shares(w, left, size, side);
    for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
        let token = y / PATCH * (w / PATCH) + x / PATCH;
        let inner = y % PATCH * PATCH + x % PATCH;
        let hint = &mut hints[token * code_width * PATCH * PATCH..][..code_width * PATCH * PATCH];
        for (cell, code) in code.chunks_exact(code_width).enumerate() {
            let share = rows[y * side + cell / side] * columns[x * side + cell % side];
            if share > 0.0 {
                for (number, code) in code.iter().enumerate() {
                    hint[number * PATCH * PATCH + inner] += share * code;
                }
            }
        }
    }
}

/// The angles by which the keys of a sketch's cells turn, those of its place: for each cell 16 that
/// go with y, then 16 with x.
pub(super) fn cell_angles(
    place: &Place,
    side: usize,
    latent: [usize; 2],
    base: f32,
) -> impl Iterator<Item = f32> {
    let [left, top, size] = edges(place, latent);
    let at = move |start: f32, part: usize, cells: usize| {
        let middle = start + (part as f32 + 0.5) / side as f32 * size;
        (middle - cells as f32 / 2.0) / PATCH as f32
    };
    let [h, w] = latent;
    (0..side * side)
        .flat_map(move |cell| [at(top, cell / side, h), at(left, cell % side, w)])
        .flat_map(move |coordinate| frequencies(base).map(move |f| coordinate * f))
}

/// By how much each pair of a head's half turns per token.
pub(super) fn frequencies(base: f32) -> impl Iterator<Item = f32> {
    let pairs = HEAD_WIDTH / 4;
    (0..pairs).map(move |pair| base.powf(-(pair as f32) / pairs as f32))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The places of version 3, from the recipe's own configuration.
    fn config() -> Config {
        let json = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../assets/models/house-picture/recipe/config.json"
        ));
        Config::from_json(json, Path::new("config.json")).expect("the recipe's configuration")
    }

    /// Ids of the lexicon: fox and cat are any two concepts.
    const FOX: u32 = 128;
    const CAT: u32 = 130;
    const LEFT: u32 = 60;
    const BIG: u32 = 92;
    const THREE: u32 = 100;

    #[test]
    fn a_thing_alone_stands_in_the_middle_and_a_size_or_a_count_changes_that() {
        let config = config();
        let alone = layout(&[FOX], &config);
        assert_eq!(alone, [(0, [0.0, 0.0, 0.66])]);
        let big = layout(&[BIG, FOX], &config);
        assert_eq!((big.len(), big[0].0), (1, 1));
        assert!(big[0].1[2] > alone[0].1[2]);
        let three = layout(&[THREE, FOX], &config);
        assert_eq!(three.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 1, 1]);
        assert!(three.windows(2).all(|pair| pair[0].1[0] < pair[1].1[0]), "{three:?}");
    }

    #[test]
    fn of_two_things_the_relation_says_which_stands_where() {
        let config = config();
        let left = layout(&[FOX, LEFT, CAT], &config);
        assert!(left[0].1[0] < 0.0 && left[1].1[0] > 0.0, "{left:?}");
        let plain = layout(&[FOX, CAT], &config);
        assert_eq!(plain.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(layout(&[FOX, CAT, FOX, CAT], &config).len(), config.sketch_max);
        assert!(layout(&[LEFT], &config).is_empty());
    }

    #[test]
    fn a_hint_lies_inside_its_box_alone_and_its_shares_add_up_to_one_there() {
        let (side, latent) = (8, [16, 16]);
        let code = vec![1.0; side * side];
        let mut hints = vec![0.0; 64 * 4];
        // Eleven cells wide, from 2.5 to 13.5 and from 2.82 to 13.82.
        add_hint(&mut hints, &code, &[0.0, 0.0, 0.6875], side, latent);
        let at = |y: usize, x: usize| hints[(y / 2 * 8 + x / 2) * 4 + y % 2 * 2 + x % 2];
        assert_eq!((at(0, 0), at(15, 8), at(8, 15)), (0.0, 0.0, 0.0));
        for (y, x) in [(4, 4), (8, 8), (12, 11)] {
            assert!((at(y, x) - 1.0).abs() < 1e-5, "{y} {x}: {}", at(y, x));
        }
    }
}
