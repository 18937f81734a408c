//! Hints of small pictures.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;

fn picture(width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> Pixels {
    let mut rgba = Vec::new();
    for y in 0..height {
        for x in 0..width {
            rgba.extend(colour(x, y));
            rgba.push(255);
        }
    }
    Pixels::new(width, height, rgba).unwrap()
}

fn red(picture: &Pixels, x: u32, y: u32) -> u8 {
    picture.rgba[4 * (y * picture.width_px + x) as usize]
}

fn disc(x: u32, y: u32) -> [u8; 3] {
    let inside = (x as i32 - 32).pow(2) + (y as i32 - 32).pow(2) < 400;
    if inside { [230, 200, 40] } else { [20, 40, 90] }
}

#[test]
fn the_edge_of_a_disc_is_one_thin_ring() {
    let drawn = draw(HintKind::Canny, &picture(64, 64, disc));
    let mut ring = 0;
    for y in 0..64 {
        for x in 0..64 {
            let far = ((x as f32 - 32.0).hypot(y as f32 - 32.0) - 20.0).abs();
            match red(&drawn, x, y) {
                255 => {
                    assert!(far < 2.0, "an edge at {x}, {y}");
                    ring += 1;
                }
                value => assert_eq!(value, 0),
            }
        }
    }
    // A circle of radius 20 is 126 pixels round; one that is drawn by pixels has about 113 to 160.
    assert!((105..=165).contains(&ring), "{ring} pixels");
}

#[test]
fn edges_between_colours_of_one_brightness_are_seen() {
    // 0.299 · 200 = 0.587 · 102, so a grey picture of this has no edge.
    let colours = |x: u32, _: u32| if x < 16 { [200, 0, 0] } else { [0, 102, 0] };
    let drawn = draw(HintKind::Canny, &picture(32, 32, colours));
    assert!((0..32).all(|y| red(&drawn, 15, y) == 255 || red(&drawn, 16, y) == 255));
}

#[test]
fn faint_edges_are_drawn_only_where_they_go_on_from_strong_ones() {
    let faint = |x: u32, _: u32| if x < 16 { [100; 3] } else { [135; 3] };
    let drawn = draw(HintKind::Canny, &picture(32, 32, faint));
    assert!(drawn.rgba.chunks_exact(4).all(|pixel| pixel[0] == 0));
    let growing = |x: u32, y: u32| if x < 16 { [100; 3] } else { [(130 + 3 * y) as u8; 3] };
    let drawn = draw(HintKind::Canny, &picture(32, 32, growing));
    let lines = (0..32).filter(|y| red(&drawn, 15, *y) == 255 || red(&drawn, 16, *y) == 255);
    assert!(lines.count() >= 30);
}

#[test]
fn a_drawing_in_ink_becomes_white_lines_on_black() {
    let ink = |x: u32, y: u32| if (30..33).contains(&x) && y > 8 { [10; 3] } else { [250; 3] };
    let drawn = draw(HintKind::Scribble, &picture(64, 64, ink));
    assert_eq!(red(&drawn, 31, 40), 255);
    assert_eq!([red(&drawn, 10, 40), red(&drawn, 55, 40), red(&drawn, 31, 2)], [0; 3]);
}

#[test]
fn a_tile_keeps_colours_and_loses_detail_and_an_inverse_is_undone_by_itself() {
    let fine = picture(64, 64, |x, y| if (x + y) % 2 == 0 { [255; 3] } else { [0; 3] });
    let blurred = draw(HintKind::Tile, &fine);
    assert!(blurred.rgba.chunks_exact(4).all(|pixel| (120..=136).contains(&pixel[0])));
    let whole = picture(64, 64, disc);
    assert_ne!(draw(HintKind::Invert, &whole), whole);
    assert_eq!(draw(HintKind::Invert, &draw(HintKind::Invert, &whole)), whole);
    assert_eq!(draw(HintKind::None, &whole), whole);
}

#[test]
fn a_picture_of_another_shape_is_cut_in_the_middle_and_one_that_fits_stays() {
    let wide = picture(200, 50, |x, _| if (75..125).contains(&x) { [200; 3] } else { [10; 3] });
    let square = fit(&wide, 64, 64);
    assert_eq!((square.width_px, square.height_px), (64, 64));
    assert!(square.rgba.chunks_exact(4).all(|pixel| pixel[0] > 150), "the sides are cut off");
    assert_eq!(fit(&wide, 200, 50), wide);
    for (width, height) in [(1, 1), (8, 512), (300, 7)] {
        let fitted = fit(&wide, width, height);
        assert_eq!((fitted.width_px, fitted.height_px), (width, height));
    }
}
