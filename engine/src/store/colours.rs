//! Which colours a picture mostly has, by names that people search for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::protocol::Pixels;

/// How large a part of a picture a colour must cover to count.
const LEAST_SHARE: f32 = 0.1;

/// How many colours a picture has at most.
const MOST_COLOURS: usize = 5;

/// How many pixels are looked at, evenly spread.
const LOOKED_AT: usize = 4096;

/// Names a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Red.
    Red,
    /// Orange.
    Orange,
    /// Yellow.
    Yellow,
    /// Green.
    Green,
    /// Cyan, also turquoise.
    Cyan,
    /// Blue.
    Blue,
    /// Purple, also violet.
    Purple,
    /// Pink, also magenta.
    Pink,
    /// Brown, also beige.
    Brown,
    /// Black.
    Black,
    /// Grey.
    Grey,
    /// White.
    White,
}

/// Is a colour with its names and the sRGB values that are called so.
type NamedColour = (Colour, &'static [&'static str], &'static [[u8; 3]]);

/// Colours, their names and the sRGB values of which the nearest says how a pixel is called.
const TABLE: [NamedColour; 12] = [
    (
        Colour::Red,
        &["red", "红", "红色"],
        &[[214, 40, 40], [255, 0, 0], [140, 20, 25], [90, 10, 15]],
    ),
    (Colour::Orange, &["orange", "橙", "橙色"], &[[244, 140, 6], [255, 110, 20], [230, 160, 90]]),
    (Colour::Yellow, &["yellow", "黄", "黄色"], &[[255, 214, 10], [255, 255, 0], [250, 235, 130]]),
    (
        Colour::Green,
        &["green", "绿", "绿色"],
        &[[42, 157, 58], [0, 255, 0], [27, 77, 43], [150, 200, 90], [90, 120, 50], [160, 215, 165]],
    ),
    (
        Colour::Cyan,
        &["cyan", "turquoise", "teal", "青", "青色"],
        &[[34, 193, 195], [0, 255, 255], [15, 110, 115], [150, 225, 220]],
    ),
    (
        Colour::Blue,
        &["blue", "蓝", "蓝色"],
        &[[38, 103, 214], [0, 0, 255], [20, 35, 90], [125, 180, 235], [70, 110, 160]],
    ),
    (
        Colour::Purple,
        &["purple", "violet", "紫", "紫色"],
        &[[123, 44, 191], [70, 20, 100], [160, 110, 215], [200, 170, 235]],
    ),
    (
        Colour::Pink,
        &["pink", "magenta", "粉", "粉色", "粉红"],
        &[[247, 143, 179], [255, 0, 255], [225, 60, 140], [250, 195, 210]],
    ),
    (
        Colour::Brown,
        &["brown", "beige", "棕", "棕色", "褐色"],
        &[[127, 79, 36], [70, 42, 22], [165, 120, 80], [210, 180, 140]],
    ),
    (Colour::Black, &["black", "黑", "黑色"], &[[0, 0, 0], [24, 24, 26]]),
    (
        Colour::Grey,
        &["grey", "gray", "灰", "灰色"],
        &[[128, 128, 128], [72, 72, 74], [100, 100, 100], [180, 180, 180], [208, 208, 208]],
    ),
    (Colour::White, &["white", "白", "白色"], &[[255, 255, 255], [238, 238, 236]]),
];

