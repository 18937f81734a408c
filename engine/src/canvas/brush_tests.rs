//! What strokes must hold to.

use proptest::prelude::*;

use super::*;

const BOUNDS: Area = Area::new(0, 0, 300, 300);

fn brush(size_px: f32, hardness: f32) -> Brush {
    Brush { size_px, hardness, colour: [200, 40, 10, 255], ..Brush::default() }
}

fn drawn(brush: Brush, points: &[[f32; 2]]) -> Tiles<4> {
    let mut stroke = Stroke::new(brush, Tiles::default(), None, BOUNDS);
    for point in points {
        stroke.add(*point, 1.0);
    }
    stroke.into_result()
}

#[test]
fn a_dab_is_round_whole_inside_and_smooth_at_its_rim() {
    let tiles = drawn(brush(20.0, 1.0), &[[50.0, 50.0]]);
    assert_eq!(tiles.bounds(), Some(Area::new(40, 40, 20, 20)));
    assert_eq!(tiles.get([50, 50]), [200, 40, 10, 255]);
    let ink: f64 = tiles.read(BOUNDS).chunks(4).map(|p| f64::from(p[3]) / 255.0).sum();
    assert!((ink - std::f64::consts::PI * 100.0).abs() < 2.0, "{ink}");
    let rim = (40..60).map(|x| tiles.get([x, 41])[3]);
    assert!(rim.clone().any(|alpha| (1..255).contains(&alpha)));
}

#[test]
fn a_line_is_as_strong_as_it_is_wide_down_to_half_a_pixel() {
    for size in [0.5, 0.8, 1.0, 2.5, 7.0] {
        let tiles = drawn(brush(size, 1.0), &[[20.0, 50.3], [120.0, 50.3]]);
        let ink: f32 = (40..60).map(|y| f32::from(tiles.get([70, y])[3]) / 255.0).sum();
        assert!((ink - size).abs() < 0.12 * size + 0.03, "{size}: {ink}");
    }
}

#[test]
fn a_soft_brush_falls_off_from_the_middle() {
    let tiles = drawn(brush(100.0, 0.0), &[[100.0, 100.0]]);
    let row: Vec<u8> = (100..150).map(|x| tiles.get([x, 100])[3]).collect();
    assert!(row.is_sorted_by(|a, b| a >= b));
    assert!(row[0] > 250 && (100..156).contains(&row[25]) && row[49] < 5, "{row:?}");
}

#[test]
fn one_stroke_never_exceeds_its_opacity_however_often_it_crosses_itself() {
    let brush = Brush { opacity: 0.4, ..brush(30.0, 0.5) };
    let points: Vec<[f32; 2]> =
        (0..40).map(|at| [60.0 + (at % 2) as f32 * 60.0, 60.0 + (at % 3) as f32]).collect();
    let tiles = drawn(brush, &points);
    let most = tiles.read(BOUNDS).chunks(4).map(|p| p[3]).max();
    assert_eq!(most, Some(102));
}

#[test]
fn the_eraser_takes_alpha_and_leaves_colour() {
    let mut base = Tiles::default();
    base.fill(BOUNDS, [10, 20, 30, 255]);
    let eraser = Brush { erases: true, opacity: 0.5, ..brush(40.0, 1.0) };
    let mut stroke = Stroke::new(eraser, base, None, BOUNDS);
    stroke.add([100.0, 100.0], 1.0);
    assert_eq!(stroke.result().get([100, 100]), [10, 20, 30, 127]);
    assert_eq!(stroke.result().get([10, 10]), [10, 20, 30, 255]);
}

#[test]
fn pressure_changes_size_and_opacity() {
    let pen = Brush { pressure_size: true, pressure_opacity: true, ..brush(40.0, 1.0) };
    let mut stroke = Stroke::new(pen, Tiles::default(), None, BOUNDS);
    stroke.add([100.0, 100.0], 0.5);
    assert_eq!(stroke.result().bounds(), Some(Area::new(90, 90, 20, 20)));
    assert_eq!(stroke.result().get([100, 100])[3], 128);
}

#[test]
fn the_dirty_area_names_every_pixel_that_changed() {
    let mut stroke = Stroke::new(brush(25.0, 0.3), Tiles::default(), None, BOUNDS);
    let mut before = stroke.result().clone();
    for (x, y) in [(20.0, 30.0), (90.0, 40.0), (95.0, 200.0), (250.0, 210.0), (30.0, 33.0)] {
        let dirty = stroke.add([x, y], 1.0);
        let after = stroke.result();
        for py in 0..300 {
            for px in 0..300 {
                let at = [px, py];
                assert!(dirty.contains(at) || before.get(at) == after.get(at), "{at:?}");
            }
        }
        before = after.clone();
    }
}

