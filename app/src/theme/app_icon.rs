//! The program's own icon, drawn here so that no file has to be decoded at the start.

use super::tokens::DARK;

/// The side of the icon in pixels.
const SIDE_PX: u32 = 64;

/// Returns how much of a pixel a shape covers whose edge is `distance_px` away, inside positive.
fn cover(distance_px: f32) -> f32 {
    (distance_px + 0.5).clamp(0.0, 1.0)
}

/// Draws the icon: a four-pointed star on a rounded square in the accent.
pub fn app_icon() -> egui::IconData {
    let half = SIDE_PX as f32 / 2.0;
    let mut rgba = Vec::with_capacity((SIDE_PX * SIDE_PX * 4) as usize);
    for index in 0..SIDE_PX * SIDE_PX {
        let x = (index % SIDE_PX) as f32 + 0.5 - half;
        let y = (index / SIDE_PX) as f32 + 0.5 - half;
        let corner = 15.0;
        let reach = half - 3.0 - corner;
        let outside = (x.abs() - reach).max(0.0).hypot((y.abs() - reach).max(0.0));
        let square = cover(corner - outside);
        // |x|^p + |y|^p = r^p with p below 1 has four points.
        let (p, radius) = (0.62, 22.0);
        let star = cover(radius - (x.abs().powf(p) + y.abs().powf(p)).powf(1.0 / p));
        let mix = |ground: u8, ink: u8| {
            let (ground, ink) = (f32::from(ground), f32::from(ink));
            (ground + (ink - ground) * star).round() as u8
        };
        let (ground, ink) = (DARK.accent_fill, DARK.on_accent);
        rgba.extend([
            mix(ground.r(), ink.r()),
            mix(ground.g(), ink.g()),
            mix(ground.b(), ink.b()),
            (square * 255.0).round() as u8,
        ]);
    }
    egui::IconData { rgba, width: SIDE_PX, height: SIDE_PX }
}
