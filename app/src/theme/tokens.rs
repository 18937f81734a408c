//! Every colour and size of the window.

use egui::{Color32, Theme};

/// Sizes in points.
pub mod size {
    /// Ordinary text.
    pub const TEXT: f32 = 13.0;
    /// Labels, hints and what stands beside things.
    pub const TEXT_SMALL: f32 = 11.5;
    /// What is written in the prompt.
    pub const TEXT_PROMPT: f32 = 14.0;
    /// Text that is read at length.
    pub const TEXT_READING: f32 = 14.5;
    /// Titles.
    pub const TEXT_TITLE: f32 = 20.0;
    /// Icons in buttons.
    pub const ICON: f32 = 17.0;
    /// Between things that belong together.
    pub const GAP: f32 = 8.0;
    /// Between a label and its field.
    pub const GAP_SMALL: f32 = 4.0;
    /// Between groups.
    pub const GAP_LARGE: f32 = 16.0;
    /// From a panel's edge to what is in it.
    pub const MARGIN: i8 = 14;
    /// Height of a control.
    pub const CONTROL: f32 = 28.0;
    /// Height of the button that generates.
    pub const CONTROL_LARGE: f32 = 40.0;
    /// Corners of controls.
    pub const RADIUS: u8 = 6;
    /// Corners of popups and cards.
    pub const RADIUS_LARGE: u8 = 10;
    /// Width of the left panel.
    pub const LEFT_PANEL: f32 = 304.0;
    /// Width of a panel with a list.
    pub const LIST_PANEL: f32 = 264.0;
    /// Width of the list of boards.
    pub const SHELF_PANEL: f32 = 208.0;
    /// Width of the panel that says what is known of a result.
    pub const DETAIL_PANEL: f32 = 276.0;
    /// Height of the top bar.
    pub const TOP_BAR: f32 = 44.0;
    /// Side of a thumbnail.
    pub const THUMBNAIL: f32 = 92.0;
    /// Thickness of the ring around what is chosen or focused.
    pub const RING: f32 = 2.0;
}

/// Holds the colours of one theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Whether it is dark.
    pub is_dark: bool,
    /// Behind the picture: neutral, so that colours can be judged.
    pub canvas: Color32,
    /// Panels.
    pub panel: Color32,
    /// Cards on a panel.
    pub raised: Color32,
    /// Popups and messages.
    pub popup: Color32,
    /// Text fields.
    pub field: Color32,
    /// Buttons at rest.
    pub control: Color32,
    /// Buttons under the pointer.
    pub control_hovered: Color32,
    /// Buttons while pressed.
    pub control_pressed: Color32,
    /// Lines between panels.
    pub line: Color32,
    /// Ordinary text.
    pub text: Color32,
    /// Text that stands out.
    pub text_strong: Color32,
    /// Labels and hints.
    pub text_weak: Color32,
    /// The one colour that calls.
    pub accent: Color32,
    /// The accent as a surface under white text.
    pub accent_fill: Color32,
    /// That surface under the pointer.
    pub accent_fill_hovered: Color32,
    /// The accent as a quiet surface.
    pub accent_soft: Color32,
    /// Text on the accent.
    pub on_accent: Color32,
    /// What needs attention.
    pub warning: Color32,
    /// What went wrong.
    pub error: Color32,
    /// What went well.
    pub done: Color32,
    /// Shadows.
    pub shadow: Color32,
    /// Over everything while a dialog asks.
    pub veil: Color32,
}

/// What lies on a picture, alike in both themes: pictures are neither dark nor light.
pub mod on_picture {
    use egui::Color32;

    /// Lines and text.
    pub const INK: Color32 = Color32::WHITE;
    /// The ground of text.
    pub const GROUND: Color32 = Color32::from_black_alpha(150);
    /// The edge that parts a line from a picture of its colour.
    pub const EDGE: Color32 = Color32::from_black_alpha(90);
}

const fn grey(value: u8) -> Color32 {
    Color32::from_gray(value)
}

/// The dark colours.
pub const DARK: Palette = Palette {
    is_dark: true,
    canvas: grey(0x19),
    panel: grey(0x22),
    raised: grey(0x2a),
    popup: grey(0x2a),
    field: grey(0x1a),
    control: grey(0x32),
    control_hovered: grey(0x3c),
    control_pressed: grey(0x46),
    line: grey(0x2f),
    text: grey(0xd6),
    text_strong: grey(0xf5),
    text_weak: grey(0x98),
    accent: Color32::from_rgb(0x8a, 0xa2, 0xff),
    accent_fill: Color32::from_rgb(0x46, 0x61, 0xe6),
    accent_fill_hovered: Color32::from_rgb(0x55, 0x70, 0xf2),
    accent_soft: Color32::from_rgb(0x2e, 0x38, 0x66),
    on_accent: Color32::WHITE,
    warning: Color32::from_rgb(0xe3, 0xb3, 0x57),
    error: Color32::from_rgb(0xf0, 0x76, 0x6c),
    done: Color32::from_rgb(0x6f, 0xc2, 0x8e),
    shadow: Color32::from_black_alpha(110),
    veil: Color32::from_black_alpha(110),
};

