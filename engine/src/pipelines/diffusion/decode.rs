//! Latents → picture: at once, or in tiles where memory is short or decoding at once has failed.

use std::path::PathBuf;

use candle_core::Tensor;

use super::Run;
use super::load::Thrift;
use crate::error::EngineError;
use crate::kernels::release_memory;
use crate::library::{decode_bytes, lean_decode_bytes};
use crate::models::stable_diffusion::Halves;
use crate::preview::to_pixels;
use crate::protocol::{Latents, Live, Notice, PictureRequest, Pixels, Size, Stage};

/// Writes latents with the recipe of their picture and returns where they are.
pub type LatentsKeeper = Box<dyn Fn(&Latents, &PictureRequest) -> Result<PathBuf, EngineError>>;

/// The side of tiles in latents: 512 pixels in the models of the family.
const TILE_SIDE: usize = 64;
/// The side of tiles of a picture that failed as a whole and is no larger than a tile.
const SMALL_TILE_SIDE: usize = 32;

/// Names a way to decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Whole,
    Tiles { side: usize },
}

impl Way {
    /// Chooses by what is free: tiles come close to a picture, but are not the same to the bit.
    pub(super) fn choose(size: Size, scale: usize, thrift: Thrift, free: Option<u64>) -> Self {
        let needed = match thrift {
            Thrift::Ample => decode_bytes(size),
            Thrift::Lean => lean_decode_bytes(size),
        };
        if free.is_none_or(|free| needed <= free) {
            return Self::Whole;
        }
        Self::in_tiles(size.width_px.max(size.height_px) as usize / scale.max(1))
    }

    /// Divides latents of a side into tiles, into more than one where they are not tiny.
    fn in_tiles(side: usize) -> Self {
        Self::Tiles { side: if side > TILE_SIDE { TILE_SIDE } else { SMALL_TILE_SIDE } }
    }
}

/// Decodes in the way that was chosen; where that fails at once, the latents are kept and it is tried in
/// tiles. Returns what came out and the failure that was overcome.
///
/// # Errors
/// That of the last try; [`EngineError::Cancelled`] is never tried again.
pub(super) fn decode_or_retry<T>(
    way: Way,
    side: usize,
    keep: impl Fn() -> Result<Option<PathBuf>, EngineError>,
    mut decode: impl FnMut(Way) -> Result<T, EngineError>,
) -> Result<(T, Option<EngineError>), EngineError> {
    // Latents that cannot be kept are no reason not to decode them.
    let keep = || keep().ok().flatten();
    let kept = if way == Way::Whole { None } else { keep() };
    let failed = match decode(way) {
        Ok(made) => return Ok((made, None)),
        Err(EngineError::Cancelled) => return Err(EngineError::Cancelled),
        Err(error) => error,
    };
    let undecoded = |error: EngineError, kept: Option<PathBuf>| match (error, kept) {
        (EngineError::Cancelled, _) => EngineError::Cancelled,
        (error, Some(path)) => EngineError::Undecoded { reason: error.to_string(), path },
        (error, None) => error,
    };
    let smaller = match way {
        Way::Whole => Way::in_tiles(side),
        Way::Tiles { side } if side > SMALL_TILE_SIDE => Way::Tiles { side: SMALL_TILE_SIDE },
        Way::Tiles { .. } => return Err(undecoded(failed, kept)),
    };
    let kept = kept.or_else(keep);
    release_memory();
    match decode(smaller) {
        Ok(made) => Ok((made, Some(failed))),
        Err(error) => Err(undecoded(error, kept)),
    }
}

