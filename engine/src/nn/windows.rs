//! Pictures as rows of places, cut into square windows and put together again.

use candle_core::{Result, Tensor};

/// Says how a picture is cut into windows: those at the right and below are filled up with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// Rows and places of the picture.
    pub size: [usize; 2],
    /// The side of a window.
    pub side: usize,
}

impl Windows {
    /// Returns how many windows there are down and across.
    pub fn counts(&self) -> [usize; 2] {
        self.size.map(|length| length.div_ceil(self.side.max(1)))
    }

    /// Returns how many windows there are.
    pub fn count(&self) -> usize {
        let [down, across] = self.counts();
        down * across
    }

    /// Cuts rows `[height · width, channels]` into windows: `[windows · side · side, channels]`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn cut(&self, x: &Tensor) -> Result<Tensor> {
        let ([height, width], [down, across], side) = (self.size, self.counts(), self.side);
        let channels = x.dim(1)?;
        if [down, across] == [1, 1] && self.size == [side; 2] {
            return Ok(x.clone());
        }
        x.reshape((height, width, channels))?
            .pad_with_zeros(0, 0, down * side - height)?
            .pad_with_zeros(1, 0, across * side - width)?
            .reshape((down, side, across, side * channels))?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((down * across * side * side, channels))
    }

    /// Puts windows `[windows · side · side, channels]` together: `[height · width, channels]`.
    ///
    /// # Errors
    /// Passes on errors of the tensor library.
    pub fn join(&self, x: &Tensor) -> Result<Tensor> {
        let ([height, width], [down, across], side) = (self.size, self.counts(), self.side);
        let channels = x.dim(1)?;
        if [down, across] == [1, 1] && self.size == [side; 2] {
            return Ok(x.clone());
        }
        x.reshape((down, across, side, side * channels))?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((down * side, across * side, channels))?
            .narrow(0, 0, height)?
            .narrow(1, 0, width)?
            .contiguous()?
            .reshape((height * width, channels))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use candle_core::Device;

    use super::*;

    #[test]
    fn windows_hold_neighbours_with_zeros_beyond_the_edge_and_join_to_what_was() {
        let windows = Windows { size: [3, 5], side: 2 };
        assert_eq!((windows.counts(), windows.count()), ([2, 3], 6));
        let values: Vec<f32> = (1..=30u8).map(f32::from).collect();
        let x = Tensor::from_vec(values, (15, 2), &Device::Cpu).unwrap();
        let cut = windows.cut(&x).unwrap();
        let rows: Vec<Vec<f32>> = cut.to_vec2().unwrap();
        assert_eq!(rows.len(), 24);
        // The first window, then the one at the right edge, whose second column is beyond it.
        assert_eq!(rows[..4], [[1.0, 2.0], [3.0, 4.0], [11.0, 12.0], [13.0, 14.0]]);
        assert_eq!(rows[8..12], [[9.0, 10.0], [0.0, 0.0], [19.0, 20.0], [0.0, 0.0]]);
        let back: Vec<Vec<f32>> = windows.join(&cut).unwrap().to_vec2().unwrap();
        assert_eq!(back, x.to_vec2::<f32>().unwrap());
    }
}
