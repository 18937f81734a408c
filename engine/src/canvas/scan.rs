//! Turns polygons into antialiased coverage.

use super::limits::workable;
use super::{Area, TILE_PX, Tiles};

/// Lines on which a row of pixels is looked at; along a line the coverage is exact to 1/256.
const LINES_PER_ROW: i64 = 16;

/// Crossings of edges and lines that are worked through at most; beyond it rows get fewer lines.
const MAX_CROSSINGS: f64 = 16e6;

/// Holds coordinates to where f64 places them to far less than a line.
const MAX_COORDINATE: f32 = 1e6;

/// Is an edge that is not horizontal, from its upper to its lower end.
#[derive(Debug, Clone, Copy)]
struct Edge {
    top: f64,
    bottom: f64,
    /// x at `top`.
    x: f64,
    /// The change of x per pixel downwards.
    slope: f64,
    /// 1 when the polygon goes down here, −1 when it goes up.
    winding: i32,
}

/// Returns the coverage of closed rings by the non-zero rule: what a ring goes round counts, however
/// often, and a ring in the other direction within another takes a hole out of it.
///
/// Points that are no numbers are left out.
pub(super) fn cover(rings: &[Vec<[f32; 2]>], bounds: Area) -> Tiles<1> {
    let bounds = workable(bounds);
    let mut coverage = Tiles::default();
    let (mut edges, area) = edges_of(rings, bounds);
    if area.is_empty() {
        return coverage;
    }
    edges.sort_by(|a, b| a.top.total_cmp(&b.top));
    let lines = lines_per_row(&edges, area);
    let mut scan = Scan { edges: &edges, next: 0, active: Vec::new(), crossings: Vec::new() };
    let width = area.width_px as usize;
    let mut sums = vec![0i32; width + 2];
    // Bands end where tiles do, so that every tile is written once.
    let mut top = area.y;
    while top < area.bottom() {
        let end = (top.div_euclid(TILE_PX) + 1).saturating_mul(TILE_PX).min(area.bottom());
        let band = Area::between([area.x, top], [area.right(), end]);
        let mut bytes = vec![0u8; width * band.height_px as usize];
        for (y, row) in (top..end).zip(bytes.chunks_exact_mut(width)) {
            sums.fill(0);
            for line in 0..lines {
                let at = f64::from(y) + (line as f64 + 0.5) / lines as f64;
                scan.add_line(at, area, &mut sums);
            }
            let whole = lines as i32 * 256;
            let mut sum = 0;
            for (covered, change) in row.iter_mut().zip(&sums) {
                sum += change;
                *covered = ((sum * 255 + whole / 2) / whole) as u8;
            }
        }
        coverage.write(band, &bytes);
        top = end;
    }
    coverage
}

/// Lists the edges that matter within the bounds, and the area that they enclose there.
fn edges_of(rings: &[Vec<[f32; 2]>], bounds: Area) -> (Vec<Edge>, Area) {
    let mut edges = Vec::new();
    let (mut least, mut greatest) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
    for ring in rings {
        let points: Vec<[f32; 2]> = ring
            .iter()
            .filter(|point| !point.iter().any(|value| value.is_nan()))
            .map(|point| point.map(|value| value.clamp(-MAX_COORDINATE, MAX_COORDINATE)))
            .collect();
        for (at, from) in points.iter().enumerate() {
            least = [0, 1].map(|axis| least[axis].min(from[axis]));
            greatest = [0, 1].map(|axis| greatest[axis].max(from[axis]));
            let to = points[(at + 1) % points.len()];
            let (upper, lower, winding) =
                if from[1] < to[1] { (*from, to, 1) } else { (to, *from, -1) };
            let [x, top] = upper.map(f64::from);
            let [end, bottom] = lower.map(f64::from);
            let outside = bottom <= f64::from(bounds.y) || top >= f64::from(bounds.bottom());
            if bottom > top && !outside {
                edges.push(Edge { top, bottom, x, slope: (end - x) / (bottom - top), winding });
            }
        }
    }
    let area = if edges.is_empty() { Area::default() } else { Area::around(least, greatest) };
    (edges, area.intersect(bounds))
}

/// Returns how many lines a row gets.
fn lines_per_row(edges: &[Edge], area: Area) -> i64 {
    let [top, bottom] = [area.y, area.bottom()].map(f64::from);
    let rows: f64 = edges.iter().map(|e| (e.bottom.min(bottom) - e.top.max(top)).max(0.0)).sum();
    ((MAX_CROSSINGS / rows.max(1.0)) as i64).clamp(1, LINES_PER_ROW)
}

