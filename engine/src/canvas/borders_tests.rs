//! What moved and softened borders must hold to.

use proptest::prelude::*;

use super::*;

const BOUNDS: Area = Area::new(0, 0, 150, 150);

fn filled(areas: &[(Area, u8)]) -> Tiles<1> {
    let mut tiles = Tiles::default();
    areas.iter().for_each(|(area, value)| tiles.fill(*area, [*value]));
    tiles
}

fn sum(selection: &Tiles<1>) -> f64 {
    selection.read(BOUNDS).iter().map(|value| f64::from(*value) / 255.0).sum()
}

#[test]
fn a_pixel_grows_to_a_disc() {
    let dot = filled(&[(Area::new(70, 70, 1, 1), 255)]);
    let disc = grow(&dot, 20.0, BOUNDS);
    assert_eq!(disc.bounds(), Some(Area::new(50, 50, 41, 41)));
    for y in 45..96i32 {
        for x in 45..96i32 {
            let distance = f64::from((x - 70).pow(2) + (y - 70).pow(2)).sqrt();
            let exact = (21.0 - distance).clamp(0.0, 1.0) * 255.0;
            let [value] = disc.get([x, y]);
            assert!((f64::from(value) - exact).abs() < 0.51, "{x} {y}");
        }
    }
}

#[test]
fn distances_are_exact_among_many_pixels() {
    let spots: Vec<[i32; 2]> = (0..40).map(|at| [at * 37 % 150, at * 61 % 149]).collect();
    let areas: Vec<(Area, u8)> =
        spots.iter().map(|[x, y]| (Area::new(*x, *y, 1, 1), 255)).collect();
    let grown = grow(&filled(&areas), 7.5, BOUNDS);
    for y in 0..150 {
        for x in 0..150 {
            let square = spots.iter().map(|[a, b]| (x - a).pow(2) + (y - b).pow(2)).min();
            let exact = (8.5 - f64::from(square.unwrap_or(0)).sqrt()).clamp(0.0, 1.0) * 255.0;
            let [value] = grown.get([x, y]);
            assert!((f64::from(value) - exact).abs() < 0.51, "{x} {y}");
        }
    }
}

#[test]
fn a_border_in_the_middle_of_a_pixel_stays_there() {
    let half = filled(&[(Area::new(50, 50, 20, 20), 255), (Area::new(70, 50, 1, 20), 102)]);
    assert_eq!(grow(&half, 0.0, BOUNDS), half);
    assert_eq!(shrink(&half, 0.0, BOUNDS), half);
    let grown = grow(&half, 5.0, BOUNDS);
    assert_eq!(
        [grown.get([74, 60]), grown.get([75, 60]), grown.get([76, 60])],
        [[255], [102], [0]]
    );
    assert_eq!([grown.get([45, 60]), grown.get([44, 60])], [[255], [0]]);
    let shrunk = shrink(&half, 5.0, BOUNDS);
    assert_eq!(
        [shrunk.get([64, 60]), shrunk.get([65, 60]), shrunk.get([66, 60])],
        [[255], [102], [0]]
    );
}

#[test]
fn growing_stops_at_the_area_and_shrinking_starts_there() {
    let all = filled(&[(BOUNDS, 255)]);
    assert_eq!(grow(&all, 10.0, BOUNDS), all);
    assert_eq!(shrink(&all, 10.0, BOUNDS), filled(&[(BOUNDS.grown(-10), 255)]));
    assert!(shrink(&all, 80.0, BOUNDS).is_empty());
    assert!(shrink(&all, f32::INFINITY, BOUNDS).is_empty());
    assert_eq!(grow(&all, f32::NAN, BOUNDS), all);
}

#[test]
fn feathering_softens_the_border_keeps_the_sum_and_the_edges_of_the_document() {
    let square = filled(&[(Area::new(50, 50, 50, 50), 255)]);
    let soft = feather(&square, 10.0, BOUNDS);
    assert!((sum(&soft) - 2500.0).abs() < 10.0, "{}", sum(&soft));
    let row: Vec<u8> = (35..75).map(|x| soft.get([x, 75])[0]).collect();
    assert!(row.is_sorted() && row[39] == 255, "{row:?}");
    let [before, after] = [row[14], row[15]].map(i32::from);
    assert!((before + after - 255).abs() <= 2, "{before} {after}");
    // A Gaussian step: one deviation (5 px) outside of the border 15.9 % are left.
    let at = f64::from(i32::from(row[9]) + i32::from(row[10])) / 510.0;
    assert!((at - 0.159).abs() < 0.02, "{at}");
    let all = filled(&[(BOUNDS, 255)]);
    assert_eq!(feather(&all, 30.0, BOUNDS), all);
    assert_eq!(feather(&square, 0.0, BOUNDS), square);
    assert_eq!(feather(&square, f32::NAN, BOUNDS), square);
}

#[test]
fn a_huge_radius_on_a_huge_area_is_held() {
    let dot = filled(&[(Area::new(70, 70, 1, 1), 255)]);
    let huge = Area::new(i32::MIN, i32::MIN, u32::MAX, u32::MAX);
    assert_eq!(
        grow(&dot, f32::INFINITY, huge).bounds(),
        None.or(grow(&dot, 1000.0, huge).bounds())
    );
}

fn any_selection() -> impl Strategy<Value = Tiles<1>> {
    let area = (0..140i32, 0..140i32, 1..100u32, 1..100u32)
        .prop_map(|(x, y, w, h)| Area::new(x, y, w, h).intersect(BOUNDS));
    prop::collection::vec((area, any::<u8>()), 0..5).prop_map(|areas| filled(&areas))
}

fn holds(outer: &Tiles<1>, inner: &Tiles<1>) -> bool {
    outer.read(BOUNDS).iter().zip(inner.read(BOUNDS)).all(|(outer, inner)| *outer >= inner)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn growing_holds_the_selection_and_reaches_no_farther_than_the_radius(
        selection in any_selection(), radius in 0.0f32..40.0,
    ) {
        let grown = grow(&selection, radius, BOUNDS);
        prop_assert!(holds(&grown, &selection));
        prop_assert!(holds(&grow(&selection, radius + 1.0, BOUNDS), &grown));
        let area = selection.bounds().map(|area| area.grown(radius.ceil() as i32));
        let used = grown.bounds().unwrap_or_default();
        prop_assert_eq!(used.intersect(area.unwrap_or_default()), used);
    }

    #[test]
    fn shrinking_is_held_by_the_selection(selection in any_selection(), radius in 0.0f32..40.0) {
        let shrunk = shrink(&selection, radius, BOUNDS);
        prop_assert!(holds(&selection, &shrunk));
    }

    #[test]
    fn feathering_never_exceeds_the_most_that_was_selected(
        selection in any_selection(), radius in 0.0f32..40.0,
    ) {
        let most = |tiles: &Tiles<1>| tiles.read(BOUNDS).into_iter().max();
        prop_assert!(most(&feather(&selection, radius, BOUNDS)) <= most(&selection));
    }
}

#[test]
#[ignore = "prints how long a large selection takes: run it with --release --nocapture"]
fn large_selections_are_moved_and_softened_soon() {
    let area = Area::new(0, 0, 4096, 4096);
    let mut selection = Tiles::default();
    selection.fill(area.grown(-300), [255]);
    for (name, work) in
        [("grow", grow as fn(&_, _, _) -> _), ("shrink", shrink), ("feather", feather)]
    {
        let begun = std::time::Instant::now();
        let result: Tiles<1> = work(&selection, 20.0, area);
        println!("{name}: {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
        assert!(!result.is_empty());
    }
}
