//! Where the things of a prompt nominally stand, and their sketches laid there.
//!
//! # Source
//! `layout`, `stir`, `edges` and `lay` of the recipe's `model.py`.

use candle_core::Tensor;

use super::config::{AREA, CELL, Config, HEAD_WIDTH, PATCH};
use crate::error::EngineError;

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
fn concepts(ids: &[u32], config: &Config) -> impl Iterator<Item = usize> {
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

/// Says by how much a picture's things are moved and sized by chance, each -1 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stir {
    x: f64,
    y: f64,
    size: f64,
}

impl Stir {
    /// Takes the chance from a picture's own noise, so that equal noise gives equal pictures: the
    /// first cell of the first three channels of `[1, channels, height, width]`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn of(noise: &Tensor) -> Result<Self, EngineError> {
        let first = noise.narrow(1, 0, 3)?.narrow(2, 0, 1)?.narrow(3, 0, 1)?.flatten_all()?;
        // A logistic curve makes normal numbers about even.
        let even = |value: &f32| 2.0 / (1.0 + (-1.702 * f64::from(*value)).exp()) - 1.0;
        match &first.to_vec1::<f32>()?[..] {
            [x, y, size] => Ok(Self { x: even(x), y: even(y), size: even(size) }),
            _ => Ok(Self::default()),
        }
    }

    /// Moves and sizes the places of a picture's things together.
    pub(super) fn apply(self, places: &mut [Place], config: &Config) {
        let [shift, alone, several] = config.stir.map(f64::from);
        let factor = 1.0 + self.size * if places.len() == 1 { alone } else { several };
        for place in places {
            let [dx, dy, side] = place.map(f64::from);
            *place = [dx * factor + self.x * shift, dy * factor + self.y * shift, side * factor]
                .map(|number| number as f32);
        }
    }
}

/// How much of a frame's narrower side things nominally take: what chance adds still fits.
const FRAME_SHARE: f32 = 0.76;
/// How much of a frame they take at most.
const FRAME_LIMIT: f32 = 0.9;

/// Says in which part of a picture its things are to stand, in shares of its width and height.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// The middle, `[x, y]`.
    pub centre: [f32; 2],
    /// Width and height.
    pub sides: [f32; 2],
}

impl Frame {
    /// Moves places so that the group of `nominal` ones stands in the frame, as they stand to each
    /// other, and makes them smaller where they would not fit; larger than nominal they never are.
    pub(super) fn apply(self, places: &mut [Place], nominal: &[Place], latent: [usize; 2]) {
        let [h, w] = latent.map(|cells| cells as f32);
        let unit = unit(latent);
        let middle =
            [(self.centre[0] * w - w / 2.0) / unit, (self.centre[1] * h - h * MIDDLE) / unit];
        let room = [self.sides[0] * w / unit, self.sides[1] * h / unit];
        // The least and the greatest coordinate of the group along an axis.
        let reach = |axis: usize| {
            let ends = nominal.iter().map(|place| (place[axis], place[2] / 2.0));
            ends.fold([f32::MAX, f32::MIN], |[least, most], (at, half)| {
                [least.min(at - half), most.max(at + half)]
            })
        };
        let group = [reach(0), reach(1)];
        let fit = (0..2).map(|axis| room[axis] / (group[axis][1] - group[axis][0]).max(1e-3));
        let scale = (FRAME_SHARE * fit.fold(f32::MAX, f32::min)).min(1.0);
        for place in places.iter_mut() {
            for axis in 0..2 {
                let from = (group[axis][0] + group[axis][1]) / 2.0;
                place[axis] = middle[axis] + scale * (place[axis] - from);
            }
            place[2] *= scale;
        }
        // Chance may have moved them out of it.
        for axis in 0..2 {
            let ends = places.iter().map(|place| (place[axis], place[2] / 2.0));
            let [least, most] = ends.fold([f32::MAX, f32::MIN], |[least, most], (at, half)| {
                [least.min(at - half), most.max(at + half)]
            });
            let half = room[axis] / 2.0 * FRAME_LIMIT;
            let (start, end) = (middle[axis] - half, middle[axis] + half);
            let shift = if most - least <= end - start {
                (start - least).max(0.0) - (most - end).max(0.0)
            } else {
                middle[axis] - (least + most) / 2.0
            };
            places.iter_mut().for_each(|place| place[axis] += shift);
        }
    }
}

