//! Noise from a seed: the same numbers on every machine, for every device and every batch.
//!
//! The generator is Philox4x32-10, which has no state: block `i` of a seed is a function of
//! `(seed, i)` alone. So a value depends only on the seed and its position, not on how many values
//! are asked for, in which order, or for how many pictures at once.
//!
//! # On which devices
//!
//! Noise is always made here, on the processor, and copied to the device that samples: starting
//! noise is some thousand numbers, made in well under a millisecond. A kernel that makes it in place
//! must follow this layout: the key is the seed's low and high word; the counter is `[i low,
//! i high, stream, 0]` for block `i`, where stream 0 is starting noise and the others are what a
//! sampler adds on its way; words `w` become uniforms `(w + ½)·2⁻³²` in f64; the block's words
//! `(w0, w1)` and `(w2, w3)` become its four normal values `4i … 4i+3` by Box–Muller,
//! `√(−2 ln u)·cos 2πv` before `√(−2 ln u)·sin 2πv`; only the last operation rounds to f32.
//!
//! # What is guaranteed
//!
//! The integers are exact by construction. Square root, multiplication and rounding are exact by
//! IEEE 754. Logarithm, sine and cosine come from the crate `libm`, which computes them in plain
//! Rust from those operations, because the standard library passes them on to the system's C library,
//! whose last bit differs between Linux, macOS and Windows. So the values are the same bits wherever
//! f64 is IEEE 754.

/// Multipliers and Weyl constants of Philox4x32.
///
/// # Source
/// Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC11), table 2 and §4.3.
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Returns block `counter` of the stream that `key` names: Philox4x32 with ten rounds.
///
/// # Source
/// Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3 (SC11).
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let wide = |m: u32, w: u32| {
        let product = u64::from(m) * u64::from(w);
        ((product >> 32) as u32, product as u32)
    };
    let [mut a, mut b, mut c, mut d] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..ROUNDS {
        let (high0, low0) = wide(MULTIPLIERS[0], a);
        let (high1, low1) = wide(MULTIPLIERS[1], c);
        (a, b, c, d) = (high1 ^ b ^ k0, low1, high0 ^ d ^ k1, low0);
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    [a, b, c, d]
}

/// Returns standard normal values for one picture, row-major in `shape`.
///
/// A longer shape begins with the values of a shorter one.
pub fn normal(seed: u64, shape: &[usize]) -> Vec<f32> {
    normal_stream(seed, 0, shape)
}

/// Returns standard normal values of one of the streams of a seed, row-major in `shape`. Stream 0 is
/// that of [`normal`]; streams have nothing to do with each other.
pub fn normal_stream(seed: u64, stream: u32, shape: &[usize]) -> Vec<f32> {
    let mut values = Vec::new();
    append_normal(&mut values, seed, stream, shape.iter().product());
    values
}

/// Returns standard normal values `[count, shape…]` for a batch: picture `n` has the values of
/// [`normal`] with `seed + n` (which goes on at 0 after the largest seed).
pub fn normal_batch(seed: u64, count: usize, shape: &[usize]) -> Vec<f32> {
    let mut values = Vec::new();
    for n in 0..count as u64 {
        append_normal(&mut values, seed.wrapping_add(n), 0, shape.iter().product());
    }
    values
}

fn append_normal(values: &mut Vec<f32>, seed: u64, stream: u32, count: usize) {
    let (end, key) = (values.len() + count, words(seed));
    values.reserve(count);
    for block in 0..count.div_ceil(4) as u64 {
        let [low, high] = words(block);
        let [w0, w1, w2, w3] = philox4x32([low, high, stream, 0], key);
        let [z0, z1] = box_muller(w0, w1);
        let [z2, z3] = box_muller(w2, w3);
        values.extend([z0, z1, z2, z3].into_iter().take(end - values.len()));
    }
}

