//! The autoencoder: pictures to latents and back.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::Tensor;

use super::blocks::{Check, PixelAttention, Resnet, doubling, group_norm, halving, plain};
use super::tiles::{Book, Norms, Tile, Tiles};
use crate::error::EngineError;
use crate::nn::{Adding, Compute, Conv, GroupNorm, Leading, Linear, Load};
use crate::weights::sd_config::VaeConfig;

/// Added to variances by the autoencoder's norms.
const EPS: f64 = 1e-6;

/// A level of the encoder or decoder.
#[derive(Debug, Clone)]
struct Level {
    channels: usize,
    resnets: Vec<Resnet>,
    /// Halves or doubles the size.
    resize: Option<Conv>,
}

/// One half of the autoencoder.
#[derive(Debug, Clone)]
struct Half {
    first: Conv,
    levels: Vec<Level>,
    middle: (Resnet, PixelAttention, Resnet),
    norm: GroupNorm,
    last: Conv,
    /// Large pictures are computed some rows at a time.
    is_lean: bool,
}

/// Says which halves of an autoencoder are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halves {
    /// Both; the encoder only where the file has it.
    Both,
    /// The one that makes latents.
    Encoder,
    /// The one that makes pictures.
    Decoder,
}

/// Turns pictures into latents of an eighth of the size and back.
#[derive(Debug, Clone)]
pub struct Vae {
    compute: Compute,
    decoder: Option<Half>,
    /// Before the decoder; some autoencoders have none.
    into_decoder: Option<Linear>,
    encoder: Option<Half>,
    out_of_encoder: Option<Linear>,
}

