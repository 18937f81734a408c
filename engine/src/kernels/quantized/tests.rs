//! Every form against plain loops in f64 over candle's dequantized weights, over odd shapes and at
//! every level of this processor.

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use proptest::prelude::*;

use super::*;
use crate::error::EngineError;
use crate::kernels::{Level, Precision, Team};

/// Numbers that look random and are the same everywhere, in -1..1.
fn noise(len: usize, salt: u64) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

fn dtype(form: Form) -> GgmlDType {
    match form {
        Form::F32 => GgmlDType::F32,
        Form::F16 => GgmlDType::F16,
        Form::BF16 => GgmlDType::BF16,
        Form::Q8_0 => GgmlDType::Q8_0,
        Form::Q4_0 => GgmlDType::Q4_0,
        Form::Q4_1 => GgmlDType::Q4_1,
        Form::Q5_0 => GgmlDType::Q5_0,
        Form::Q5_1 => GgmlDType::Q5_1,
        Form::Q4K => GgmlDType::Q4K,
        Form::Q5K => GgmlDType::Q5K,
        Form::Q6K => GgmlDType::Q6K,
    }
}

/// Makes a matrix, and its weights as candle reads them.
fn matrix(form: Form, outputs: usize, depth: usize, salt: u64) -> (Weights, Vec<f32>) {
    let values = Tensor::from_vec(noise(outputs * depth, salt), (outputs, depth), &Device::Cpu);
    let tensor = QTensor::quantize(&values.expect("a tensor"), dtype(form)).expect("quantized");
    let bytes = tensor.data().expect("bytes on the processor").into_owned();
    let mut shelf = Shelf::new();
    let matrix = Packed::new(form, outputs, depth, &bytes, &mut shelf).expect("packed");
    let plain = tensor.dequantize(&Device::Cpu).and_then(|t| t.flatten_all()?.to_vec1());
    (Weights { matrix, bias: None }, plain.expect("dequantized"))
}

fn activations(level: Level, precision: Precision, x: &[f32], rows: usize) -> Activations {
    let mut activations = Activations::new(level, precision);
    activations.reshape(rows, x.len() / rows);
    activations.plain_mut().copy_from_slice(x);
    activations.round(&mut Team::gather(1));
    activations
}

fn product(x: &Activations, weights: &Weights, threads: usize) -> Vec<f32> {
    let outputs = weights.matrix.outputs();
    let mut out = vec![f32::NAN; x.rows() * outputs];
    let part = [Part { weights, column: 0 }];
    multiply(&mut Team::gather(threads), x, &part, Finish::Set, &mut out, outputs);
    out
}

/// Compares a product with a plain loop. Exact, each result may be off by 1e-5 of the sum of the
/// products' sizes. Fast, each activation may besides be off by half a step, 1/254 of the largest of
/// its block.
#[track_caller]
fn assert_agrees(out: &[f32], x: &[f32], plain: &[f32], depth: usize, is_fast: bool, what: &str) {
    let outputs = plain.len() / depth;
    for (index, got) in out.iter().enumerate() {
        let (x, w) =
            (&x[index / outputs * depth..][..depth], &plain[index % outputs * depth..][..depth]);
        let (mut sum, mut size, mut steps) = (0.0, 0.0, 0.0);
        for (x, w) in x.chunks(32).zip(w.chunks(32)) {
            let most = x.iter().fold(0.0_f64, |most, x| most.max(f64::from(x.abs())));
            for (x, w) in x.iter().zip(w) {
                let product = f64::from(*x) * f64::from(*w);
                sum += product;
                size += product.abs();
                steps += most / 254.0 * f64::from(w.abs());
            }
        }
        let most = 1e-5 * size + if is_fast { steps } else { 0.0 };
        let error = (f64::from(*got) - sum).abs();
        assert!(error <= most, "{what}: {index}: {got} for {sum}, off by {error} and not {most}");
    }
}

