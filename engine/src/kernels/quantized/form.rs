//! The forms of weights in GGUF files, and how they are packed.

/// Names a form of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the format")]
pub enum Form {
    F32,
    F16,
    BF16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q4K,
    Q5K,
    Q6K,
}

/// Says how many bytes each part of a panel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Areas {
    /// Lower bits of the weights, per block of 32.
    pub(super) low: usize,
    /// Upper bits, per block of 32.
    pub(super) high: usize,
    /// Scales, per block of 32.
    pub(super) scales: usize,
    /// Scales of the scales, per 256.
    pub(super) wide: usize,
}

/// Numbers of a block, which have a scale of their own.
pub(super) const BLOCK: usize = 32;
/// Outputs of a panel.
pub(in crate::kernels) const PANEL: usize = 16;
/// The largest block of a file.
const FILE_BLOCK: usize = 256;

impl Form {
    /// Lists all forms.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Returns how many numbers a block of the file has.
    pub fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q8_0 | Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 => BLOCK,
            Self::Q4K | Self::Q5K | Self::Q6K => FILE_BLOCK,
        }
    }

    /// Returns how many bytes a block of the file has.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q8_0 => 34,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Tells whether its weights are whole numbers with a scale.
    pub fn is_quantized(self) -> bool {
        self.block_len() > 1
    }

    /// Returns the parts of a panel, for a quantized form.
    pub(super) fn areas(self) -> Areas {
        let [low, high, scales, wide] = match self {
            Self::F32 | Self::F16 | Self::BF16 => [self.block_bytes() * BLOCK * PANEL, 0, 0, 0],
            Self::Q8_0 => [512, 0, 32, 0],
            Self::Q4_0 => [256, 0, 32, 0],
            Self::Q4_1 => [256, 0, 64, 0],
            Self::Q5_0 => [256, 64, 32, 0],
            Self::Q5_1 => [256, 64, 64, 0],
            Self::Q4K => [256, 0, 32, 64],
            Self::Q5K => [256, 64, 32, 64],
            Self::Q6K => [256, 128, 32, 32],
        };
        Areas { low, high, scales, wide }
    }
}

/// Holds a block of a file taken apart.
pub(super) struct Unpacked {
    /// The weights as whole numbers from 0 up.
    pub(super) quants: [u8; FILE_BLOCK],
    /// Scale and, where the form has one, minimum of the whole block: bits of f16.
    pub(super) wide: [u16; 2],
    /// Scales and minima of its blocks of 32: for Q6_K the scales of both halves.
    pub(super) narrow: [[u8; 2]; FILE_BLOCK / BLOCK],
}

impl Unpacked {
    pub(super) fn new() -> Self {
        Self { quants: [0; FILE_BLOCK], wide: [0; 2], narrow: [[0; 2]; FILE_BLOCK / BLOCK] }
    }

    /// Takes a block apart; `bytes` has as many as [`Form::block_bytes`] says.
    ///
    /// # Source
    /// The structures of ggml (ggml-common.h) and its functions `dequantize_row_*`.
    pub(super) fn read(&mut self, form: Form, bytes: &[u8]) {
        let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let quants = &mut self.quants;
        match form {
            Form::F32 | Form::F16 | Form::BF16 => {}
            Form::Q8_0 => {
                self.wide[0] = word(0);
                for (quant, byte) in quants.iter_mut().zip(&bytes[2..34]) {
                    *quant = byte ^ 0x80;
                }
            }
            Form::Q4_0 | Form::Q4_1 => {
                self.wide[0] = word(0);
                let start = if form == Form::Q4_1 { 4 } else { 2 };
                self.wide[1] = word(2);
                nibbles(&bytes[start..start + 16], &mut quants[..32]);
            }
            Form::Q5_0 | Form::Q5_1 => {
                self.wide[0] = word(0);
                self.wide[1] = word(2);
                let start = if form == Form::Q5_1 { 4 } else { 2 };
                let bits = &bytes[start..start + 4];
                nibbles(&bytes[start + 4..start + 20], &mut quants[..32]);
                for (i, quant) in quants[..32].iter_mut().enumerate() {
                    *quant |= (bits[i / 8] >> (i % 8) & 1) << 4;
                }
            }
            Form::Q4K | Form::Q5K => {
                self.wide = [word(0), word(2)];
                let packed: &[u8] = &bytes[4..16];
                for (j, narrow) in self.narrow.iter_mut().enumerate() {
                    *narrow = scale_and_minimum(packed, j);
                }
                let start = if form == Form::Q5K { 48 } else { 16 };
                for (quants, bytes) in
                    quants.chunks_exact_mut(64).zip(bytes[start..start + 128].chunks_exact(32))
                {
                    nibbles(bytes, quants);
                }
                if form == Form::Q5K {
                    for (i, quant) in quants.iter_mut().enumerate() {
                        *quant |= (bytes[16 + i % 32] >> (i / 32) & 1) << 4;
                    }
                }
            }
            Form::Q6K => {
                self.wide[0] = word(208);
                let (low, high) = (&bytes[..128], &bytes[128..192]);
                for (i, quant) in quants.iter_mut().enumerate() {
                    let (half, part, l) = (i / 128, i % 128 / 32, i % 32);
                    let nibble = low[64 * half + 32 * (part % 2) + l] >> (4 * (part / 2)) & 15;
                    *quant = nibble | (high[32 * half + l] >> (2 * part) & 3) << 4;
                }
                for (narrow, pair) in self.narrow.iter_mut().zip(bytes[192..208].chunks_exact(2)) {
                    *narrow = [pair[0], pair[1]];
                }
            }
        }
    }
}

/// Spreads the lower halves of all bytes over the first half of `out`, the upper over the second.
fn nibbles(bytes: &[u8], out: &mut [u8]) {
    let (low, high) = out.split_at_mut(bytes.len());
    for ((low, high), byte) in low.iter_mut().zip(high).zip(bytes) {
        (*low, *high) = (byte & 15, byte >> 4);
    }
}

/// Reads the 6 bits of scale and minimum number `j` of eight out of twelve bytes.
fn scale_and_minimum(packed: &[u8], j: usize) -> [u8; 2] {
    if j < 4 {
        [packed[j] & 63, packed[j + 4] & 63]
    } else {
        [packed[j + 4] & 15 | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4]
    }
}