impl Vae {
    /// Loads an autoencoder by diffusers' names; the encoder only where it is there.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn new(config: &VaeConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        Self::load(config, Halves::Both, load)
    }

    /// Loads what is needed of an autoencoder by diffusers' names.
    ///
    /// # Errors
    /// As [`Load::values`].
    pub fn load(config: &VaeConfig, halves: Halves, load: &Load<'_>) -> Result<Self, EngineError> {
        let channels = config.latent_channels;
        let optional = |name: &str, channels: usize| {
            let load = load.pp(name);
            load.has("weight")
                .then(|| Linear::pointwise(channels, channels, false, &load))
                .transpose()
        };
        let encoder = load.pp("encoder");
        let has_encoder = halves != Halves::Decoder && encoder.pp("conv_in").has("weight");
        let encoder = has_encoder.then(|| Half::encoder(config, &encoder)).transpose()?;
        let decoder = (halves != Halves::Encoder)
            .then(|| Half::decoder(config, &load.pp("decoder")))
            .transpose()?;
        Ok(Self {
            compute: load.compute().clone(),
            decoder,
            into_decoder: optional("post_quant_conv", channels)?,
            encoder,
            out_of_encoder: optional("quant_conv", 2 * channels)?,
        })
    }

    /// Returns pictures `[batch, 3, 8·height, 8·width]`, about -1..=1 but not cut off there, of
    /// latents `[batch, channels, height, width]` (divided by the scaling factor already).
    ///
    /// # Errors
    /// [`EngineError::Model`] when the decoder was not loaded; that of `check`, and errors of the
    /// tensor library.
    pub fn decode(&self, latents: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let decoder = self.decoder()?;
        let x = self.head(latents, check)?;
        let x = decoder.tail(x, 0, &Norms::Own, check)?;
        Ok(self.compute.lay_back(&x)?)
    }

    /// Returns the same picture of one latent `[1, channels, height, width]`, the finest levels in tiles
    /// of at most `side` latents each way. Levels whose pictures take at most `whole_bytes` are computed
    /// whole.
    ///
    /// Tiles overlap by as much as a place reads, so that they meet without a seam. The norms of all
    /// go by sums over the whole picture: a first pass over the tiles measures them, each tile by its
    /// own norms, and a second one paints. The sums of the first norm in tiles are those of the whole;
    /// the later ones differ where tiles show unlike things, the less the fewer levels are in tiles.
    ///
    /// # Errors
    /// As [`Vae::decode`].
    pub fn decode_tiles(
        &self,
        latents: &Tensor,
        (side, whole_bytes): (usize, usize),
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let decoder = self.decoder()?;
        let (count, _, height, width) = latents.dims4()?;
        if count != 1 {
            return Err(EngineError::Model { reason: "tiles are of one picture".to_owned() });
        }
        let from = decoder.whole_levels(height * width, whole_bytes);
        let x = self.head(latents, check)?;
        let x = decoder.climb(x, 0..from, &Norms::Own, check)?;
        let (tiles, times) = (decoder.reach(from), 1 << from);
        let tiles = Tiles::new([times * height, times * width], times * side, tiles);
        let book = self.measure(&x, from, &tiles, check)?;
        self.paint(&x, from, (&tiles, &book), check)
    }

    /// Runs the tail of the decoder over tiles for the sums of its norms.
    fn measure(
        &self,
        x: &Tensor,
        from: usize,
        tiles: &Tiles,
        check: &Check<'_>,
    ) -> Result<RefCell<Book>, EngineError> {
        let book = RefCell::new(Book::default());
        for tile in tiles.all() {
            book.borrow_mut().turn_back();
            let norms = Norms::Measured { book: &book, tile: &tile };
            self.decoder()?.tail(self.cut(x, &tile)?, from, &norms, check)?;
        }
        Ok(book)
    }

    /// Runs the tail of the decoder over tiles, with norms by sums that are known, and joins them.
    fn paint(
        &self,
        x: &Tensor,
        from: usize,
        (tiles, book): (&Tiles, &RefCell<Book>),
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let mut rows = Vec::new();
        for row in tiles.rows() {
            let mut parts = Vec::new();
            for tile in row {
                book.borrow_mut().turn_back();
                let part = self.cut(x, &tile)?;
                let part = self.decoder()?.tail(part, from, &Norms::Whole { book }, check)?;
                let part = self.compute.lay_back(&part)?; // [1, 3, h, w]
                let scale = part.dim(2)? / tile.rows.len().max(1);
                let [down, across] = tile.core(scale);
                let part = part.narrow(2, down.start, down.len())?;
                parts.push(part.narrow(3, across.start, across.len())?.contiguous()?);
            }
            rows.push(Tensor::cat(&parts, 3)?);
        }
        Ok(Tensor::cat(&rows, 2)?)
    }

    fn decoder(&self) -> Result<&Half, EngineError> {
        let lacks = || EngineError::Model { reason: "the decoder is not loaded".to_owned() };
        self.decoder.as_ref().ok_or_else(lacks)
    }

    /// Computes what is of the latents' size: the middle, which sees all of the picture, and the first
    /// blocks.
    fn head(&self, latents: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let decoder = self.decoder()?;
        let x = self.compute.lay_out(latents)?;
        let x = self.pointwise(self.into_decoder.as_ref(), x)?;
        let x = plain(&decoder.first, &x)?;
        let mut x = decoder.middle(&x, check)?;
        for resnet in decoder.levels.first().iter().flat_map(|level| &level.resnets) {
            check()?;
            x = resnet.forward_large(x, &Norms::Own, check)?;
        }
        Ok(x)
    }

    /// Cuts a tile out of a laid-out picture.
    fn cut(&self, x: &Tensor, tile: &Tile) -> Result<Tensor, EngineError> {
        let down = if matches!(self.compute, Compute::Candle(..)) { 2 } else { 1 };
        let part = x.narrow(down, tile.rows.start, tile.rows.len())?;
        Ok(part.narrow(down + 1, tile.columns.start, tile.columns.len())?.contiguous()?)
    }

    /// Returns mean and logarithm of the variance, `[batch, 2 · channels, height / 8, width / 8]`, of
    /// pictures `[batch, 3, height, width]` in -1..=1.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] when the file held no encoder; that of `check`, and errors of
    /// the tensor library.
    pub fn encode(&self, pictures: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let Some(encoder) = &self.encoder else {
            return Err(EngineError::invalid("model", "has no encoder for pictures"));
        };
        let x = plain(&encoder.first, &self.compute.lay_out(pictures)?)?;
        let x = encoder.down(x, check)?;
        let x = encoder.end(&encoder.middle(&x, check)?, &Norms::Own, check)?;
        Ok(self.compute.lay_back(&self.pointwise(self.out_of_encoder.as_ref(), x)?)?)
    }

    fn pointwise(&self, linear: Option<&Linear>, x: Tensor) -> Result<Tensor, EngineError> {
        let Some(linear) = linear else { return Ok(x) };
        let [batch, height, width, _] = self.compute.sizes(&x)?;
        let rows = linear.forward(&self.compute.rows(&x)?)?;
        Ok(self.compute.pictures(&rows, [batch, height, width])?)
    }
}

impl Half {
    fn decoder(config: &VaeConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let mut width = config.channels.last().copied().unwrap_or_default();
        let (last, narrow) = (width, config.channels[0]);
        let mut levels = Vec::new();
        for (index, outputs) in config.channels.iter().rev().enumerate() {
            let load = load.pp("up_blocks").pp(index);
            let mut resnets = Vec::new();
            for position in 0..=config.layers {
                let load = load.pp("resnets").pp(position);
                resnets.push(Resnet::new([width, *outputs], None, (EPS, true), &load)?);
                width = *outputs;
            }
            let is_last = index + 1 == config.channels.len();
            let resize = if is_last { None } else { Some(doubling(width, &load)?) };
            levels.push(Level { channels: *outputs, resnets, resize });
        }
        Ok(Self {
            first: Conv::same(config.latent_channels, last, &load.pp("conv_in"))?,
            middle: Self::load_middle(last, load)?,
            levels,
            norm: group_norm(narrow, EPS, &load.pp("conv_norm_out"))?,
            last: Conv::same(narrow, 3, &load.pp("conv_out"))?,
            is_lean: load.is_lean(),
        })
    }