#[test]
fn products_agree_with_a_plain_loop_over_odd_shapes() {
    let shapes = [(1, 1, 1), (2, 17, 2), (3, 16, 3), (5, 33, 4), (17, 50, 5), (64, 40, 1)];
    for level in Level::available() {
        for form in Form::ALL {
            for (rows, outputs, blocks) in shapes {
                // Plain numbers need no whole blocks.
                let depth =
                    if form.is_quantized() { form.block_len() * blocks } else { 37 * blocks };
                let (weights, plain) = matrix(form, outputs, depth, 3);
                let x = noise(rows * depth, 5);
                for precision in [Precision::Exact, Precision::Fast] {
                    let out = product(&activations(level, precision, &x, rows), &weights, 2);
                    let is_fast = precision == Precision::Fast && form.is_quantized();
                    let what = format!("{level:?} {form:?} {precision:?} {rows} {outputs} {depth}");
                    assert_agrees(&out, &x, &plain, depth, is_fast, &what);
                }
            }
        }
    }
}

#[test]
fn widened_rows_are_those_of_candle() {
    for level in Level::available() {
        for form in Form::ALL {
            let depth = 2 * form.block_len().max(19);
            let depth = depth.next_multiple_of(form.block_len());
            let (weights, plain) = matrix(form, 21, depth, 9);
            for output in [0, 15, 16, 20] {
                let mut row = vec![0.0; depth];
                weights.matrix.row(level, output, &mut row);
                for (got, want) in row.iter().zip(&plain[output * depth..]) {
                    assert!((got - want).abs() <= 1e-6, "{level:?} {form:?}: {got} for {want}");
                }
            }
        }
    }
}