/// Says which part of a larger picture a latent is; all in latent cells, `[down, across]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The size of the whole picture.
    pub whole: [usize; 2],
    /// Where the part begins.
    pub at: [usize; 2],
}

impl View {
    /// Turns places in the whole picture into those that the same things have in the part, whose
    /// size is `latent`; they may lie beyond it.
    fn apply(self, places: &mut [Place], latent: [usize; 2]) {
        let (whole, part) = (unit(self.whole), unit(latent));
        // The middle of the places, in cells from the upper left corner: [x, y].
        let middle = |[h, w]: [usize; 2]| [w as f32 / 2.0, h as f32 * MIDDLE];
        let (from, to) = (middle(self.whole), middle(latent));
        let at = [self.at[1], self.at[0]].map(|cells| cells as f32);
        for place in places {
            for axis in 0..2 {
                place[axis] = (from[axis] + place[axis] * whole - at[axis] - to[axis]) / part;
            }
            place[2] *= whole / part;
        }
    }
}

/// Says where the things of a prompt stand in a latent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Things {
    /// Where they stand in a picture of their own.
    Free(Stir),
    /// In a part of it.
    Framed(Stir, Frame),
    /// Where they stand in a larger picture, of which the latent is a part.
    Seen(Stir, View),
    /// Nobody knows: their words are read, and no drawings are laid.
    Unknown,
}

impl Things {
    /// Returns the places of things that nominally stand at others; `None` where they are not known.
    pub(super) fn places(
        self,
        nominal: &[Place],
        latent: [usize; 2],
        config: &Config,
    ) -> Option<Vec<Place>> {
        let mut places = nominal.to_vec();
        let (Self::Free(stir) | Self::Framed(stir, _) | Self::Seen(stir, _)) = self else {
            return None;
        };
        stir.apply(&mut places, config);
        match self {
            Self::Framed(_, frame) => frame.apply(&mut places, nominal, latent),
            Self::Seen(_, view) => view.apply(&mut places, latent),
            _ => {}
        }
        Some(places)
    }
}

/// Left, top and side of a place, in pixels of the small picture that a latent is.
fn edges(place: &Place, latent: [usize; 2]) -> [f32; 3] {
    let [h, w] = latent.map(|cells| (cells * CELL) as f32);
    let unit = unit(latent) * CELL as f32;
    let [dx, dy, side] = place.map(|number| number * unit);
    [w / 2.0 + dx - side / 2.0, h * MIDDLE + dy - side / 2.0, side]
}

/// For each pixel along a side of the small picture, how much it has of each of a drawing's:
/// `[pixels, drawing]`. It is the mean under a tent as wide as the pixel is in the drawing, but
/// never narrower than one there; the parts of a pixel add up to 1 within 2 %.
fn shares(pixels: usize, start: f32, size: f32, drawing: usize) -> Vec<f32> {
    let width = (drawing as f32 / size).max(1.0);
    let at = |pixel: usize| (pixel as f32 + 0.5 - start) / size * drawing as f32 - 0.5;
    let share = |pixel: usize, part: usize| {
        (1.0 - (at(pixel) - part as f32).abs() / width).max(0.0) / width
    };
    (0..pixels).flat_map(|pixel| (0..drawing).map(move |part| share(pixel, part))).collect()
}

/// Lays a drawing `[channels, drawing, drawing]` into its place in the small picture of a latent of
/// `[height, width]` cells: `[channels, 4 · height, 4 · width]`.
pub(super) fn lay(drawing: &[f32], place: &Place, side: usize, latent: [usize; 2]) -> Vec<f32> {
    let [h, w] = latent.map(|cells| cells * CELL);
    let [left, top, size] = edges(place, latent);
    let (rows, columns) = (shares(h, top, size, side), shares(w, left, size, side));
    let mut out = Vec::with_capacity(drawing.len() / (side * side) * h * w);
    for channel in drawing.chunks_exact(side * side) {
        // Along the rows first: [side, w].
        let mut wide = vec![0.0; side * w];
        for (wide, row) in wide.chunks_exact_mut(w).zip(channel.chunks_exact(side)) {
            for (wide, shares) in wide.iter_mut().zip(columns.chunks_exact(side)) {
                *wide = shares.iter().zip(row).map(|(share, value)| share * value).sum();
            }
        }
        for shares in rows.chunks_exact(side) {
            let mut line = vec![0.0; w];
            for (share, wide) in shares.iter().zip(wide.chunks_exact(w)) {
                if *share > 0.0 {
                    line.iter_mut().zip(wide).for_each(|(line, value)| *line += share * value);
                }
            }
            out.extend(line);
        }
    }
    out
}