#[test]
fn hostile_numbers_neither_panic_nor_leave_the_bounds() {
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, 0.0, 150.0];
    for size_px in odd {
        let wild = Brush { size_px, hardness: size_px, opacity: f32::INFINITY, ..Brush::default() };
        let mut stroke = Stroke::new(wild, Tiles::default(), None, BOUNDS);
        for x in odd {
            for y in odd {
                let dirty = stroke.add([x, y], x);
                assert_eq!(dirty.intersect(BOUNDS), dirty);
            }
        }
        let used = stroke.result().bounds().unwrap_or_default();
        assert_eq!(used.intersect(BOUNDS), used);
    }
}

fn walk() -> impl Strategy<Value = Vec<([f32; 2], f32)>> {
    prop::collection::vec((prop::array::uniform2(-50.0f32..350.0), 0.0f32..1.0), 1..12)
}

fn any_brush() -> impl Strategy<Value = Brush> {
    (0.5f32..80.0, 0.0f32..=1.0, 0.0f32..=1.0, any::<[u8; 4]>(), any::<[bool; 3]>()).prop_map(
        |(size_px, hardness, opacity, colour, [erases, pressure_size, pressure_opacity])| Brush {
            size_px,
            hardness,
            opacity,
            colour,
            erases,
            pressure_size,
            pressure_opacity,
        },
    )
}

fn noise(seed: u32) -> Tiles<4> {
    let mut state = seed | 1;
    let bytes: Vec<u8> = (0..BOUNDS.pixels() * 4)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    Tiles::from_bytes(BOUNDS, &bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn nothing_outside_the_selection_changes_a_bit(
        brush in any_brush(), points in walk(), seed: u32, x in 0..200, y in 0..200,
    ) {
        let chosen = Area::new(x, y, 70, 50);
        let mut selection = Tiles::<1>::default();
        selection.fill(chosen, [255]);
        let base = noise(seed);
        let mut stroke = Stroke::new(brush, base.clone(), Some(selection), BOUNDS);
        for (point, pressure) in points {
            stroke.add(point, pressure);
        }
        let (mut before, mut after) = (base, stroke.into_result());
        before.fill(chosen, [0; 4]);
        after.fill(chosen, [0; 4]);
        prop_assert!(before == after);
    }

    #[test]
    fn the_pixels_depend_on_the_points_alone(brush in any_brush(), points in walk(), seed: u32) {
        // Once a point at a time with looks in between, once in two pieces with a clone.
        let base = noise(seed);
        let mut single = Stroke::new(brush, base.clone(), None, BOUNDS);
        let mut seen = base.clone();
        for (point, pressure) in &points {
            let dirty = single.add(*point, *pressure);
            seen.write(dirty, &single.result().read(dirty));
        }
        let (first, rest) = points.split_at(points.len() / 2);
        let mut whole = Stroke::new(brush, base, None, BOUNDS);
        first.iter().for_each(|(point, pressure)| { whole.add(*point, *pressure); });
        let mut whole = whole.clone();
        rest.iter().for_each(|(point, pressure)| { whole.add(*point, *pressure); });
        prop_assert!(single.result() == whole.result());
        prop_assert!(&seen == whole.result());
    }
}

#[test]
#[ignore = "prints how long a stroke takes: run it with --release --nocapture"]
fn a_large_brush_keeps_up_with_the_pen() {
    let bounds = Area::new(0, 0, 4096, 4096);
    let mut base = Tiles::default();
    base.fill(bounds, [90, 120, 150, 255]);
    for (size, hardness, movement) in [
        (200.0, 0.5, 20.0),
        (200.0, 1.0, 20.0),
        (20.0, 0.5, 20.0),
        (1.0, 1.0, 20.0),
        (2000.0, 0.5, 20.0),
    ] {
        let mut stroke = Stroke::new(brush(size, hardness), base.clone(), None, bounds);
        let mut times: Vec<f64> = (0..180)
            .map(|at| {
                let x = 200.0 + at as f32 * movement;
                let point = [x, 2000.0 + 500.0 * (x / 300.0).sin()];
                let begun = std::time::Instant::now();
                stroke.add(point, 1.0);
                begun.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{size} px, hardness {hardness}: median {:.2} ms, 95 % {:.2} ms, most {:.2} ms",
            times[90], times[171], times[179]
        );
    }
}