/// The light colours.
pub const LIGHT: Palette = Palette {
    is_dark: false,
    canvas: grey(0xed),
    panel: grey(0xf6),
    raised: grey(0xff),
    popup: grey(0xff),
    field: grey(0xff),
    control: grey(0xe1),
    control_hovered: grey(0xd7),
    control_pressed: grey(0xcb),
    line: grey(0xd9),
    text: grey(0x2c),
    text_strong: grey(0x0e),
    text_weak: grey(0x65),
    accent: Color32::from_rgb(0x32, 0x4c, 0xd2),
    accent_fill: Color32::from_rgb(0x3d, 0x58, 0xdc),
    accent_fill_hovered: Color32::from_rgb(0x32, 0x4c, 0xd2),
    accent_soft: Color32::from_rgb(0xd5, 0xdc, 0xfb),
    on_accent: Color32::WHITE,
    warning: Color32::from_rgb(0x92, 0x62, 0x08),
    error: Color32::from_rgb(0xbc, 0x32, 0x26),
    done: Color32::from_rgb(0x1f, 0x7d, 0x48),
    shadow: Color32::from_black_alpha(40),
    veil: Color32::from_black_alpha(60),
};

/// Colours that tell the voices of a piece apart, on dark and on light surfaces.
///
/// # Source
/// Hues of Okabe and Ito's set, which colour-blind people can tell apart, with the lightness
/// changed so that each stands out on its surface.
const VOICES: [(Color32, Color32); 4] = [
    (Color32::from_rgb(0x6c, 0xb6, 0xf2), Color32::from_rgb(0x00, 0x6a, 0xb0)),
    (Color32::from_rgb(0xf0, 0xa8, 0x3c), Color32::from_rgb(0xb5, 0x66, 0x00)),
    (Color32::from_rgb(0x4f, 0xc9, 0xa0), Color32::from_rgb(0x00, 0x7a, 0x57)),
    (Color32::from_rgb(0xe0, 0x92, 0xc4), Color32::from_rgb(0xa6, 0x4a, 0x86)),
];

/// Returns the colour of the n-th voice of a piece.
pub fn voice_colour(voice: usize, is_dark: bool) -> Color32 {
    let (dark, light) = VOICES[voice % VOICES.len()];
    if is_dark { dark } else { light }
}

/// Colours of a spectrogram from silence to full scale, on dark and on light surfaces: the field, then
/// the accent, then what stands out most.
const SPECTRUM: [[Color32; 5]; 2] = [
    [
        DARK.field,
        Color32::from_rgb(0x27, 0x2c, 0x52),
        Color32::from_rgb(0x46, 0x61, 0xe6),
        Color32::from_rgb(0x9d, 0xb2, 0xff),
        Color32::from_rgb(0xff, 0xf4, 0xd6),
    ],
    [
        LIGHT.field,
        Color32::from_rgb(0xd5, 0xdc, 0xfb),
        Color32::from_rgb(0x7d, 0x93, 0xf2),
        Color32::from_rgb(0x32, 0x4c, 0xd2),
        Color32::from_rgb(0x12, 0x1a, 0x44),
    ],
];

/// Returns the colour of an opaque pixel of a picture: red, green, blue.
pub fn pixel_colour([r, g, b]: [u8; 3]) -> Color32 {
    Color32::from_rgb(r, g, b)
}

/// Returns the colour of a pixel of a picture whose red, green and blue are times its alpha already.
pub fn premultiplied_colour([r, g, b, alpha]: [u8; 4]) -> Color32 {
    Color32::from_rgba_premultiplied(r, g, b, alpha)
}

/// The veil over what a mask covers: red, green, blue.
pub const MASK_VEIL: [u8; 3] = [236, 64, 122];

/// Returns the colour of a level in a spectrogram, 0 (silence) to 1.
pub fn spectrum_colour(level: f32, is_dark: bool) -> Color32 {
    let stops = &SPECTRUM[usize::from(!is_dark)];
    let place = level.clamp(0.0, 1.0) * (stops.len() - 1) as f32;
    let stop = (place as usize).min(stops.len() - 2);
    stops[stop].lerp_to_gamma(stops[stop + 1], place - stop as f32)
}

/// Returns the colours of a theme.
pub fn of(theme: Theme) -> &'static Palette {
    match theme {
        Theme::Dark => &DARK,
        Theme::Light => &LIGHT,
    }
}

/// Returns the colours that a `ui` is drawn in.
pub fn palette(ui: &egui::Ui) -> &'static Palette {
    if ui.visuals().dark_mode { &DARK } else { &LIGHT }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the contrast of two colours, 1 to 21.
    ///
    /// # Source
    /// WCAG 2.2, relative luminance and contrast ratio.
    fn contrast(a: Color32, b: Color32) -> f32 {
        let luminance = |colour: Color32| {
            let linear = egui::Rgba::from(colour);
            0.2126 * linear.r() + 0.7152 * linear.g() + 0.0722 * linear.b()
        };
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn text_can_be_read_on_every_surface_of_both_themes() {
        for colours in [DARK, LIGHT] {
            for surface in
                [colours.panel, colours.raised, colours.popup, colours.field, colours.canvas]
            {
                for text in [colours.text, colours.text_strong, colours.text_weak] {
                    assert!(contrast(text, surface) >= 4.5, "{text:?} on {surface:?}");
                }
            }
            for text in [colours.accent, colours.warning, colours.error, colours.done] {
                assert!(contrast(text, colours.popup) >= 4.5, "{text:?} on a popup");
            }
            assert!(contrast(colours.text, colours.control_hovered) >= 4.5);
            assert!(contrast(colours.on_accent, colours.accent_fill) >= 4.5);
            for voice in 0..VOICES.len() {
                // The least for parts of a drawing.
                assert!(contrast(voice_colour(voice, colours.is_dark), colours.field) >= 3.0);
            }
            assert!(contrast(colours.text_strong, colours.accent_soft) >= 4.5);
        }
    }
}
