//! What is cut out of documents, and what is put back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::canvas::TILE_PX;
use crate::protocol::Pixels;

/// The sizes of the house picture model.
const HOUSE: SizeRules =
    SizeRules { grid_px: 32, area_px: [32_768, 131_072], nominal_px: 65_536, aspect_max: 2.0 };

fn selected(area: Area) -> Tiles<1> {
    let mut tiles = Tiles::default();
    tiles.fill(area, [255]);
    tiles
}

fn plan(selection: Area, document: Area, mode: RegionMode) -> RegionPlan {
    let region = Region { mode, ..Region::default() };
    RegionPlan::new(&selected(selection), document, (&HOUSE, None), &region).unwrap()
}

#[test]
fn a_document_of_a_size_that_the_model_paints_is_shown_whole_and_unscaled() {
    let document = Area::new(0, 0, 256, 256);
    for selection in [Area::new(5, 5, 40, 40), Area::new(0, 0, 256, 256), Area::new(100, 0, 9, 256)]
    {
        let plan = plan(selection, document, RegionMode::Seamless);
        assert_eq!((plan.context, plan.size), (document, Size { width_px: 256, height_px: 256 }));
    }
}

#[test]
fn of_a_large_document_seamless_shows_the_surroundings_and_focus_enlarges_the_selection() {
    let document = Area::new(0, 0, 2000, 1500);
    let selection = Area::new(900, 700, 100, 100);
    let seamless = plan(selection, document, RegionMode::Seamless);
    let focus = plan(selection, document, RegionMode::Focus);
    assert!(seamless.context.width_px >= 300 && focus.context.width_px <= 140);
    for plan in [seamless, focus] {
        assert_eq!(plan.context.intersect(document), plan.context);
        assert_eq!(plan.context.union(plan.bounds), plan.context);
        assert!(HOUSE.allows(plan.size), "{:?}", plan.size);
    }
}

#[test]
fn what_is_wider_than_the_model_paints_is_shown_with_what_is_beyond_the_document() {
    let document = Area::new(0, 0, 1000, 100);
    let plan = plan(document, document, RegionMode::Seamless);
    let [across, down] = plan.scale();
    assert!((across / down - 1.0).abs() < 0.02, "{plan:?}");
    assert!(plan.context.y < 0 && plan.context.bottom() > 100, "{plan:?}");
    assert!(plan.context.x <= 0 && plan.context.right() >= 1000, "{plan:?}");
}

#[test]
fn nothing_selected_and_documents_without_or_with_too_many_pixels_are_refused() {
    let document = Area::new(0, 0, 100, 100);
    let refused = |selection: Area, document: Area| {
        let rules = (&HOUSE, None);
        RegionPlan::new(&selected(selection), document, rules, &Region::default())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(Area::default(), document).contains("nothing of the picture may change"));
    assert!(refused(Area::new(500, 0, 9, 9), document).contains("nothing"));
    assert!(refused(document, Area::default()).contains("must be 1 to 16384 pixels"));
    assert!(refused(document, Area::new(0, 0, 60_000, 10)).contains("60000"));
    let rules = (&HOUSE, Some(Size { width_px: 8, height_px: 8 }));
    assert!(RegionPlan::new(&selected(document), document, rules, &Region::default()).is_err());
}

#[test]
fn the_rules_give_the_nearest_size_and_one_size_alone_when_it_is_given() {
    let size = |width_px, height_px| Size { width_px, height_px };
    assert_eq!(HOUSE.nearest([256.0, 256.0]), Some(size(256, 256)));
    assert_eq!(HOUSE.nearest([352.0, 192.0]), Some(size(352, 192)));
    let wide = HOUSE.nearest([9000.0, 9.0]).unwrap();
    assert_eq!(wide.width_px, 2 * wide.height_px);
    assert!(HOUSE.nearest([1.0, 1.0]).is_some_and(|size| HOUSE.allows(size)));
    let one = SizeRules::exactly(size(100, 70));
    assert_eq!(one.nearest([5000.0, 5.0]), Some(size(100, 70)));
}