impl Colour {
    /// Returns its English name.
    pub fn label(self) -> &'static str {
        TABLE.iter().find(|(colour, ..)| *colour == self).map_or("", |(_, names, _)| names[0])
    }

    /// Lists every colour.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.into_iter().map(|(colour, ..)| colour)
    }

    /// Returns an sRGB value that is called so.
    pub fn rgb(self) -> [u8; 3] {
        let of = |(_, _, values): &NamedColour| values.first().copied();
        let row = TABLE.iter().find(|(colour, ..)| *colour == self);
        row.and_then(of).unwrap_or_default()
    }

    /// Finds a colour by its name in English or Chinese, or the colour nearest to `#rrggbb`.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase();
        if let Some(digits) = name.strip_prefix('#').filter(|digits| digits.len() == 6) {
            let value = u32::from_str_radix(digits, 16).ok()?;
            let [_, red, green, blue] = value.to_be_bytes();
            return Some(nearest(&references(), [red, green, blue]));
        }
        let found = TABLE.iter().find(|(_, names, _)| names.contains(&name.as_str()));
        found.map(|(colour, ..)| *colour)
    }

    /// Returns the bit that stands for it in the index.
    pub(super) fn bit(self) -> u16 {
        1 << TABLE.iter().position(|(colour, ..)| *colour == self).unwrap_or(0)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Returns the colours that a picture mostly has, the largest first: those that cover a tenth of
/// it and more, five at most. What is more than half transparent does not count.
pub fn dominant(picture: &Pixels) -> Vec<Colour> {
    let references = references();
    let pixels = picture.rgba.len() / 4;
    let step = pixels.div_ceil(LOOKED_AT).max(1);
    // An odd step, or every column of a picture whose width it divides would be the same one.
    let step = if step > 1 { step | 1 } else { 1 };
    let mut counts = [0_usize; TABLE.len()];
    for pixel in picture.rgba.chunks_exact(4).step_by(step).filter(|pixel| pixel[3] >= 128) {
        let colour = nearest(&references, [pixel[0], pixel[1], pixel[2]]);
        counts[colour.bit().trailing_zeros() as usize] += 1;
    }
    let total: usize = counts.iter().sum();
    let mut found: Vec<(usize, Colour)> = counts
        .into_iter()
        .zip(TABLE)
        .filter(|(count, _)| *count > 0 && *count as f32 >= LEAST_SHARE * total as f32)
        .map(|(count, (colour, ..))| (count, colour))
        .collect();
    found.sort_by_key(|(count, colour)| (std::cmp::Reverse(*count), *colour));
    found.into_iter().take(MOST_COLOURS).map(|(_, colour)| colour).collect()
}

/// Returns colours as bits.
pub(super) fn bits(colours: &[Colour]) -> u16 {
    colours.iter().fold(0, |bits, colour| bits | colour.bit())
}

fn references() -> Vec<(Colour, [f32; 3])> {
    let of = |(colour, _, values): (Colour, _, &[[u8; 3]])| {
        values.iter().map(|value| (colour, oklab(*value))).collect::<Vec<_>>()
    };
    TABLE.into_iter().flat_map(of).collect()
}

fn nearest(references: &[(Colour, [f32; 3])], rgb: [u8; 3]) -> Colour {
    let here = oklab(rgb);
    let distance = |there: &[f32; 3]| {
        // Lightness counts half: a colour keeps its name in shade and sun, but greys do not.
        let [light, a, b] = [here[0] - there[0], here[1] - there[1], here[2] - there[2]];
        light * light * 0.25 + a * a + b * b
    };
    let closest = references.iter().min_by(|(_, a), (_, b)| distance(a).total_cmp(&distance(b)));
    closest.map_or(Colour::Grey, |(colour, _)| *colour)
}

/// Converts sRGB to OKLab.
///
/// # Source
/// Björn Ottosson, “A perceptual color space for image processing”, 2020.
fn oklab(rgb: [u8; 3]) -> [f32; 3] {
    let linear = rgb.map(|value| {
        let value = f32::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    let [r, g, b] = linear;
    let l = (0.412_221_47 * r + 0.536_332_54 * g + 0.051_445_993 * b).cbrt();
    let m = (0.211_903_5 * r + 0.680_699_5 * g + 0.107_396_96 * b).cbrt();
    let s = (0.088_302_46 * r + 0.281_718_84 * g + 0.629_978_7 * b).cbrt();
    [
        0.210_454_26 * l + 0.793_617_8 * m - 0.004_072_047 * s,
        1.977_998_5 * l - 2.428_592_2 * m + 0.450_593_7 * s,
        0.025_904_037 * l + 0.782_771_77 * m - 0.808_675_77 * s,
    ]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not so")]

    use super::*;

    fn striped(stripes: &[([u8; 4], usize)]) -> Pixels {
        let rows: usize = stripes.iter().map(|(_, rows)| rows).sum();
        let rgba = stripes.iter().flat_map(|(pixel, rows)| pixel.repeat(rows * 100)).collect();
        Pixels::new(100, u32::try_from(rows).unwrap(), rgba).unwrap()
    }

    #[test]
    fn a_picture_has_the_colours_that_cover_a_tenth_of_it_and_more() {
        let picture = striped(&[
            ([200, 30, 30, 255], 60),
            ([20, 60, 200, 255], 25),
            ([240, 240, 240, 255], 11),
            ([30, 160, 60, 255], 4),
        ]);
        assert_eq!(dominant(&picture), [Colour::Red, Colour::Blue, Colour::White]);
        let hidden = striped(&[([200, 30, 30, 0], 90), ([20, 60, 200, 255], 10)]);
        assert_eq!(dominant(&hidden), [Colour::Blue]);
        assert!(dominant(&striped(&[([200, 30, 30, 0], 10)])).is_empty());
    }

    #[test]
    fn everyday_colours_have_their_everyday_names() {
        for (hex, name) in [
            ("#ff0000", "red"),
            ("#8b0000", "red"),
            ("#ffa500", "orange"),
            ("#ffff00", "yellow"),
            ("#008000", "green"),
            ("#006400", "green"),
            ("#556b2f", "green"),
            ("#40e0d0", "cyan"),
            ("#000080", "blue"),
            ("#87ceeb", "blue"),
            ("#4682b4", "blue"),
            ("#800080", "purple"),
            ("#ffc0cb", "pink"),
            ("#8b4513", "brown"),
            ("#d2b48c", "brown"),
            ("#101010", "black"),
            ("#808080", "grey"),
            ("#404040", "grey"),
            ("#d3d3d3", "grey"),
            ("#fffafa", "white"),
        ] {
            assert_eq!(Colour::named(hex).unwrap().label(), name, "{hex}");
        }
        assert_eq!(Colour::named("红色"), Some(Colour::Red));
        assert_eq!(Colour::named(" Gray "), Some(Colour::Grey));
        assert_eq!((Colour::named("#12"), Colour::named("loud")), (None, None));
    }
}