/// Goes down through the edges line by line.
struct Scan<'a> {
    /// By their upper ends.
    edges: &'a [Edge],
    /// The first edge that was not reached yet.
    next: usize,
    /// The edges that cross the current line.
    active: Vec<usize>,
    /// Where they cross it, in 1/256 pixels from the left of the area, and their winding.
    crossings: Vec<(i64, i32)>,
}

impl Scan<'_> {
    /// Adds what one line covers as changes from pixel to pixel, 256 for a whole pixel.
    fn add_line(&mut self, y: f64, area: Area, sums: &mut [i32]) {
        while let Some(edge) = self.edges.get(self.next).filter(|edge| edge.top <= y) {
            if edge.bottom > y {
                self.active.push(self.next);
            }
            self.next += 1;
        }
        let edges = self.edges;
        self.active.retain(|at| edges[*at].bottom > y);
        self.crossings.clear();
        let most = i64::from(area.width_px) * 256;
        for at in &self.active {
            let Edge { top, x, slope, winding, .. } = edges[*at];
            let x = x + (y - top) * slope - f64::from(area.x);
            self.crossings.push((((x * 256.0).round() as i64).clamp(0, most), winding));
        }
        self.crossings.sort_unstable();
        let mut winding = 0;
        for (x, change) in &self.crossings {
            let (column, part) = ((x >> 8) as usize, (x & 255) as i32);
            let sign = match (winding, winding + change) {
                (0, now) if now != 0 => 1,
                (before, 0) if before != 0 => -1,
                _ => 0,
            };
            sums[column] += sign * (256 - part);
            sums[column + 1] += sign * part;
            winding += change;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Area = Area::new(0, 0, 200, 200);

    fn ring(points: &[[f32; 2]]) -> Vec<Vec<[f32; 2]>> {
        vec![points.to_vec()]
    }

    fn square(from: f32, to: f32) -> Vec<[f32; 2]> {
        vec![[from, from], [to, from], [to, to], [from, to]]
    }

    #[test]
    fn pixels_are_covered_by_their_share() {
        let tiles =
            cover(&ring(&[[10.25, 10.5], [20.5, 10.5], [20.5, 20.0], [10.25, 20.0]]), BOUNDS);
        assert_eq!(tiles.bounds(), Some(Area::new(10, 10, 11, 10)));
        assert_eq!(tiles.get([15, 15]), [255]);
        assert_eq!(tiles.get([10, 15]), [191]);
        assert_eq!(tiles.get([20, 15]), [128]);
        assert_eq!(tiles.get([15, 10]), [128]);
    }

    #[test]
    fn a_triangle_has_the_area_of_a_triangle() {
        let tiles = cover(&ring(&[[3.3, 5.1], [190.7, 60.2], [40.4, 170.9]]), BOUNDS);
        let sum: f64 = tiles.read(BOUNDS).iter().map(|v| f64::from(*v) / 255.0).sum();
        let exact = ((187.4 * 165.8) - (37.1 * 55.1)) / 2.0;
        assert!((sum - exact).abs() < 3.0, "{sum} {exact}");
    }

    #[test]
    fn overlaps_count_once_and_rings_in_the_other_direction_are_holes() {
        let mut twice = square(10.0, 50.0);
        twice.extend(square(10.0, 50.0));
        assert_eq!(cover(&[twice], BOUNDS), cover(&[square(10.0, 50.0)], BOUNDS));
        let mut hole = square(20.0, 30.0);
        hole.reverse();
        let tiles = cover(&[square(10.0, 50.0), hole], BOUNDS);
        assert_eq!([tiles.get([15, 15]), tiles.get([25, 25])], [[255], [0]]);
    }

    #[test]
    fn rows_get_fewer_lines_when_there_are_very_many_edges() {
        let zigzag: Vec<[f32; 2]> =
            (0..40_000).map(|at| [(at % 199) as f32, (at % 2 * 200) as f32]).collect();
        let lines = |points: &[[f32; 2]]| {
            let (edges, area) = edges_of(&ring(points), BOUNDS);
            lines_per_row(&edges, area)
        };
        assert_eq!(lines(&square(10.0, 50.0)), LINES_PER_ROW);
        assert_eq!(lines(&zigzag), 2);
    }

    #[test]
    fn what_lies_outside_is_cut_and_what_is_no_number_left_out() {
        let far =
            cover(&ring(&[[-1e30, -1e30], [1e30, -1e30], [1e30, 1e30], [-1e30, 1e30]]), BOUNDS);
        let mut full = Tiles::default();
        full.fill(BOUNDS, [255]);
        assert_eq!(far, full);
        assert!(cover(&ring(&[[f32::NAN, 1.0], [5.0, f32::NAN]]), BOUNDS).is_empty());
        assert!(cover(&ring(&[[1.0, 1.0], [5.0, 5.0]]), BOUNDS).is_empty());
        assert!(cover(&[Vec::new()], BOUNDS).is_empty());
    }
}
