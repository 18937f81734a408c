//! The outline of a sound: the least and the greatest sample of every stretch, at every zoom.
//!
//! The lowest level has one pair for each [`FRAMES_PER_PAIR`] frames, each level above one for two
//! below; a question is answered from the coarsest level that is fine enough, and at its two edges
//! from finer ones, so it takes time by its answers and not by the length of the sound.
//!
//! Every sample of an hour takes longer to read than a person should wait for a first sight, so there
//! is a sketch: the same outline from one stretch in [`SKETCH_STRIDE`].

use rayon::prelude::*;

use crate::protocol::Pcm;

/// Frames that a pair of the lowest level stands for.
pub const FRAMES_PER_PAIR: usize = 256;

/// Of how many stretches a sketch looks at one.
pub const SKETCH_STRIDE: usize = 16;

/// Holds the least and the greatest sample of a stretch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extent {
    /// The least sample.
    pub low: f32,
    /// The greatest sample.
    pub high: f32,
}

impl Extent {
    const NOTHING: Self = Self { low: f32::INFINITY, high: f32::NEG_INFINITY };

    fn with(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    fn of(samples: &[f32]) -> Self {
        // Several at once: a single running minimum would wait for itself.
        let (mut low, mut high) = ([f32::INFINITY; 8], [f32::NEG_INFINITY; 8]);
        let mut widen = |samples: &[f32]| {
            for ((low, high), sample) in low.iter_mut().zip(&mut high).zip(samples) {
                *low = if *sample < *low { *sample } else { *low };
                *high = if *sample > *high { *sample } else { *high };
            }
        };
        let eights = samples.as_chunks::<8>();
        eights.0.iter().for_each(|eight| widen(eight));
        widen(eights.1);
        let lanes = low.into_iter().zip(high).map(|(low, high)| Self { low, high });
        lanes.fold(Self::NOTHING, Self::with)
    }
}

/// Holds the outline of a sound, all channels together.
#[derive(Debug, Clone)]
pub struct Peaks {
    levels: Vec<Vec<Extent>>,
    frames: usize,
    channels: usize,
    is_sketch: bool,
}

impl Peaks {
    /// Makes the outline of a sound.
    pub fn of(pcm: &Pcm) -> Self {
        let channels = usize::from(pcm.channels.max(1));
        let lowest: Vec<Extent> =
            pcm.samples.par_chunks(FRAMES_PER_PAIR * channels).map(Extent::of).collect();
        Self::above(lowest, pcm, false)
    }

    /// Makes the outline from one stretch in [`SKETCH_STRIDE`], which stands for its neighbours: it
    /// shows where a sound is loud and soft, and may miss a single peak.
    pub fn sketch(pcm: &Pcm) -> Self {
        let channels = usize::from(pcm.channels.max(1));
        let stretch = FRAMES_PER_PAIR * channels;
        let seen: Vec<Extent> = pcm
            .samples
            .par_chunks(stretch * SKETCH_STRIDE)
            .map(|samples| Extent::of(&samples[..samples.len().min(stretch)]))
            .collect();
        let count = pcm.samples.len().div_ceil(stretch);
        let lowest =
            seen.into_iter().flat_map(|one| std::iter::repeat_n(one, SKETCH_STRIDE)).take(count);
        Self::above(lowest.collect(), pcm, true)
    }

    fn above(lowest: Vec<Extent>, pcm: &Pcm, is_sketch: bool) -> Self {
        let channels = usize::from(pcm.channels.max(1));
        let mut levels = vec![lowest];
        while let Some(last) = levels.last().filter(|last| last.len() > 1) {
            let next = last
                .chunks(2)
                .map(|pair| pair.iter().fold(Extent::NOTHING, |sum, one| sum.with(*one)))
                .collect();
            levels.push(next);
        }
        Self { levels, frames: pcm.frames(), channels, is_sketch }
    }

    /// Tells whether it is a sketch, which an exact outline follows.
    pub fn is_sketch(&self) -> bool {
        self.is_sketch
    }

    /// Returns how many frames the sound has.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Returns the extents of `columns` equal stretches of the frames from `start` to `end`, exact to
    /// the sample unless it is a sketch; a stretch without frames is 0. `pcm` is the sound that the outline was made of.
    pub fn columns(&self, pcm: &Pcm, start: f64, end: f64, columns: usize) -> Vec<Extent> {
        let width = (end - start) / columns.max(1) as f64;
        let edge = |n: usize| (start + width * n as f64).floor().max(0.0) as usize;
        (0..columns)
            .map(|n| {
                let from = edge(n).min(self.frames);
                // Zoomed in below a frame, a stretch still shows the frame that it lies in.
                let to = edge(n + 1).max(from + 1).min(self.frames);
                let is_before = start + width * (n + 1) as f64 <= 0.0;
                match from < to && !is_before {
                    true => self.extent(pcm, from, to),
                    false => Extent { low: 0.0, high: 0.0 },
                }
            })
            .collect()
    }

    /// Returns the extent of the frames from `from` to below `to`.
    fn extent(&self, pcm: &Pcm, from: usize, to: usize) -> Extent {
        let raw = |from: usize, to: usize| {
            let samples = pcm.samples.get(from * self.channels..to * self.channels);
            Extent::of(samples.unwrap_or_default())
        };
        let (first, last) = (from.div_ceil(FRAMES_PER_PAIR), to / FRAMES_PER_PAIR);
        if first >= last {
            return raw(from, to);
        }
        let mut sum = raw(from, first * FRAMES_PER_PAIR).with(raw(last * FRAMES_PER_PAIR, to));
        let (mut low, mut high) = (first, last);
        for level in &self.levels {
            if low >= high {
                break;
            }
            // What has no partner within the stretch is taken here, the rest a level above.
            if low % 2 == 1 {
                sum = sum.with(level[low]);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                sum = sum.with(level[high]);
            }
            (low, high) = (low / 2, high / 2);
        }
        sum
    }
}
