//! How far pixels are from others.

/// Far enough that no picture reaches it, and small enough that its arithmetic stays exact enough.
const FAR: f32 = 1e12;

/// Returns the distance of every pixel `[height, width]` to the nearest one that `is_there`, between
/// their centres, in pixels; about `10⁶` where there is none.
///
/// # Source
/// Felzenszwalb and Huttenlocher, Distance transforms of sampled functions: the lower envelope of
/// parabolas, along columns and then along rows.
pub(super) fn distances(width: usize, is_there: &[bool]) -> Vec<f32> {
    let height = is_there.len() / width.max(1);
    let mut squares: Vec<f32> =
        is_there.iter().map(|there| if *there { 0.0 } else { FAR }).collect();
    let longest = width.max(height);
    let mut work = Envelope { places: vec![0; longest], starts: vec![0.0; longest + 1] };
    let (mut line, mut out) = (vec![0.0; longest], vec![0.0; longest]);
    for x in 0..width {
        for y in 0..height {
            line[y] = squares[y * width + x];
        }
        work.along(&line[..height], &mut out[..height]);
        for y in 0..height {
            squares[y * width + x] = out[y];
        }
    }
    for row in squares.chunks_exact_mut(width.max(1)) {
        line[..width].copy_from_slice(row);
        work.along(&line[..width], row);
    }
    squares.iter_mut().for_each(|square| *square = square.sqrt());
    squares
}

/// Holds the parabolas that are lowest somewhere, and where each begins to be.
struct Envelope {
    places: Vec<usize>,
    starts: Vec<f32>,
}

impl Envelope {
    /// Writes for each place the least of `values[other] + (place − other)²`.
    fn along(&mut self, values: &[f32], out: &mut [f32]) {
        let mut count = 0;
        for (at, value) in values.iter().enumerate() {
            if *value >= FAR {
                continue;
            }
            let meets = |other: usize| {
                let square = |at: usize| (at * at) as f32;
                (value + square(at) - values[other] - square(other)) / (2 * (at - other)) as f32
            };
            while count > 0 && meets(self.places[count - 1]) <= self.starts[count - 1] {
                count -= 1;
            }
            self.starts[count] =
                if count == 0 { f32::NEG_INFINITY } else { meets(self.places[count - 1]) };
            self.places[count] = at;
            count += 1;
        }
        if count == 0 {
            out.fill(FAR);
            return;
        }
        let mut lowest = 0;
        for (at, out) in out.iter_mut().enumerate() {
            while lowest + 1 < count && self.starts[lowest + 1] < at as f32 {
                lowest += 1;
            }
            let place = self.places[lowest];
            let away = at.abs_diff(place) as f32;
            *out = away * away + values[place];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_to_the_nearest_pixel_that_is_there() {
        let (width, height) = (23, 17);
        let is_there: Vec<bool> = (0..width * height).map(|at| (at * 7919) % 61 == 3).collect();
        let there: Vec<usize> = (0..is_there.len()).filter(|at| is_there[*at]).collect();
        for (at, found) in distances(width, &is_there).into_iter().enumerate() {
            let to = |other: &usize| {
                let [x, y] = [at % width, at / width].map(|side| side as f32);
                let [u, v] = [other % width, other / width].map(|side| side as f32);
                (x - u).hypot(y - v)
            };
            let nearest = there.iter().map(to).fold(f32::MAX, f32::min);
            assert!((found - nearest).abs() < 1e-3, "{at}: {found} {nearest}");
        }
        assert!(distances(4, &[false; 12]).iter().all(|far| *far > 1e5));
    }
}