#[test]
fn painted_pixels_of_the_documents_scale_come_back_as_they_are_where_nothing_is_to_be_matched() {
    let document_area = Area::new(0, 0, 256, 256);
    let document = Tiles::<4>::default();
    let plan = plan(document_area, document_area, RegionMode::Fill);
    let rgba =
        (0..256 * 256 * 4).map(|at| if at % 4 == 3 { 255 } else { (at % 251) as u8 }).collect();
    let painted = Pixels::new(256, 256, rgba).unwrap();
    let layer = plan.stitch(&document, &painted).unwrap();
    assert!(layer.pixels == painted && layer.area == document_area);
    let wrong = Pixels::new(2, 1, vec![0; 8]).unwrap();
    assert!(plan.stitch(&document, &wrong).is_err());
}

#[test]
fn what_is_added_around_a_picture_is_shown_continued_and_comes_back_opaque() {
    let mut document = Tiles::<4>::default();
    document.fill(Area::new(0, 0, 200, 200), [40, 90, 160, 255]);
    let whole = Area::new(-56, 0, 256, 200);
    let region = Region { mode: RegionMode::Fill, ..Region::default() };
    let new = selected(Area::new(-56, 0, 56, 200));
    let plan = RegionPlan::new(&new, whole, (&HOUSE, None), &region).unwrap();
    let cropped = plan.crop(&document);
    let near = |pixel: &[u8]| pixel.iter().zip([40, 90, 160, 255]).all(|(a, b)| a.abs_diff(b) <= 1);
    assert!(cropped.picture.rgba.chunks_exact(4).all(near));
    let mut painted = cropped.picture.clone();
    painted.rgba.iter_mut().for_each(|value| *value = value.saturating_add(7));
    let layer = plan.stitch(&document, &painted).unwrap();
    assert!(layer.pixels.rgba.chunks_exact(4).all(|pixel| pixel[3] == 255));
    layer.apply(&mut document);
    assert_eq!(document.bounds(), Some(whole));
    assert_eq!(document.get([0, 100]), [40, 90, 160, 255]);
}

/// Numbers from a seed, for pictures and masks of noise.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 11) as u8
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_outside_of_the_mask_keeps_its_bits_whatever_is_painted(
        seed: u32,
        sides in (1u32..300, 1u32..300),
        at in (-150i32..150, -150i32..150),
        part in (-40i32..300, -40i32..300, 1u32..200, 1u32..200),
        margins in (0u32..20, 0u32..20),
        is_noise: bool,
        mode in 0usize..3,
    ) {
        let document_area = Area::new(at.0, at.1, sides.0, sides.1);
        let pixels = noise(seed, document_area.pixels() as usize * 4);
        let mut document = Tiles::<4>::from_bytes(document_area, &pixels);
        let area = Area::new(at.0 + part.0, at.1 + part.1, part.2, part.3).intersect(document_area);
        prop_assume!(!area.is_empty());
        let selection = match is_noise {
            false => selected(area),
            true => Tiles::from_bytes(area, &noise(seed ^ 77, area.pixels() as usize)),
        };
        prop_assume!(!selection.is_empty());
        let region = Region {
            mode: RegionMode::ALL[mode],
            grow_px: Some(margins.0),
            feather_px: Some(margins.1),
            ..Region::default()
        };
        let Ok(plan) = RegionPlan::new(&selection, document_area, (&HOUSE, None), &region) else {
            return Ok(());
        };
        prop_assert!(HOUSE.allows(plan.size));
        prop_assert_eq!(plan.context.union(plan.bounds), plan.context);
        let cropped = plan.crop(&document);
        let painted_bytes = noise(seed ^ 5, cropped.picture.rgba.len());
        let size = plan.size;
        let painted = Pixels::new(size.width_px, size.height_px, painted_bytes).unwrap();
        let layer = plan.stitch(&document, &painted).unwrap();
        layer.apply(&mut document);
        let after = document.read(document_area);
        let grown = area.grown(margins.0 as i32);
        for (index, (old, new)) in pixels.chunks_exact(4).zip(after.chunks_exact(4)).enumerate() {
            let width = document_area.width_px as usize;
            let place = [at.0 + (index % width) as i32, at.1 + (index / width) as i32];
            if plan.mask.get(place) == [0] || !grown.contains(place) {
                prop_assert_eq!(old, new, "{:?}", place);
            }
        }
        document.keep_within(document_area);
        prop_assert_eq!(document.read(document_area.grown(TILE_PX)).len(),
            document_area.grown(TILE_PX).pixels() as usize * 4);
    }
}
