//! What is unknown, smoothly continued from what is known around it.

/// Returns a plane `[height, width]` in which samples of weight 0 are made up from the known ones:
/// the mean of those near by, from farther off the farther they are. All zero where nothing is known.
///
/// # Source
/// Gortler, Grzeszczuk, Szeliski, Cohen: The lumigraph, section 3.4.2 (pull and push).
pub(super) fn continued(width: usize, values: &[[f32; 3]], weights: &[f32]) -> Vec<[f32; 3]> {
    let height = values.len() / width.max(1);
    if width * height <= 1 {
        return values.to_vec();
    }
    let (w, h) = (width.div_ceil(2), height.div_ceil(2));
    let (mut small, mut sums) = (vec![[0.0; 3]; w * h], vec![0.0; w * h]);
    for (at, (value, weight)) in values.iter().zip(weights).enumerate() {
        if *weight > 0.0 {
            let to = at / width / 2 * w + at % width / 2;
            sums[to] += weight;
            small[to].iter_mut().zip(value).for_each(|(sum, value)| *sum += weight * value);
        }
    }
    for (value, sum) in small.iter_mut().zip(&mut sums) {
        if *sum > 0.0 {
            value.iter_mut().for_each(|value| *value /= *sum);
            *sum = sum.min(1.0);
        }
    }
    let small = continued(w, &small, &sums);
    let mut out = Vec::with_capacity(values.len());
    for (at, (value, weight)) in values.iter().zip(weights).enumerate() {
        let weight = weight.clamp(0.0, 1.0);
        if weight >= 1.0 {
            out.push(*value);
            continue;
        }
        let between = between(&small, [w, h], [at % width, at / width]);
        let mut mixed = [0.0; 3];
        for ((mixed, known), made) in mixed.iter_mut().zip(value).zip(between) {
            *mixed = weight * known + (1.0 - weight) * made;
        }
        out.push(mixed);
    }
    out
}

/// Reads a plane of half the size between its samples.
fn between(small: &[[f32; 3]], [w, h]: [usize; 2], at: [usize; 2]) -> [f32; 3] {
    // A sample lies a quarter off the middle of the small one that it is part of.
    let near = |at: usize, size: usize| {
        let other = if at.is_multiple_of(2) { (at / 2).saturating_sub(1) } else { at / 2 + 1 };
        [at / 2, other.min(size - 1)]
    };
    let (columns, rows) = (near(at[0], w), near(at[1], h));
    let mut out = [0.0; 3];
    for (row, down) in rows.into_iter().zip([0.75, 0.25]) {
        for (column, across) in columns.into_iter().zip([0.75, 0.25]) {
            let share = down * across;
            out.iter_mut()
                .zip(small[row * w + column])
                .for_each(|(out, value)| *out += share * value);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_stays_and_what_is_not_lies_between() {
        let width = 37;
        let values: Vec<[f32; 3]> =
            (0..width * 20).map(|at| [if at % width < 10 { 10.0 } else { 50.0 }; 3]).collect();
        let weights: Vec<f32> =
            (0..values.len()).map(|at| f32::from(!(10..30).contains(&(at % width)))).collect();
        let out = continued(width, &values, &weights);
        for (at, value) in out.iter().enumerate() {
            if weights[at] > 0.0 {
                assert_eq!(*value, values[at]);
            }
            assert!((9.9..=50.1).contains(&value[0]), "{value:?}");
        }
        assert!(out[12][0] < out[20][0] && out[20][0] < out[28][0]);
        assert_eq!(continued(3, &[[5.0; 3]; 9], &[0.0; 9]), [[0.0; 3]; 9]);
    }
}