/// Orders the pixels of a small picture `[channels, 4 · height, 4 · width]` as tokens have their
/// numbers, and adds them to `tokens`, `[tokens, channels · 64]`: by channel, row and column in a
/// latent cell, then row and column of the cell in its token.
pub(super) fn add_tokens(tokens: &mut [f32], picture: &[f32], latent: [usize; 2]) {
    let [h, w] = latent.map(|cells| cells * CELL);
    let reach = CELL * PATCH;
    let numbers = picture.len() / (h * w) * reach * reach;
    for (at, value) in picture.iter().enumerate() {
        let (channel, y, x) = (at / (h * w), at / w % h, at % w);
        let token = y / reach * (w / reach) + x / reach;
        let cell = y / CELL % PATCH * PATCH + x / CELL % PATCH;
        let number = ((channel * CELL + y % CELL) * CELL + x % CELL) * PATCH * PATCH + cell;
        tokens[token * numbers + number] += value;
    }
}

/// The mean over each token's pixels of one channel `[4 · height, 4 · width]`: `[tokens]`.
pub(super) fn cover(channel: &[f32], latent: [usize; 2]) -> Vec<f32> {
    let [h, w] = latent.map(|cells| cells * CELL);
    let reach = CELL * PATCH;
    let mut tokens = vec![0.0; h / reach * (w / reach)];
    for (at, value) in channel.iter().enumerate() {
        tokens[at / w / reach * (w / reach) + at % w / reach] += value / (reach * reach) as f32;
    }
    tokens
}

