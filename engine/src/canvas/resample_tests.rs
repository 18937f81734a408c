//! What scaling and turning must hold to.

use proptest::prelude::*;

use std::f64::consts::PI;

use super::*;

const FULL: Area = Area::new(0, 0, 100, 80);
const WIDE: Area = Area::new(-2000, -2000, 4000, 4000);

fn filled(area: Area, colour: [u8; 4]) -> Tiles<4> {
    let mut tiles = Tiles::default();
    tiles.fill(area, colour);
    tiles
}

#[test]
fn a_flat_picture_stays_flat_to_its_edges_in_any_size() {
    let colour = [10, 200, 30, 255];
    for filter in [Filter::Nearest, Filter::Lanczos] {
        for to in [Area::new(5, -7, 37, 300), Area::new(0, 0, 1, 1), Area::new(-300, 0, 777, 13)] {
            let scaled = scale(&filled(FULL, colour), FULL, to, filter, WIDE);
            assert!(scaled == filled(to, colour), "{to:?} {filter:?}");
        }
    }
}

#[test]
fn what_cannot_be_seen_does_not_bleed() {
    let mut tiles = filled(FULL, [0, 255, 0, 0]);
    tiles.fill(Area::new(30, 20, 40, 30), [255, 0, 0, 255]);
    let shrunk = scale(&tiles, FULL, Area::new(0, 0, 33, 27), Filter::Lanczos, WIDE);
    let turned = rotate(&tiles, 33.0, [50.0, 40.0], WIDE);
    for tiles in [shrunk, turned] {
        for pixel in tiles.read(FULL).chunks(4).filter(|pixel| pixel[3] > 0) {
            assert_eq!(pixel[1..3], [0, 0]);
        }
    }
}

#[test]
fn enlarging_by_nearest_repeats_pixels() {
    let bytes: Vec<u8> = (0..FULL.pixels() * 4).map(|at| (at * 31 % 250 + 3) as u8).collect();
    let tiles = Tiles::<4>::from_bytes(FULL, &bytes);
    let large = scale(&tiles, FULL, Area::new(0, 0, 300, 240), Filter::Nearest, WIDE);
    for (x, y) in [(0, 0), (2, 2), (3, 2), (150, 77), (299, 239)] {
        assert_eq!(large.get([x, y]), tiles.get([x / 3, y / 3]));
    }
    let back = scale(&large, Area::new(0, 0, 300, 240), FULL, Filter::Nearest, WIDE);
    assert!(back == tiles);
}

#[test]
fn lanczos_keeps_a_slow_wave_and_removes_what_is_too_fine() {
    let value = |x: f64| (128.0 + 100.0 * (x / 100.0 * 2.0 * PI).sin()) as u8;
    let smooth: Vec<u8> = (0..8000).map(|at| value((at % 100) as f64 + 0.5)).collect();
    let large = scale(
        &Tiles::<1>::from_bytes(FULL, &smooth),
        FULL,
        Area::new(0, 0, 250, 80),
        Filter::Lanczos,
        WIDE,
    );
    for x in 10..240 {
        let [found] = large.get([x, 40]);
        assert!(found.abs_diff(value((f64::from(x) + 0.5) / 2.5)) <= 2, "{x}");
    }
    let stripes: Vec<u8> = (0..8000).map(|at| if at % 2 == 0 { 255 } else { 0 }).collect();
    let small = scale(
        &Tiles::<1>::from_bytes(FULL, &stripes),
        FULL,
        Area::new(0, 0, 30, 24),
        Filter::Lanczos,
        WIDE,
    );
    for x in 3..27 {
        let [found] = small.get([x, 12]);
        assert!(found.abs_diff(127) < 12, "{x}: {found}");
    }
}

#[test]
fn what_lies_beyond_the_document_is_scaled_with_it() {
    let tiles = filled(Area::new(-50, -40, 200, 160), [1, 2, 3, 255]);
    let scaled = scale(&tiles, FULL, Area::new(0, 0, 200, 160), Filter::Lanczos, WIDE);
    let bounds = scaled.bounds().unwrap_or_default();
    let exact = Area::new(-100, -80, 400, 320);
    assert!(bounds.union(exact).pixels() - bounds.intersect(exact).pixels() < 9000, "{bounds:?}");
    assert_eq!(scaled.get([-95, 200]), [1, 2, 3, 255]);
}