impl Run<'_> {
    /// Decodes latents `[1, channels, h, w]`.
    pub(super) fn decode(
        &self,
        latents: &Tensor,
        recipe: &PictureRequest,
        notices: &mut Vec<Notice>,
    ) -> Result<Pixels, EngineError> {
        if self.networks().thrift == Thrift::Lean {
            release_memory();
        }
        let vae = self.vae(Halves::Decoder)?;
        self.job.report(Live { stage: Stage::Decoding, ..Live::default() })?;
        let free = self.companions.free_memory.and_then(|free| free());
        let thrift = self.networks().thrift;
        let way = Way::choose(recipe.size, self.scale(), thrift, free);
        let (_, channels, height, width) = latents.dims4()?;
        let keep = || -> Result<Option<PathBuf>, EngineError> {
            let Some(keeper) = &self.companions.keeper else { return Ok(None) };
            let values = latents.flatten_all()?.to_vec1::<f32>()?;
            let latents = Latents { shape: [1, channels, height, width], values };
            keeper(&latents, recipe).map(Some)
        };
        let check = || self.job.check();
        let decode = |way| match way {
            Way::Whole => vae.decode(latents, &check),
            Way::Tiles { side } => vae.decode_tiles(latents, side, &check),
        };
        let (picture, failed) = decode_or_retry(way, height.max(width), keep, decode)?;
        if way != Way::Whole || failed.is_some() {
            let reason = failed.map(|error| error.to_string());
            let notice = Notice::DecodedInTiles { reason };
            if !notices.contains(&notice) {
                notices.push(notice);
            }
        }
        to_pixels(&picture.squeeze(0)?, "VAE")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn failure() -> EngineError {
        EngineError::Model { reason: "out of memory".to_owned() }
    }

    fn size(side: u32) -> Size {
        Size { width_px: side, height_px: side }
    }

    #[test]
    fn tiles_are_chosen_only_where_a_picture_does_not_fit_into_memory() {
        let small_tiles = Way::Tiles { side: SMALL_TILE_SIDE };
        let choose = |side, thrift, free| Way::choose(size(side), 8, thrift, free);
        assert_eq!(choose(1024, Thrift::Ample, None), Way::Whole);
        assert_eq!(choose(1024, Thrift::Ample, Some(1 << 40)), Way::Whole);
        assert_eq!(choose(1024, Thrift::Ample, Some(1 << 28)), Way::Tiles { side: TILE_SIDE });
        assert_eq!(choose(512, Thrift::Ample, Some(500 << 20)), small_tiles);
        assert_eq!(choose(512, Thrift::Lean, Some(500 << 20)), Way::Whole);
        assert_eq!(choose(512, Thrift::Lean, Some(1 << 20)), small_tiles);
    }

    #[test]
    fn a_decoding_that_fails_keeps_its_latents_and_is_tried_in_tiles() {
        let mut tried = Vec::new();
        let kept = Cell::new(0);
        let keep = || {
            kept.set(kept.get() + 1);
            Ok(Some(PathBuf::from("kept")))
        };
        let made = decode_or_retry(Way::Whole, 128, keep, |way| {
            tried.push(way);
            if way == Way::Whole { Err(failure()) } else { Ok(7) }
        });
        assert_eq!(made, Ok((7, Some(failure()))));
        assert_eq!(tried, [Way::Whole, Way::Tiles { side: TILE_SIDE }]);
        assert_eq!(kept.get(), 1);
    }

    #[test]
    fn one_that_fails_in_tiles_too_says_where_the_latents_are() {
        let keep = || Ok(Some(PathBuf::from("kept")));
        let made = decode_or_retry(Way::Whole, 64, keep, |_| Err::<u8, _>(failure()));
        let reason = failure().to_string();
        assert_eq!(made, Err(EngineError::Undecoded { reason, path: "kept".into() }));
        let nothing = || Ok(None);
        let made = decode_or_retry(Way::Whole, 64, nothing, |_| Err::<u8, _>(failure()));
        assert_eq!(made, Err(failure()));
    }

    #[test]
    fn what_goes_well_at_once_writes_nothing_and_a_cancel_is_not_tried_again() {
        let never = || -> Result<Option<PathBuf>, EngineError> { unreachable!("nothing to keep") };
        assert_eq!(decode_or_retry(Way::Whole, 64, never, |_| Ok(1)), Ok((1, None)));
        let cancelled = |_| Err::<u8, _>(EngineError::Cancelled);
        let made = decode_or_retry(Way::Whole, 64, never, cancelled);
        assert_eq!(made, Err(EngineError::Cancelled));
    }
}
