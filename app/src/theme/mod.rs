//! How the window looks. Colours, sizes, fonts and icons come from here and from nowhere else.

mod app_icon;
mod fonts;
pub mod icons;
pub mod tokens;

use egui::style::{Selection, WidgetVisuals, Widgets};
use egui::{
    Color32, CornerRadius, Margin, Shadow, Stroke, TextStyle, Theme, ThemePreference, vec2,
};

pub use app_icon::app_icon;
pub use fonts::{Weight, install as install_fonts};
pub use tokens::{
    MASK_VEIL, Palette, on_picture, palette, pixel_colour, premultiplied_colour, size,
    spectrum_colour, voice_colour,
};

use crate::state::ThemeChoice;

/// Applies fonts, colours and sizes to a context, once.
pub fn install(ctx: &egui::Context) {
    install_fonts(ctx);
    for theme in [Theme::Dark, Theme::Light] {
        ctx.style_mut_of(theme, |style| restyle(style, tokens::of(theme)));
    }
}

/// Chooses the colours and the scale.
pub fn apply(ctx: &egui::Context, theme: ThemeChoice, scale_percent: u32) {
    ctx.set_theme(match theme {
        ThemeChoice::System => ThemePreference::System,
        ThemeChoice::Light => ThemePreference::Light,
        ThemeChoice::Dark => ThemePreference::Dark,
    });
    ctx.set_zoom_factor(scale_percent as f32 / 100.0);
}

fn widget(fill: Color32, stroke: Color32, text: Color32) -> WidgetVisuals {
    WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, stroke),
        corner_radius: CornerRadius::same(size::RADIUS),
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    }
}

fn restyle(style: &mut egui::Style, colours: &Palette) {
    style.text_styles = [
        (TextStyle::Heading, Weight::SemiBold.font(size::TEXT_TITLE)),
        (TextStyle::Body, Weight::Regular.font(size::TEXT)),
        (TextStyle::Button, Weight::Medium.font(size::TEXT)),
        (TextStyle::Small, Weight::Regular.font(size::TEXT_SMALL)),
        (TextStyle::Monospace, Weight::Regular.font(size::TEXT)),
    ]
    .into();
    style.drag_value_text_style = TextStyle::Body;
    style.animation_time = 0.1;

    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(size::GAP, size::GAP);
    spacing.button_padding = vec2(10.0, 5.0);
    spacing.interact_size = vec2(size::CONTROL, size::CONTROL);
    spacing.menu_margin = Margin::same(6);
    spacing.slider_rail_height = 4.0;
    spacing.combo_width = 100.0;
    spacing.icon_width = 16.0;
    spacing.scroll.bar_width = 6.0;
    spacing.scroll.floating_width = 4.0;
    spacing.scroll.floating_allocated_width = 0.0;
    spacing.tooltip_width = 320.0;

    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.4;

    let visuals = &mut style.visuals;
    visuals.dark_mode = colours.is_dark;
    visuals.override_text_color = None;
    visuals.weak_text_color = Some(colours.text_weak);
    visuals.hyperlink_color = colours.accent;
    visuals.faint_bg_color = colours.raised;
    visuals.extreme_bg_color = colours.field;
    visuals.text_edit_bg_color = Some(colours.field);
    visuals.code_bg_color = colours.raised;
    visuals.warn_fg_color = colours.warning;
    visuals.error_fg_color = colours.error;
    visuals.window_corner_radius = CornerRadius::same(size::RADIUS_LARGE);
    visuals.menu_corner_radius = CornerRadius::same(size::RADIUS_LARGE);
    visuals.window_fill = colours.popup;
    visuals.window_stroke = Stroke::new(1.0, colours.line);
    visuals.panel_fill = colours.panel;
    let shadow = Shadow { offset: [0, 6], blur: 20, spread: 0, color: colours.shadow };
    visuals.window_shadow = shadow;
    visuals.popup_shadow = shadow;
    visuals.slider_trailing_fill = true;
    visuals.handle_shape = egui::style::HandleShape::Circle;
    visuals.interact_cursor = None;
    visuals.disabled_alpha = 0.45;
    visuals.selection =
        Selection { bg_fill: colours.accent_soft, stroke: Stroke::new(1.0, colours.accent) };
    visuals.text_cursor.stroke = Stroke::new(1.5, colours.accent);
    visuals.widgets = Widgets {
        noninteractive: WidgetVisuals {
            bg_fill: colours.panel,
            weak_bg_fill: colours.panel,
            bg_stroke: Stroke::new(1.0, colours.line),
            corner_radius: CornerRadius::same(size::RADIUS),
            fg_stroke: Stroke::new(1.0, colours.text),
            expansion: 0.0,
        },
        inactive: widget(colours.control, Color32::TRANSPARENT, colours.text),
        hovered: widget(colours.control_hovered, Color32::TRANSPARENT, colours.text_strong),
        active: widget(colours.control_pressed, Color32::TRANSPARENT, colours.text_strong),
        open: widget(colours.control_hovered, Color32::TRANSPARENT, colours.text_strong),
    };
}
