//! From the bytes of a tensor to f32.

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QTensor};
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;

use super::element::{Element, count_of};
use super::gguf;

/// How many numbers a task widens.
const CHUNK: usize = 1 << 16;
/// How many are widened at once.
const BATCH: usize = 256;

/// Widens the numbers of a tensor of this shape to f32, also those in blocks.
///
/// `None` where they are whole numbers, flags or complex, or where the bytes are not as many as the
/// shape says.
pub fn widen(element: Element, shape: &[usize], bytes: &[u8]) -> Option<Vec<f32>> {
    (element.bytes_of(shape)? == bytes.len() as u64).then_some(())?;
    Some(match element {
        Element::F64 => all(bytes, |b| f64::from_le_bytes(b) as f32),
        Element::F32 | Element::Ggml(GgmlDType::F32) => all(bytes, f32::from_le_bytes),
        Element::F16 | Element::Ggml(GgmlDType::F16) => halves(bytes),
        Element::BF16 | Element::Ggml(GgmlDType::BF16) => {
            all(bytes, |b| bf16::from_le_bytes(b).to_f32())
        }
        Element::F8E4M3 => bytes.iter().map(|byte| f8_e4m3(*byte)).collect(),
        Element::F8E5M2 => bytes.iter().map(|byte| f8_e5m2(*byte)).collect(),
        Element::Ggml(kind) => blocks(kind, shape, bytes)?,
        _ => return None,
    })
}

fn all<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|chunk| number(*chunk)).collect()
}

/// Widens f16 by the processor's own instruction, where it has one, on all cores.
fn halves(bytes: &[u8]) -> Vec<f32> {
    let mut values = vec![0f32; bytes.len() / 2];
    let tasks = values.par_chunks_mut(CHUNK).zip(bytes.par_chunks(2 * CHUNK));
    tasks.for_each(|(values, bytes)| {
        let mut halves = [f16::ZERO; BATCH];
        for (values, bytes) in values.chunks_mut(BATCH).zip(bytes.chunks(2 * BATCH)) {
            let halves = &mut halves[..values.len()];
            for (half, pair) in halves.iter_mut().zip(bytes.as_chunks().0) {
                *half = f16::from_le_bytes(*pair);
            }
            halves.convert_to_f32_slice(values);
        }
    });
    values
}

/// Unpacks the blocks of a GGUF file.
fn blocks(kind: GgmlDType, shape: &[usize], bytes: &[u8]) -> Option<Vec<f32>> {
    let count = usize::try_from(count_of(shape)?).ok()?;
    if count == 0 {
        return Some(Vec::new());
    }
    // Blocks run over the whole tensor as over one row.
    let storage = gguf::storage(bytes, &Device::Cpu, kind).ok()?;
    let tensor = QTensor::new(storage, count).ok()?.dequantize(&Device::Cpu).ok()?;
    tensor.to_vec1().ok()
}

/// Widens a number of one sign bit, four of exponent and three of mantissa, without infinities.
///
/// # Source
/// “FP8 Formats for Deep Learning”, Micikevicius et al. 2022, table 1.
fn f8_e4m3(byte: u8) -> f32 {
    let mantissa = f32::from(byte & 7);
    let exponent = i32::from(byte >> 3 & 15);
    let size = match (exponent, byte & 7) {
        (15, 7) => f32::NAN,
        (0, _) => mantissa * 2_f32.powi(-9),
        _ => (8.0 + mantissa) * 2_f32.powi(exponent - 10),
    };
    if byte & 0x80 == 0 { size } else { -size }
}

/// Widens the upper half of an f16: one sign bit, five of exponent and two of mantissa.
fn f8_e5m2(byte: u8) -> f32 {
    f16::from_bits(u16::from(byte) << 8).to_f32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_bit_floats_have_the_values_of_the_paper() {
        let e4m3 = [(0x00, 0.0), (0x01, 0.001_953_125), (0x08, 0.015_625), (0x38, 1.0)];
        for (byte, value) in [e4m3[0], e4m3[1], e4m3[2], e4m3[3], (0x7e, 448.0), (0xb9, -1.125)] {
            assert_eq!(f8_e4m3(byte), value, "{byte:#x}");
        }
        assert!(f8_e4m3(0x7f).is_nan() && f8_e4m3(0xff).is_nan());
        for (byte, value) in [(0x3c, 1.0), (0x7b, 57344.0), (0x01, 2_f32.powi(-16)), (0xc1, -2.5)] {
            assert_eq!(f8_e5m2(byte), value, "{byte:#x}");
        }
        assert!(f8_e5m2(0x7c).is_infinite());
    }

    #[test]
    fn every_float_is_widened_and_nothing_else() {
        let one = |element, bytes: &[u8]| widen(element, &[1], bytes);
        assert_eq!(one(Element::F64, &2.5_f64.to_le_bytes()), Some(vec![2.5]));
        assert_eq!(one(Element::F32, &2.5_f32.to_le_bytes()), Some(vec![2.5]));
        assert_eq!(one(Element::F16, &[0x00, 0x41]), Some(vec![2.5]));
        assert_eq!(one(Element::BF16, &[0x20, 0x40]), Some(vec![2.5]));
        assert_eq!(one(Element::I64, &[0; 8]), None);
        assert_eq!(one(Element::F32, &[0; 3]), None);
        assert_eq!(one(Element::F32, &[0; 8]), None);
    }

    #[test]
    fn blocks_of_a_gguf_file_are_unpacked() {
        // One block of Q8_0: the scale 0.5 as f16, then 32 whole numbers.
        let mut bytes = vec![0x00, 0x38];
        bytes.extend((0..32).map(|number: u8| number.wrapping_sub(16)));
        let got = widen(Element::Ggml(GgmlDType::Q8_0), &[1, 32], &bytes);
        let wanted = (-16..16).map(|number| number as f32 * 0.5).collect();
        assert_eq!(got, Some(wanted));
        assert_eq!(widen(Element::Ggml(GgmlDType::Q8_0), &[0, 32], &[]), Some(Vec::new()));
    }
}