    fn encoder(config: &VaeConfig, load: &Load<'_>) -> Result<Self, EngineError> {
        let mut width = config.channels[0];
        let mut levels = Vec::new();
        for (index, outputs) in config.channels.iter().enumerate() {
            let load = load.pp("down_blocks").pp(index);
            let mut resnets = Vec::new();
            for position in 0..config.layers {
                let load = load.pp("resnets").pp(position);
                resnets.push(Resnet::new([width, *outputs], None, (EPS, true), &load)?);
                width = *outputs;
            }
            // Zeros only below and to the right, as the reference pads.
            let is_last = index + 1 == config.channels.len();
            let resize = if is_last { None } else { Some(halving(width, [0, 1, 0, 1], &load)?) };
            levels.push(Level { channels: *outputs, resnets, resize });
        }
        Ok(Self {
            first: Conv::same(3, config.channels[0], &load.pp("conv_in"))?,
            levels,
            middle: Self::load_middle(width, load)?,
            norm: group_norm(width, EPS, &load.pp("conv_norm_out"))?,
            last: Conv::same(width, 2 * config.latent_channels, &load.pp("conv_out"))?,
            is_lean: load.is_lean(),
        })
    }

    fn load_middle(
        width: usize,
        load: &Load<'_>,
    ) -> Result<(Resnet, PixelAttention, Resnet), EngineError> {
        let load = load.pp("mid_block");
        let resnet = |index: usize| {
            Resnet::new([width; 2], None, (EPS, true), &load.pp("resnets").pp(index))
        };
        let attention = PixelAttention::new(width, &load.pp("attentions").pp(0))?;
        Ok((resnet(0)?, attention, resnet(1)?))
    }

    fn middle(&self, x: &Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let (before, attention, after) = &self.middle;
        check()?;
        let x = before.forward(x, None, check)?;
        check()?;
        let x = attention.forward(&x, check)?;
        after.forward(&x, None, check)
    }

    /// Goes down the levels of an encoder.
    fn down(&self, mut x: Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
        for level in &self.levels {
            for resnet in &level.resnets {
                check()?;
                x = if self.is_lean && x.dim(0)? == 1 {
                    resnet.forward_lean(x, None, &Norms::Own, check)?
                } else {
                    resnet.forward_large(x, &Norms::Own, check)?
                };
            }
            if let Some(resize) = &level.resize {
                x = resized(resize, x, check)?;
            }
        }
        check()?;
        Ok(x)
    }

    /// Goes on from behind the blocks of the level `from` to the picture.
    fn tail(
        &self,
        x: Tensor,
        from: usize,
        norms: &Norms<'_>,
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        let last = self.levels.len().saturating_sub(1);
        let x = self.climb(x, from..last, norms, check)?;
        self.end(&x, norms, check)
    }

    /// Goes from behind the blocks of a level to behind those of another.
    fn climb(
        &self,
        mut x: Tensor,
        levels: Range<usize>,
        norms: &Norms<'_>,
        check: &Check<'_>,
    ) -> Result<Tensor, EngineError> {
        for index in levels {
            let mut doubling = self.levels[index].resize.as_ref();
            for resnet in &self.levels[index + 1].resnets {
                check()?;
                if self.is_lean && x.dim(0)? == 1 {
                    x = resnet.forward_lean(x, doubling.take(), norms, check)?;
                    continue;
                }
                if let Some(doubling) = doubling.take() {
                    x = resized(doubling, x, check)?;
                }
                x = resnet.forward_large(x, norms, check)?;
            }
            if let Some(doubling) = doubling {
                x = resized(doubling, x, check)?;
            }
        }
        check()?;
        Ok(x)
    }

    /// Returns how many levels behind the first take at most so many bytes while they are computed from
    /// so many latents; the last one is never among them.
    fn whole_levels(&self, latents: usize, bytes: usize) -> usize {
        let takes = |index: usize| {
            let of = |index: usize| 4 * self.levels[index].channels * (latents << (2 * index));
            // What two convolutions write, beside what the first one reads.
            2 * of(index) + of(index - 1)
        };
        let most = self.levels.len().saturating_sub(2);
        (1..=most).take_while(|index| takes(*index) <= bytes).count()
    }

