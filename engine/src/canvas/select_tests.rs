//! What selections must hold to.

use proptest::prelude::*;

use super::*;

const BOUNDS: Area = Area::new(0, 0, 150, 150);
const EXACT: ColourMatch = ColourMatch { tolerance: 0, contiguous: true, antialias: false };

fn filled(areas: &[(Area, u8)]) -> Tiles<1> {
    let mut tiles = Tiles::default();
    areas.iter().for_each(|(area, value)| tiles.fill(*area, [*value]));
    tiles
}

/// Two squares of one colour on transparent ground, touching at a corner only.
fn squares() -> Tiles<4> {
    let mut pixels = Tiles::default();
    pixels.fill(Area::new(10, 10, 50, 50), [200, 0, 0, 255]);
    pixels.fill(Area::new(60, 60, 50, 50), [200, 0, 0, 255]);
    pixels
}

#[test]
fn a_contiguous_region_does_not_leap_over_a_corner_and_a_global_one_does() {
    let one = select_colour(&squares(), [20, 20], EXACT, BOUNDS);
    assert_eq!(one, filled(&[(Area::new(10, 10, 50, 50), 255)]));
    let both =
        select_colour(&squares(), [20, 20], ColourMatch { contiguous: false, ..EXACT }, BOUNDS);
    let squares = [(Area::new(10, 10, 50, 50), 255), (Area::new(60, 60, 50, 50), 255)];
    assert_eq!(both, filled(&squares));
}

#[test]
fn empty_ground_is_selected_up_to_the_bounds_whatever_colour_hides_in_it() {
    let mut pixels = squares();
    pixels.fill(Area::new(120, 0, 30, 150), [90, 80, 70, 0]);
    let ground = select_colour(&pixels, [0, 0], EXACT, BOUNDS);
    let squares =
        select_colour(&pixels, [20, 20], ColourMatch { contiguous: false, ..EXACT }, BOUNDS);
    assert_eq!(ground, invert(&squares, BOUNDS));
}

#[test]
fn winding_corridors_are_followed_to_their_end() {
    let mut pixels = Tiles::default();
    pixels.fill(BOUNDS, [0, 0, 0, 255]);
    // Walls with a gap at alternating ends.
    for wall in 0..14 {
        let x = if wall % 2 == 0 { 0 } else { 5 };
        pixels.fill(Area::new(x, 8 + wall * 10, 145, 2), [255, 255, 255, 255]);
    }
    let way = select_colour(&pixels, [3, 3], EXACT, BOUNDS);
    assert_eq!(way.get([3, 149]), [255]);
    assert_eq!(way.get([3, 8]), [0]);
}

#[test]
fn the_tolerance_is_kept_and_the_antialiased_rim_is_soft_and_leads_nowhere() {
    let mut pixels = Tiles::default();
    for x in 0..150 {
        let value = if x < 100 { x } else { 0 } as u8;
        pixels.fill(Area::new(x, 0, 1, 150), [value, value, value, 255]);
    }
    let hard = ColourMatch { tolerance: 20, ..EXACT };
    let tiles = select_colour(&pixels, [0, 5], hard, BOUNDS);
    assert_eq!(tiles, filled(&[(Area::new(0, 0, 21, 150), 255)]));
    for contiguous in [true, false] {
        let soft = ColourMatch { antialias: true, contiguous, ..hard };
        let tiles = select_colour(&pixels, [0, 5], soft, BOUNDS);
        assert_eq!(tiles.get([20, 9]), [255]);
        assert!((1..255).contains(&tiles.get([21, 9])[0]));
        assert_eq!(tiles.get([22, 9]), [0]);
        assert_eq!(tiles.get([120, 9]), [if contiguous { 0 } else { 255 }]);
    }
}

#[test]
fn a_seed_outside_selects_nothing() {
    for seed in [[-1, 0], [150, 3], [i32::MAX, i32::MIN]] {
        assert!(select_colour(&squares(), seed, EXACT, BOUNDS).is_empty());
    }
    let huge = Area::new(i32::MIN, i32::MIN, u32::MAX, u32::MAX);
    assert!(select_colour(&squares(), [i32::MAX, 0], EXACT, huge).is_empty());
}

fn any_selection() -> impl Strategy<Value = Tiles<1>> {
    let area = (0..140i32, 0..140i32, 1..150u32, 1..150u32)
        .prop_map(|(x, y, w, h)| Area::new(x, y, w, h).intersect(BOUNDS));
    prop::collection::vec((area, any::<u8>()), 0..5).prop_map(|areas| filled(&areas))
}

proptest! {
    #[test]
    fn turning_round_twice_changes_nothing(selection in any_selection()) {
        prop_assert!(invert(&invert(&selection, BOUNDS), BOUNDS) == selection);
    }

    #[test]
    fn selections_combine_by_the_laws_of_sets(
        a in any_selection(), b in any_selection(), c in any_selection(),
    ) {
        use Combine::{Add, Intersect, Replace, Subtract};
        let none = Tiles::default();
        for how in [Add, Intersect] {
            prop_assert!(combine(&a, &b, how) == combine(&b, &a, how));
            prop_assert!(combine(&combine(&a, &b, how), &c, how) == combine(&a, &combine(&b, &c, how), how));
            prop_assert!(combine(&a, &a, how) == a);
        }
        prop_assert!(combine(&a, &b, Replace) == b);
        prop_assert!(combine(&a, &a, Subtract) == none && combine(&a, &none, Subtract) == a);
        prop_assert!(combine(&a, &none, Add) == a && combine(&a, &none, Intersect) == none);
        prop_assert!(combine(&none, &a, Subtract) == none);
        // De Morgan.
        let not = |selection: &Tiles<1>| invert(selection, BOUNDS);
        prop_assert!(not(&combine(&a, &b, Add)) == combine(&not(&a), &not(&b), Intersect));
    }

    #[test]
    fn a_region_holds_its_seed_and_only_what_the_global_one_holds(
        cells in prop::collection::vec(any::<[u8; 3]>(), 36), seed in prop::array::uniform2(0..150i32),
        tolerance: u8, antialias: bool,
    ) {
        let mut pixels = Tiles::default();
        for (at, [red, green, blue]) in cells.iter().enumerate() {
            let [x, y] = [at as i32 % 6 * 25, at as i32 / 6 * 25];
            pixels.fill(Area::new(x, y, 25, 25), [*red, *green, *blue, 255]);
        }
        let matching = ColourMatch { tolerance, contiguous: true, antialias };
        let near = select_colour(&pixels, seed, matching, BOUNDS);
        let all = select_colour(&pixels, seed, ColourMatch { contiguous: false, ..matching }, BOUNDS);
        prop_assert_eq!(near.get(seed), [255]);
        prop_assert!(combine(&near, &all, Combine::Subtract).is_empty());
    }
}
