//! What shapes must hold to.

use proptest::prelude::*;

use super::*;

const BOUNDS: Area = Area::new(0, 0, 200, 200);
const FILLED: ShapeStyle = ShapeStyle::Filled;

fn ink(coverage: &Tiles<1>) -> f32 {
    coverage.read(BOUNDS).iter().map(|value| f32::from(*value) / 255.0).sum()
}

fn outlined(width_px: f32) -> ShapeStyle {
    ShapeStyle::Outlined { width_px }
}

#[test]
fn a_filled_rectangle_on_whole_numbers_is_exact_from_any_corner() {
    let (a, b) = ([150.0, 20.0], [30.0, 120.0]);
    let mut exact = Tiles::default();
    exact.fill(Area::new(30, 20, 120, 100), [255]);
    for (from, to) in [(a, b), (b, a)] {
        assert_eq!(Shape::Rectangle { from, to }.coverage(FILLED, BOUNDS), exact);
    }
}

#[test]
fn an_outlined_rectangle_has_sharp_corners_and_a_hole() {
    let shape = Shape::Rectangle { from: [20.0, 20.0], to: [100.0, 80.0] };
    let tiles = shape.coverage(outlined(4.0), BOUNDS);
    assert_eq!(tiles.bounds(), Some(Area::new(18, 18, 84, 64)));
    assert_eq!(
        [tiles.get([18, 18]), tiles.get([21, 40]), tiles.get([22, 40])],
        [[255], [255], [0]]
    );
}

#[test]
fn ellipses_have_the_area_of_ellipses() {
    let shape = Shape::Ellipse { from: [10.0, 30.0], to: [190.0, 110.0] };
    let filled = ink(&shape.coverage(FILLED, BOUNDS));
    assert!((filled - PI * 90.0 * 40.0).abs() < 8.0, "{filled}");
    let ring = ink(&shape.coverage(outlined(6.0), BOUNDS));
    assert!((ring - PI * (93.0 * 43.0 - 87.0 * 37.0)).abs() < 8.0, "{ring}");
}

#[test]
fn a_line_is_as_wide_as_it_says_and_has_round_ends() {
    let shape = Shape::Line { from: [30.0, 40.0], to: [150.0, 130.0] };
    let sum = ink(&shape.coverage(outlined(10.0), BOUNDS));
    assert!((sum - (150.0 * 10.0 + PI * 25.0)).abs() < 4.0, "{sum}");
    let dot = Shape::Line { from: [50.0, 50.0], to: [50.0, 50.0] };
    let sum = ink(&dot.coverage(outlined(20.0), BOUNDS));
    assert!((sum - PI * 100.0).abs() < 2.0, "{sum}");
}

#[test]
fn bends_of_outlines_are_round_and_without_gaps_in_both_directions() {
    let mut points = vec![[40.0, 40.0], [160.0, 40.0], [160.0, 160.0], [40.0, 160.0]];
    let rounded = 4.0 * 120.0 * 20.0 - 4.0 * 100.0 + PI * 100.0;
    for _ in 0..2 {
        let tiles = Shape::Polygon(points.clone()).coverage(outlined(20.0), BOUNDS);
        let sum = ink(&tiles);
        assert!((sum - rounded).abs() < 4.0, "{sum} {rounded}");
        assert_eq!(tiles.get([34, 34]), [255]);
        points.reverse();
    }
}

#[test]
fn painting_a_shape_respects_opacity_and_selection() {
    let mut layer = Tiles::default();
    layer.fill(BOUNDS, [0, 0, 0, 255]);
    let mut selection = Tiles::default();
    selection.fill(Area::new(0, 0, 50, 200), [255]);
    let coverage = Shape::Rectangle { from: [0.0; 2], to: [100.0; 2] }.coverage(FILLED, BOUNDS);
    let dirty = paint_shape(&mut layer, &coverage, [255; 4], 0.5, Some(&selection));
    assert!(dirty.contains([10, 10]));
    assert_eq!(layer.get([10, 10]), [128, 128, 128, 255]);
    assert_eq!(layer.get([50, 10]), [0, 0, 0, 255]);
}

#[test]
fn hostile_numbers_neither_panic_nor_leave_the_bounds() {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 0.0, 77.5];
    for a in odd {
        for b in odd {
            let (from, to) = ([a, b], [b, 20.0]);
            let shapes = [
                Shape::Line { from, to },
                Shape::Rectangle { from, to },
                Shape::Ellipse { from, to },
                Shape::Polygon(vec![from, to, [a, a], [b, b]]),
            ];
            for shape in shapes {
                for style in [FILLED, outlined(a), outlined(5.0)] {
                    let used = shape.coverage(style, BOUNDS).bounds().unwrap_or_default();
                    assert_eq!(used.intersect(BOUNDS), used);
                }
            }
        }
    }
}

#[test]
fn a_polygon_of_a_million_points_keeps_a_bounded_number_of_them() {
    let points: Vec<[f32; 2]> =
        (0..1_000_000).map(|at| [(at % 173) as f32, (at % 199) as f32]).collect();
    assert!(thinned(&points).len() <= MAX_POINTS);
    assert!(!Shape::Polygon(points).coverage(outlined(30.0), BOUNDS).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_polygon_covers_the_same_in_both_directions(
        points in prop::collection::vec(prop::array::uniform2(-50.0f32..250.0), 0..12),
        width in 0.1f32..30.0,
    ) {
        let mut reversed = points.clone();
        reversed.reverse();
        let (a, b) = (Shape::Polygon(points), Shape::Polygon(reversed));
        prop_assert!(a.coverage(FILLED, BOUNDS) == b.coverage(FILLED, BOUNDS));
        let [a, b] = [a, b].map(|shape| ink(&shape.coverage(outlined(width), BOUNDS)));
        prop_assert!((a - b).abs() < 2.0, "{a} {b}");
    }
}