    /// Returns how far away from a place what is behind the level `from` reads, at most, in places of
    /// that level.
    fn reach(&self, from: usize) -> usize {
        let (mut reach, mut scale) = (0.0, 1.0);
        for (index, level) in self.levels.iter().enumerate().skip(from) {
            // Two convolutions in each block, one behind a doubling: a place of the picture each.
            reach += if index > from { 2.0 * level.resnets.len() as f64 / scale } else { 0.0 };
            scale *= if level.resize.is_some() { 2.0 } else { 1.0 };
            reach += if level.resize.is_some() { 1.0 / scale } else { 0.0 };
        }
        (reach + 1.0 / scale).ceil() as usize
    }

    fn end(&self, x: &Tensor, norms: &Norms<'_>, check: &Check<'_>) -> Result<Tensor, EngineError> {
        let stop = || check().is_err();
        let scales = norms.scales(&self.norm, x)?;
        let (norm, scales) = (Some(&self.norm), scales.as_ref());
        let leading = Leading { norm, scales, stop: Some(&stop), ..Leading::SILU };
        let x = self.last.forward(x, leading, Adding::default())?;
        check()?;
        Ok(x)
    }
}

/// Halves or doubles the size.
fn resized(resize: &Conv, x: Tensor, check: &Check<'_>) -> Result<Tensor, EngineError> {
    check()?;
    let stop = || check().is_err();
    let leading = Leading { stop: Some(&stop), ..Leading::default() };
    Ok(resize.forward(&x, leading, Adding::default())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Level as Isa, Precision};
    use crate::weights::RandomTensors;

    #[test]
    fn tiles_whose_norms_know_the_whole_picture_are_the_whole_picture_and_meet_without_a_seam() {
        let check = || Ok(());
        let config = VaeConfig { channels: vec![32, 32, 64, 64], ..VaeConfig::sd() };
        let kernels = Compute::Kernels(Isa::best(), Precision::Exact);
        let candle = Compute::Candle(candle_core::Device::Cpu, Precision::Exact);
        for (compute, is_lean) in [(kernels.clone(), false), (kernels, true), (candle, true)] {
            let load = Load::new(&RandomTensors, compute).lean(is_lean);
            let vae = Vae::new(&config, &load).expect("an autoencoder");
            let latents = load.tensor("latents", &[1, 4, 20, 26]).expect("latents");
            let whole = vae.decode(&latents, &check).expect("a picture");
            let decoder = vae.decoder().expect("a decoder");
            assert_eq!([0, 1, 2].map(|from| decoder.reach(from)), [7, 6, 4]);
            let x = vae.head(&latents, &check).expect("the head");
            let all = Tiles::new([20, 26], 26, 7);
            let book = vae.measure(&x, 0, &all, &check).expect("sums");
            let tiles = Tiles::new([20, 26], 18, 7);
            assert!(tiles.all().count() >= 20);
            let made = vae.paint(&x, 0, (&tiles, &book), &check).expect("a picture");
            assert_eq!(made.dims(), whole.dims());
            let off = (made - &whole).and_then(|off| off.abs()?.max_all()?.to_scalar::<f32>());
            let most = whole.abs().and_then(|all| all.max_all()?.to_scalar::<f32>());
            let (off, most) = (off.expect("a number"), most.expect("a number"));
            assert!(off <= 2e-5 * most, "{off} of {most}");
        }
    }

    #[test]
    fn rows_at_a_time_make_the_same_picture_as_all_at_once() {
        let check = || Ok(());
        let config = VaeConfig { channels: vec![32, 64, 64, 96], ..VaeConfig::sd() };
        for precision in [Precision::Exact, Precision::Fast] {
            let load = Load::new(&RandomTensors, Compute::Kernels(Isa::best(), precision));
            let whole = Vae::new(&config, &load).expect("an autoencoder");
            let lean = Vae::new(&config, &load.clone().lean(true)).expect("an autoencoder");
            let latents = load.tensor("latents", &[1, 4, 11, 40]).expect("latents");
            let wanted = whole.decode(&latents, &check).expect("a picture");
            let made = lean.decode(&latents, &check).expect("a picture");
            let off = |made: &Tensor, wanted: &Tensor| {
                let off = (made - wanted).and_then(|off| off.abs()?.max_all()?.to_scalar::<f32>());
                let most = wanted.abs().and_then(|all| all.max_all()?.to_scalar::<f32>());
                off.expect("a number") / most.expect("a number")
            };
            let bound = if precision == Precision::Exact { 2e-5 } else { 2e-2 };
            assert!(off(&made, &wanted) <= bound, "{}", off(&made, &wanted));
            let again = lean.encode(&made, &check).expect("latents");
            let wanted = whole.encode(&made, &check).expect("latents");
            assert!(off(&again, &wanted) <= bound, "{}", off(&again, &wanted));
        }
    }
}
