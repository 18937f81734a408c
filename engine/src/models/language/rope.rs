//! Rotary positions: tables of angles.

use super::config::{Pairs, Rope};

/// Holds cosines and sines for all positions: `[context, turned / 2]` each.
#[derive(Debug, Clone)]
pub(super) struct Angles {
    pub(super) cosines: Vec<f32>,
    pub(super) sines: Vec<f32>,
    pub(super) pairs: Pairs,
    pub(super) turned: usize,
}

/// Says how frequencies are bent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bend<'a> {
    pub(super) base: f64,
    pub(super) scale: f64,
    /// Divide the frequencies one by one: `turned / 2`, or none.
    pub(super) factors: Option<&'a [f32]>,
    /// Scales what is turned.
    pub(super) strength: f64,
}

impl Angles {
    /// Makes the tables for the positions below `context`.
    pub(super) fn new(config: &Rope, bend: Bend<'_>, context: usize) -> Self {
        let half = config.turned / 2;
        let frequency = |i: usize| {
            let plain = bend.base.powf(-((2 * i) as f64) / config.turned as f64);
            plain / f64::from(bend.factors.map_or(1.0, |factors| factors[i])) / bend.scale
        };
        let frequencies: Vec<f64> = (0..half).map(frequency).collect();
        let mut cosines = Vec::with_capacity(context * half);
        let mut sines = Vec::with_capacity(context * half);
        for position in 0..context {
            for frequency in &frequencies {
                let angle = position as f64 * frequency;
                cosines.push((angle.cos() * bend.strength) as f32);
                sines.push((angle.sin() * bend.strength) as f32);
            }
        }
        Self { cosines, sines, pairs: config.pairs, turned: config.turned }
    }
}

/// Holds the angles of all layers.
#[derive(Debug)]
pub(super) struct AllAngles {
    /// Of layers that see all tokens before.
    pub(super) whole: Angles,
    /// Of layers with a window, where they differ.
    pub(super) in_window: Option<Angles>,
}

impl AllAngles {
    /// Makes the tables of a model; `factors` and `strength` hold for layers without a window.
    pub(super) fn new(
        config: &Rope,
        factors: Option<&[f32]>,
        strength: f64,
        context: usize,
    ) -> Self {
        let bend = Bend { base: config.base, scale: config.scale, factors, strength };
        // Only where windows have angles of their own does the second table differ.
        let in_window = (config.base_in_window != config.base).then(|| {
            let bend =
                Bend { base: config.base_in_window, scale: 1.0, factors: None, strength: 1.0 };
            Angles::new(config, bend, context)
        });
        Self { whole: Angles::new(config, bend, context), in_window }
    }

    /// Returns the angles of a layer.
    pub(super) fn of(&self, has_window: bool) -> &Angles {
        match &self.in_window {
            Some(in_window) if has_window => in_window,
            _ => &self.whole,
        }
    }
}
