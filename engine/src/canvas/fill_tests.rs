//! What the bucket and the gradient must hold to.

use proptest::prelude::*;

use super::*;

const BOUNDS: Area = Area::new(0, 0, 150, 150);
const RED: [u8; 4] = [255, 0, 0, 255];

fn bucket(matching: ColourMatch) -> Bucket {
    Bucket { colour: RED, opacity: 1.0, matching }
}

fn exact() -> ColourMatch {
    ColourMatch { tolerance: 0, contiguous: true, antialias: false }
}

#[test]
fn the_bucket_fills_to_walls_and_to_the_bounds() {
    let mut layer = Tiles::default();
    layer.fill(Area::new(70, -50, 5, 300), [0, 0, 0, 255]);
    let reference = layer.clone();
    let dirty = pour(&mut layer, &reference, [3, 3], bucket(exact()), None, BOUNDS);
    assert_eq!(dirty.intersect(BOUNDS), dirty);
    assert_eq!(
        [layer.get([69, 149]), layer.get([72, 10]), layer.get([75, 10])],
        [RED, [0, 0, 0, 255], [0; 4]]
    );
    assert_eq!([layer.get([0, 150]), layer.get([-1, 0])], [[0; 4]; 2]);
}

#[test]
fn what_is_alike_may_be_looked_for_in_another_picture() {
    let mut reference = Tiles::default();
    reference.fill(Area::new(0, 0, 20, 150), [9, 9, 9, 255]);
    let mut layer = Tiles::default();
    pour(&mut layer, &reference, [5, 5], bucket(exact()), None, BOUNDS);
    assert_eq!(layer.bounds(), Some(Area::new(0, 0, 20, 150)));
}

#[test]
fn a_region_does_not_go_on_beyond_what_is_selected() {
    let mut selection = Tiles::default();
    selection.fill(Area::new(0, 0, 20, 150), [255]);
    selection.fill(Area::new(40, 0, 20, 150), [255]);
    let mut layer = Tiles::default();
    pour(&mut layer, &Tiles::default(), [5, 5], bucket(exact()), Some(&selection), BOUNDS);
    assert_eq!(layer.bounds(), Some(Area::new(0, 0, 20, 150)));
    let all = ColourMatch { contiguous: false, ..exact() };
    pour(&mut layer, &Tiles::default(), [5, 5], bucket(all), Some(&selection), BOUNDS);
    assert_eq!(layer.bounds(), Some(Area::new(0, 0, 60, 150)));
}

#[test]
fn gradients_run_evenly_and_fade_without_a_tint() {
    let mut layer = Tiles::default();
    let gradient = Gradient {
        shape: GradientShape::Linear,
        from: [0.5, 0.0],
        to: [100.5, 0.0],
        colours: [RED, [0, 0, 0, 0]],
        opacity: 1.0,
    };
    assert_eq!(paint_gradient(&mut layer, &gradient, None, BOUNDS), BOUNDS);
    assert_eq!(
        [layer.get([0, 9]), layer.get([50, 9]), layer.get([100, 9])],
        [RED, [255, 0, 0, 128], [0; 4]]
    );
    let mut layer = Tiles::default();
    let radial = Gradient {
        shape: GradientShape::Radial,
        from: [75.0, 75.0],
        to: [75.0, 125.0],
        colours: [RED, [0, 0, 255, 255]],
        ..gradient
    };
    paint_gradient(&mut layer, &radial, None, BOUNDS);
    assert_eq!(layer.get([0, 0]), [0, 0, 255, 255]);
    assert!(layer.get([75, 75])[0] > 250);
    assert_eq!(layer.get([100, 75]), layer.get([75, 100]));
}

#[test]
fn hostile_gradients_do_not_panic() {
    let odd = [f32::NAN, f32::INFINITY, f32::MIN, 0.0];
    for a in odd {
        for b in odd {
            for shape in [GradientShape::Linear, GradientShape::Radial] {
                let colours = [RED, [1, 2, 3, 4]];
                let gradient = Gradient { shape, from: [a, b], to: [b, a], colours, opacity: a };
                paint_gradient(&mut Tiles::default(), &gradient, None, Area::new(0, 0, 9, 9));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_outside_the_selection_changes_a_bit(
        cells in prop::collection::vec(any::<[u8; 4]>(), 36), seed in prop::array::uniform2(0..150i32),
        colour: [u8; 4], tolerance: u8, contiguous: bool, x in 0..100, y in 0..100,
    ) {
        let chosen = Area::new(x, y, 60, 40);
        let mut selection = Tiles::default();
        selection.fill(chosen, [200]);
        let mut before = Tiles::default();
        for (at, cell) in cells.iter().enumerate() {
            before.fill(Area::new(at as i32 % 6 * 25, at as i32 / 6 * 25, 25, 25), *cell);
        }
        let mut after = before.clone();
        let matching = ColourMatch { tolerance, contiguous, antialias: true };
        let bucket = Bucket { colour, opacity: 0.7, matching };
        let dirty = pour(&mut after, &before, seed, bucket, Some(&selection), BOUNDS);
        let gradient = Gradient {
            shape: GradientShape::Linear, from: [0.0; 2], to: [99.0; 2], colours: [colour; 2], opacity: 0.5,
        };
        for at in after.differing(&before) {
            prop_assert!(!Tiles::<4>::tile_area(at).intersect(dirty).is_empty());
        }
        paint_gradient(&mut after, &gradient, Some(&selection), BOUNDS);
        before.fill(chosen, [0; 4]);
        after.fill(chosen, [0; 4]);
        prop_assert!(before == after);
    }
}
