//! The ICC profile that says that colours are sRGB.

/// Where the tags of a profile begin: after the header.
const HEADER_BYTES: usize = 128;

/// Makes the profile of sRGB: version 4 of the format, a matrix and a curve, 500 bytes or so.
///
/// # Source
/// ICC.1:2010 (profile version 4.3) for the format; IEC 61966-2-1 for the curve; the primaries and
/// the adaptation are those of `sRGB2014`, adapted to D50 by the linear Bradford transform.
pub(super) fn srgb_profile() -> Vec<u8> {
    let white = xyz([0.9642, 1.0, 0.8249]);
    let curve = parametric([2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.04045]);
    // From D65, in which sRGB is defined, to D50.
    let adaptation = fixed(
        b"sf32",
        &[1.04788, 0.02292, -0.05020, 0.02959, 0.99048, -0.01707, -0.00923, 0.01508, 0.75168],
    );
    let tags: [(&[&[u8; 4]], Vec<u8>); 9] = [
        (&[b"desc"], text("sRGB")),
        (&[b"cprt"], text("CC0")),
        (&[b"wtpt"], white),
        (&[b"chad"], adaptation),
        (&[b"rXYZ"], xyz([0.43607, 0.22249, 0.01392])),
        (&[b"gXYZ"], xyz([0.38515, 0.71687, 0.09708])),
        (&[b"bXYZ"], xyz([0.14307, 0.06061, 0.71410])),
        // The curve is one for all three.
        (&[b"rTRC", b"gTRC"], curve.clone()),
        (&[b"bTRC"], curve),
    ];
    let count: usize = tags.iter().map(|(names, _)| names.len()).sum();
    let mut table = (count as u32).to_be_bytes().to_vec();
    let mut data = Vec::new();
    let start = HEADER_BYTES + 4 + count * 12;
    for (names, bytes) in &tags {
        for name in *names {
            table.extend_from_slice(*name);
            table.extend(((start + data.len()) as u32).to_be_bytes());
            table.extend((bytes.len() as u32).to_be_bytes());
        }
        data.extend_from_slice(bytes);
        data.resize(data.len().next_multiple_of(4), 0);
    }
    let mut profile = header(start + data.len());
    profile.extend(table);
    profile.extend(data);
    profile
}

fn header(length: usize) -> Vec<u8> {
    let mut header = vec![0; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(length as u32).to_be_bytes());
    put(8, &[4, 0x30]);
    put(12, b"mntrRGB XYZ ");
    // A date, which must be one: the first of January 2020. The profile is always the same.
    put(24, &[7, 228, 0, 1, 0, 1]);
    put(36, b"acsp");
    // D50, the white in which profiles meet.
    put(68, &xyz([0.9642, 1.0, 0.8249])[8..]);
    header
}

/// Returns a number with 16 bits behind the point.
fn s15_fixed16(value: f64) -> [u8; 4] {
    ((value * 65_536.0).round() as i32).to_be_bytes()
}

fn fixed(kind: &[u8; 4], values: &[f64]) -> Vec<u8> {
    let mut bytes = kind.to_vec();
    bytes.extend([0; 4]);
    values.iter().for_each(|value| bytes.extend(s15_fixed16(*value)));
    bytes
}

fn xyz(values: [f64; 3]) -> Vec<u8> {
    fixed(b"XYZ ", &values)
}

/// Makes a curve of the fourth kind: (a·x + b)^g from d on, below it c·x.
fn parametric([g, a, b, c, d]: [f64; 5]) -> Vec<u8> {
    let mut bytes = b"para\0\0\0\0\0\x03\0\0".to_vec();
    [g, a, b, c, d].iter().for_each(|value| bytes.extend(s15_fixed16(*value)));
    bytes
}

/// Makes a text in one language.
fn text(words: &str) -> Vec<u8> {
    let utf16: Vec<u8> = words.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let mut bytes = b"mluc\0\0\0\0\0\0\0\x01\0\0\0\x0cenUS".to_vec();
    bytes.extend((utf16.len() as u32).to_be_bytes());
    bytes.extend(28u32.to_be_bytes());
    bytes.extend(utf16);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_as_long_as_it_says_and_its_white_is_the_sum_of_its_colours() {
        let profile = srgb_profile();
        let number = |at: usize| {
            let bytes = profile[at..at + 4].try_into().expect("four bytes");
            i32::from_be_bytes(bytes)
        };
        assert_eq!(number(0) as usize, profile.len());
        let mut sums = [0; 3];
        for tag in 0..number(128) as usize {
            let at = 132 + tag * 12;
            let (start, length) = (number(at + 4) as usize, number(at + 8) as usize);
            assert!(start % 4 == 0 && start + length <= profile.len());
            if profile[at + 1..at + 4] == *b"XYZ" {
                (0..3).for_each(|axis| sums[axis] += number(start + 8 + axis * 4));
            }
        }
        for (axis, sum) in sums.into_iter().enumerate() {
            assert!((sum - number(68 + axis * 4)).abs() < 16, "{sums:?}");
        }
    }
}