#[test]
fn the_largest_weights_and_activations_do_not_overflow() {
    for level in Level::available() {
        for sign in [-1.0_f32, 1.0] {
            // -128 does not come out of rounding, but a file may hold it.
            let mut bytes = vec![0x80; 34];
            bytes[..2].copy_from_slice(&half::f16::ONE.to_le_bytes());
            let matrix = Packed::new(Form::Q8_0, 1, 32, &bytes, &mut Shelf::new()).expect("packed");
            let x = activations(level, Precision::Fast, &[127.0 * sign; 32], 1);
            let out = product(&x, &Weights { matrix, bias: None }, 1);
            assert_eq!(out, [-128.0 * 127.0 * 32.0 * sign], "{level:?}");
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_among_others_and_on_any_number_of_threads() {
    for level in Level::available() {
        for form in [Form::F32, Form::Q8_0, Form::Q5_0, Form::Q4K, Form::Q6K] {
            for precision in [Precision::Exact, Precision::Fast] {
                let (rows, depth, outputs) = (29, 512, 200);
                let (weights, _) = matrix(form, outputs, depth, 1);
                let x = noise(rows * depth, 2);
                let together = activations(level, precision, &x, rows);
                let all = product(&together, &weights, 1);
                assert_eq!(all, product(&together, &weights, 2), "{level:?} {form:?}");
                for row in [0, 7, 28] {
                    let x = activations(level, precision, &x[row * depth..][..depth], 1);
                    let alone = product(&x, &weights, 2);
                    assert_eq!(alone, all[row * outputs..][..outputs], "{level:?} {form:?} {row}");
                }
            }
        }
    }
}

#[test]
fn several_matrices_biases_sums_and_gates_in_one_region() {
    for level in Level::available() {
        let (rows, depth) = (5, 256);
        let x = activations(level, Precision::Exact, &noise(rows * depth, 1), rows);
        let (mut first, _) = matrix(Form::Q4K, 20, depth, 2);
        let (second, _) = matrix(Form::Q8_0, 20, depth, 3);
        let (a, b) = (product(&x, &first, 1), product(&x, &second, 1));
        first.bias = Some((0..20).map(|o| o as f32).collect());
        let mut out = vec![1.0; rows * 41];
        let parts = [Part { weights: &first, column: 0 }, Part { weights: &second, column: 21 }];
        multiply(&mut Team::gather(2), &x, &parts, Finish::Add, &mut out, 41);
        for (row, out) in out.chunks_exact(41).enumerate() {
            for o in 0..20 {
                assert_eq!(out[o], 1.0 + (a[row * 20 + o] + o as f32), "{level:?}");
                assert_eq!(out[21 + o], 1.0 + b[row * 20 + o], "{level:?}");
            }
            assert_eq!(out[20], 1.0, "{level:?}: a column of no matrix stays as it was");
        }
        for (gate, function) in [
            (Gate::Silu, (|x: f64| x / (1.0 + (-x).exp())) as fn(f64) -> f64),
            (Gate::GeluTanh, |x: f64| {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }),
        ] {
            let mut gated = vec![0.0; rows * 20];
            multiply_gated(&mut Team::gather(2), &x, [&first, &second], gate, &mut gated);
            for (i, got) in gated.iter().enumerate() {
                let want = function(f64::from(a[i] + (i % 20) as f32)) * f64::from(b[i]);
                let error = (f64::from(*got) - want).abs();
                assert!(error <= 1e-5 * want.abs().max(1.0), "{level:?} {gate:?}: {got} {want}");
            }
        }
    }
}

#[test]
fn what_is_not_a_number_stays_none() {
    for level in Level::available() {
        let (weights, _) = matrix(Form::Q8_0, 16, 64, 4);
        for wrong in [f32::NAN, f32::INFINITY] {
            let mut x = noise(64, 5);
            x[40] = wrong;
            let out = product(&activations(level, Precision::Fast, &x, 1), &weights, 1);
            assert!(out.iter().all(|out| !out.is_finite()), "{level:?} {wrong}: {out:?}");
        }
    }
}

#[test]
fn a_packed_matrix_is_hardly_larger_than_in_the_file() {
    for form in Form::ALL {
        let (outputs, depth) = (4864, 1024);
        let bytes = outputs * depth / form.block_len() * form.block_bytes();
        let packed = Packed::new(form, outputs, depth, &vec![0; bytes], &mut Shelf::new());
        let ratio = packed.expect("packed").bytes() as f64 / bytes as f64;
        assert!((1.0..1.05).contains(&ratio), "{form:?}: {ratio}");
    }
}

#[test]
fn wrong_shapes_are_refused() {
    let mut shelf = Shelf::new();
    let mut pack = |form, outputs, depth, bytes: usize| {
        Packed::new(form, outputs, depth, &vec![0; bytes], &mut shelf).map(|_| ())
    };
    assert_eq!(pack(Form::Q8_0, 3, 32, 3 * 34), Ok(()));
    for (outputs, depth, bytes) in [(3, 32, 3 * 34 - 1), (3, 33, 3 * 34), (0, 32, 0), (3, 0, 0)] {
        let error = pack(Form::Q8_0, outputs, depth, bytes);
        assert!(matches!(error, Err(EngineError::Model { .. })), "{outputs} {depth}: {error:?}");
    }
    assert!(pack(Form::Q4K, 1, 128, 72).is_err(), "a block of 256 is not cut in two");
    assert!(pack(Form::F32, usize::MAX / 2, 4, 8).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn products_agree_with_a_plain_loop_over_any_shape(
        form in 0..Form::ALL.len(),
        level in 0..Level::available().len(),
        (rows, outputs, blocks) in (1_usize..40, 1_usize..70, 1_usize..6),
        salt in 1_u64..1000,
    ) {
        let (form, level) = (Form::ALL[form], Level::available()[level]);
        let depth = form.block_len().max(13) * blocks;
        let (weights, plain) = matrix(form, outputs, depth, salt);
        let x = noise(rows * depth, salt + 1);
        for precision in [Precision::Exact, Precision::Fast] {
            let out = product(&activations(level, precision, &x, rows), &weights, 2);
            let is_fast = precision == Precision::Fast && form.is_quantized();
            let what = format!("{level:?} {form:?} {precision:?} {rows} {outputs} {depth}");
            assert_agrees(&out, &x, &plain, depth, is_fast, &what);
        }
    }
}

#[cfg(target_os = "linux")]
mod guarded {
    use std::ffi::{c_int, c_long, c_void};

    use super::super::form::PANEL;
    use super::super::isa::{heights, plain_rows, with_isa};
    use super::super::product::rounded_tile;
    use super::super::rounded::{ROW_BYTES, round_row};
    use super::*;

    const PAGE: usize = 4096;

    unsafe extern "C" {
        fn mmap(
            start: *mut c_void,
            length: usize,
            protection: c_int,
            flags: c_int,
            file: c_int,
            offset: c_long,
        ) -> *mut c_void;
        fn mprotect(start: *mut c_void, length: usize, protection: c_int) -> c_int;
    }

    /// Maps memory between two pages that nobody may touch; it ends where the second begins.
    fn memory(length: usize) -> &'static mut [u8] {
        // PROT_NONE, PROT_READ | PROT_WRITE and MAP_PRIVATE | MAP_ANONYMOUS of Linux.
        const CLOSED: c_int = 0;
        const OPEN: c_int = 3;
        const NEW: c_int = 0x22;
        let inner = length.next_multiple_of(PAGE);
        // SAFETY: new memory is mapped somewhere, all of it closed; then the part between the first
        // and the last page is opened, and what is given out lies there. It is never unmapped.
        unsafe {
            let start = mmap(std::ptr::null_mut(), inner + 2 * PAGE, CLOSED, NEW, -1, 0);
            assert_ne!(start as isize, -1, "memory is mapped");
            assert_eq!(mprotect(start.add(PAGE), inner, OPEN), 0, "memory is opened");
            let start = start.cast::<u8>().add(PAGE + inner - length);
            std::slice::from_raw_parts_mut(start, length)
        }
    }

    /// Returns a guarded copy as f32; four bytes each divide a page.
    fn floats(values: &[f32]) -> *mut f32 {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let copy = memory(bytes.len());
        copy.copy_from_slice(&bytes);
        copy.as_mut_ptr().cast()
    }

    #[test]
    fn no_kernel_reads_or_writes_beyond_what_it_is_given() {
        for level in Level::available() {
            for form in Form::ALL {
                let depth = form.block_len().max(32) * 3;
                let (weights, plain) = matrix(form, 16, depth, 6);
                let length = weights.matrix.bytes();
                let matrix = weights.matrix.moved_to(memory(length));
                let mut row = vec![0.0; depth];
                matrix.row(level, 15, &mut row);
                assert!(row.iter().zip(&plain[15 * depth..]).all(|(a, b)| (a - b).abs() < 1e-6));
                for rows in heights(level) {
                    let x = noise(rows * depth, 7);
                    let sums = floats(&vec![0.0; rows * PANEL]);
                    if form.is_quantized() {
                        let tile = memory(rows * depth / 32 * ROW_BYTES);
                        for (row, x) in x.chunks_exact(depth).enumerate() {
                            round_row(x, row, *rows, tile);
                        }
                        let (place, x) = (matrix.place(0), tile.as_ptr());
                        // SAFETY: panel, tile and sums are as long as they must be.
                        with_isa!(level, rounded_tile(form, place, depth / 32, x, *rows, sums));
                    } else {
                        let mut lines = vec![0.0; depth * PANEL];
                        matrix.widen(level, 0, 0, depth, &mut lines);
                        let (x, lines) = (floats(&x), floats(&lines));
                        // SAFETY: rows, lines and sums are as long as they must be.
                        with_isa!(level, plain_rows(x, lines, depth, *rows, sums, [depth, PANEL]));
                    }
                    // SAFETY: there are as many sums.
                    let sums = unsafe { std::slice::from_raw_parts(sums, rows * PANEL) };
                    let what = format!("{level:?} {form:?} {rows}");
                    assert_agrees(sums, &x, &plain, depth, form.is_quantized(), &what);
                }
            }
        }
    }
}