fn words(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// Turns two random words into two independent standard normal values, at most 6.77 from 0.
fn box_muller(radius: u32, angle: u32) -> [f32; 2] {
    // Half a step off zero, so that the logarithm is finite and no value is preferred.
    let uniform = |w: u32| (f64::from(w) + 0.5) / 4_294_967_296.0;
    let radius = (-2.0 * libm::log(uniform(radius))).sqrt();
    let angle = std::f64::consts::TAU * uniform(angle);
    [(radius * libm::cos(angle)) as f32, (radius * libm::sin(angle)) as f32]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Random123 1.14, `tests/kat_vectors`, the rows `philox4x32 10`.
    #[test]
    fn philox_gives_the_published_known_answers() {
        let answers = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in answers {
            assert_eq!(philox4x32(counter, key), expected);
        }
    }

    #[test]
    fn noise_of_a_million_values_is_standard_normal() {
        let values: Vec<f64> = normal(1, &[1_000_000]).into_iter().map(f64::from).collect();
        let count = values.len() as f64;
        let moment = |power: i32| values.iter().map(|v| v.powi(power)).sum::<f64>() / count;
        // Five standard errors of the sample moments: √(1, 2, 15, 96)/1000.
        assert!(moment(1).abs() < 0.005, "mean {}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.0071, "variance {}", moment(2));
        assert!(moment(3).abs() < 0.0194, "third moment {}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.049, "fourth moment {}", moment(4));

        // Kolmogorov–Smirnov against the normal distribution; 1.95/√n is the 0.1 % bound.
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let distance = sorted
            .iter()
            .enumerate()
            .map(|(i, v)| {
                let expected = 0.5 * libm::erfc(-v / std::f64::consts::SQRT_2);
                (expected - i as f64 / count).abs().max((expected - (i + 1) as f64 / count).abs())
            })
            .fold(0.0, f64::max);
        assert!(distance < 1.95 / count.sqrt(), "distance {distance}");
    }

    #[test]
    fn neighbouring_values_and_neighbouring_seeds_are_uncorrelated() {
        let correlation = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
                / a.len().min(b.len()) as f64
        };
        let first = normal(7, &[400_000]);
        // Five standard errors, 5/√400000.
        for lag in 1..=8 {
            assert!(correlation(&first, &first[lag..]).abs() < 0.008, "lag {lag}");
        }
        for seed in [8, 9, 7 + (1 << 32), u64::MAX] {
            assert!(correlation(&first, &normal(seed, &[400_000])).abs() < 0.008, "seed {seed}");
        }
        for stream in [1, 2, 300, u32::MAX] {
            let other = normal_stream(7, stream, &[400_000]);
            assert!(correlation(&first, &other).abs() < 0.008, "stream {stream}");
        }
    }

    #[test]
    fn the_largest_and_smallest_words_give_finite_values() {
        for radius in [0, 1, u32::MAX] {
            for angle in [0, 1 << 31, u32::MAX] {
                assert!(box_muller(radius, angle).iter().all(|v| v.abs() < 6.77));
            }
        }
    }

    proptest! {
        #[test]
        fn picture_n_of_a_batch_has_the_noise_of_seed_plus_n(
            seed: u64, count in 1_usize..5, channels in 1_usize..5, side in 1_usize..9,
        ) {
            let shape = [channels, side, side + 1];
            let batch = normal_batch(seed, count, &shape);
            let each = channels * side * (side + 1);
            prop_assert_eq!(batch.len(), count * each);
            for (n, picture) in batch.chunks(each).enumerate() {
                prop_assert_eq!(picture, normal(seed.wrapping_add(n as u64), &shape));
            }
        }

        #[test]
        fn a_longer_shape_begins_with_a_shorter_one(seed: u64, short in 0_usize..40, more in 0_usize..40) {
            let long = normal(seed, &[short + more]);
            prop_assert_eq!(&long[..short], normal(seed, &[short]));
        }
    }
}