#[test]
fn quarters_by_angle_are_nearly_exact_quarters() {
    let bytes: Vec<u8> = (0..FULL.pixels() * 4).map(|at| (at * 7 % 200) as u8 | 128).collect();
    let tiles = Tiles::<4>::from_bytes(FULL, &bytes);
    let by_angle = rotate(&tiles, 180.0, [50.0, 40.0], WIDE);
    let exact = super::super::turn(&tiles, FULL, super::super::QuarterTurn::Half);
    for (a, b) in by_angle.read(FULL).iter().zip(exact.read(FULL)) {
        assert!(a.abs_diff(b) <= 1);
    }
}

#[test]
fn hostile_numbers_neither_panic_nor_take_unbounded_time() {
    let tiles = filled(FULL, [1, 2, 3, 255]);
    let odd = [f32::NAN, f32::INFINITY, f32::MAX, 1e-30];
    for angle in odd {
        for centre in odd {
            let _ = rotate(&tiles, angle, [centre, 3.0], WIDE);
        }
    }
    let areas = [
        Area::new(i32::MIN, i32::MIN, u32::MAX, u32::MAX),
        Area::new(i32::MAX, 0, 5, 5),
        Area::new(0, 0, 1, u32::MAX),
        Area::new(3, 3, 0, 9),
        Area::new(0, 0, 1, 1),
    ];
    for from in areas {
        for to in areas {
            for filter in [Filter::Nearest, Filter::Lanczos] {
                let scaled = scale(&tiles, from, to, filter, FULL);
                let used = scaled.bounds().unwrap_or_default();
                assert_eq!(used.intersect(FULL), used);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn enlarging_twice_and_shrinking_again_comes_close(
        cells in prop::collection::vec(any::<u8>(), 20), filter in prop::sample::select(vec![Filter::Nearest, Filter::Lanczos]),
    ) {
        let mut tiles = Tiles::<1>::default();
        for (at, cell) in cells.iter().enumerate() {
            tiles.fill(Area::new(at as i32 % 5 * 20, at as i32 / 5 * 20, 20, 20), [*cell]);
        }
        let double = Area::new(0, 0, 200, 160);
        let there = scale(&tiles, FULL, double, filter, WIDE);
        let back = scale(&there, double, FULL, filter, WIDE);
        let (a, b) = (tiles.read(FULL), back.read(FULL));
        let apart: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(b))).sum();
        prop_assert!(apart / 8000.0 < 3.0, "{}", apart / 8000.0);
    }

    #[test]
    fn turning_there_and_back_keeps_the_sum(degrees in -400.0f32..400.0) {
        let tiles = filled(FULL, [9, 9, 9, 255]);
        let turned = rotate(&tiles, degrees, [50.0, 40.0], WIDE);
        let sum = |tiles: &Tiles<4>| -> f64 {
            tiles.read(Area::new(-200, -200, 500, 500)).chunks(4).map(|p| f64::from(p[3]) / 255.0).sum()
        };
        prop_assert!((sum(&turned) - 8000.0).abs() < 60.0, "{}", sum(&turned));
    }
}

#[test]
#[ignore = "prints how long a large layer takes: run it with --release --nocapture"]
fn large_layers_are_scaled_and_turned_soon() {
    let area = Area::new(0, 0, 4096, 4096);
    let tiles = filled(area, [1, 2, 3, 255]);
    let begun = std::time::Instant::now();
    let half = scale(&tiles, area, Area::new(0, 0, 2048, 2048), Filter::Lanczos, area);
    println!("4096 px to 2048 px: {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    let begun = std::time::Instant::now();
    let _ = scale(&half, Area::new(0, 0, 2048, 2048), area, Filter::Lanczos, area);
    println!("2048 px to 4096 px: {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    let begun = std::time::Instant::now();
    let _ = rotate(&half, 10.0, [1024.0; 2], area);
    println!("2048 px by an angle: {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
}