/// By how much each pair of a head's half turns per token.
pub(super) fn frequencies(base: f32) -> impl Iterator<Item = f32> {
    let pairs = HEAD_WIDTH / 4;
    (0..pairs).map(move |pair| base.powf(-(pair as f32) / pairs as f32))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_core::Device;

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
    fn a_part_of_a_larger_picture_shows_its_part_of_the_drawing() {
        let (side, whole) = (48, [32, 24]);
        let drawing: Vec<f32> = (0..side * side).map(|at| (at % 7) as f32).collect();
        let config = config();
        let nominal = [[0.1, -0.05, 0.6]];
        let stir = Stir { x: 0.3, y: -0.2, size: 0.1 };
        let all = Things::Free(stir).places(&nominal, whole, &config).expect("places");
        let all = lay(&drawing, &all[0], side, whole);
        for (at, latent) in [([0, 0], [16, 16]), ([14, 8], [16, 16]), ([5, 3], [8, 16])] {
            let seen = Things::Seen(stir, View { whole, at });
            let places = seen.places(&nominal, latent, &config).expect("places");
            let part = lay(&drawing, &places[0], side, latent);
            for (y, row) in part.chunks_exact(latent[1] * CELL).enumerate() {
                for (x, value) in row.iter().enumerate() {
                    let wanted = all[(at[0] * CELL + y) * whole[1] * CELL + at[1] * CELL + x];
                    assert!((value - wanted).abs() < 1e-3, "{at:?} {y} {x}: {value} {wanted}");
                }
            }
        }
        assert_eq!(Things::Unknown.places(&nominal, whole, &config), None);
    }

    #[test]
    fn a_drawing_lies_inside_its_box_alone_and_keeps_its_value_there() {
        let (side, latent) = (48, [16, 16]);
        // 44 pixels wide, from 10 to 54 and from 11.28 to 55.28.
        let picture = lay(&vec![1.0; side * side], &[0.0, 0.0, 0.6875], side, latent);
        let at = |y: usize, x: usize| picture[y * 64 + x];
        assert_eq!((at(0, 0), at(63, 32), at(32, 63), at(32, 8)), (0.0, 0.0, 0.0, 0.0));
        for (y, x) in [(16, 16), (32, 32), (50, 50)] {
            assert!((at(y, x) - 1.0).abs() < 0.03, "{y} {x}: {}", at(y, x));
        }
        let area: f32 = picture.iter().sum();
        assert!((area / (44.0 * 44.0) - 1.0).abs() < 0.03, "{area}");
    }

    #[test]
    fn the_pixels_of_a_picture_come_to_their_tokens_in_the_order_of_a_latents_numbers() {
        let latent = [2, 4]; // one row of two tokens
        let picture: Vec<f32> = (0..2 * 8 * 16).map(|at| at as f32).collect();
        let mut tokens = vec![0.0; picture.len()];
        add_tokens(&mut tokens, &picture, latent);
        // Second token, second channel, row 2 and column 3 of the cell in row 1 and column 0.
        let (channel, y, x) = (1, 4 + 2, 8 + 3);
        let number = ((channel * 4 + 2) * 4 + 3) * 4 + 2;
        assert_eq!(tokens[128 + number], picture[(channel * 8 + y) * 16 + x]);
        assert_eq!(cover(&[1.0; 8 * 16], latent), [1.0, 1.0]);
    }

    #[test]
    fn in_a_frame_things_stand_around_its_middle_and_are_no_wider_than_it() {
        let (config, latent) = (config(), [16, 16]);
        let frame = Frame { centre: [0.25, 0.75], sides: [0.4, 0.3] };
        for ids in [&[FOX][..], &[FOX, LEFT, CAT], &[THREE, FOX]] {
            let nominal: Vec<Place> =
                layout(ids, &config).iter().map(|(_, place)| *place).collect();
            let mut places = nominal.clone();
            frame.apply(&mut places, &nominal, latent);
            let mut ends = [[f32::MAX, f32::MIN]; 2];
            for place in &places {
                let [left, top, side] = edges(place, latent).map(|pixels| pixels / 64.0);
                for (ends, start) in ends.iter_mut().zip([left, top]) {
                    *ends = [ends[0].min(start), ends[1].max(start + side)];
                }
            }
            for (axis, [least, most]) in ends.into_iter().enumerate() {
                assert!(
                    ((least + most) / 2.0 - frame.centre[axis]).abs() < 1e-3,
                    "{ids:?} {ends:?}"
                );
                assert!(most - least <= frame.sides[axis], "{ids:?} {ends:?}");
            }
        }
        // What chance moves is held in the frame.
        let nominal = [[0.0, 0.0, 0.66]];
        let mut moved = [[0.3, -0.3, 0.7]];
        frame.apply(&mut moved, &nominal, latent);
        let [left, top, side] = edges(&moved[0], latent).map(|pixels| pixels / 64.0);
        assert!(left + side <= 0.45 + 1e-3 && top >= 0.6 - 1e-3, "{left} {top} {side}");
        // In a frame with room to spare a thing is as large as ever.
        let mut alone = [[0.0, 0.0, 0.66]];
        let wide = Frame { centre: [0.5, 0.52], sides: [1.0, 0.9] };
        wide.apply(&mut alone, &[[0.0, 0.0, 0.66]], latent);
        assert!(
            alone[0].iter().zip([0.0, 0.0, 0.66]).all(|(a, b)| (a - b).abs() < 1e-4),
            "{alone:?}"
        );
    }

    #[test]
    fn chance_moves_things_together_and_no_further_than_the_configuration_says() {
        let config = config();
        let mut pair = [[-0.245, 0.0, 0.43], [0.245, 0.0, 0.43]];
        Stir { x: 1.0, y: -1.0, size: 0.0 }.apply(&mut pair, &config);
        assert_eq!(pair.map(|place| place[1]), [-0.05, -0.05]);
        assert!((pair[1][0] - pair[0][0] - 0.49).abs() < 1e-6, "{pair:?}");
        let mut alone = [[0.0, 0.0, 0.66]];
        Stir { size: 1.0, ..Stir::default() }.apply(&mut alone, &config);
        assert!((alone[0][2] - 0.66 * 1.12).abs() < 1e-6, "{alone:?}");
        let noise = Tensor::new(&[[[[50.0f32]], [[-50.0]], [[0.0]]]], &Device::Cpu).expect("noise");
        assert_eq!(Stir::of(&noise).expect("stir"), Stir { x: 1.0, y: -1.0, size: 0.0 });
    }
}
