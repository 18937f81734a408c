//! The fonts that are bundled, see `assets/fonts/README.md`.

use std::sync::Arc;

use egui::{FontData, FontDefinitions, FontFamily, FontId};

/// Says how heavy a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Ordinary text.
    Regular,
    /// Buttons and labels that stand out.
    Medium,
    /// Titles.
    SemiBold,
}

impl Weight {
    /// Returns the font of this weight, `size_pt` points high.
    pub fn font(self, size_pt: f32) -> FontId {
        FontId::new(size_pt, self.family())
    }

    fn family(self) -> FontFamily {
        match self {
            Self::Regular => FontFamily::Proportional,
            Self::Medium => FontFamily::Name("medium".into()),
            Self::SemiBold => FontFamily::Name("semibold".into()),
        }
    }
}

/// Gives the bundled fonts to a context. Characters that none of them has come from the system.
pub fn install(ctx: &egui::Context) {
    let mut fonts = FontDefinitions::empty();
    let bundled: [(&str, &'static [u8]); 5] = [
        ("inter", include_bytes!("../../../assets/fonts/Inter-Regular.otf")),
        ("inter-medium", include_bytes!("../../../assets/fonts/Inter-Medium.otf")),
        ("inter-semibold", include_bytes!("../../../assets/fonts/Inter-SemiBold.otf")),
        ("noto-sans-sc", include_bytes!("../../../assets/fonts/NotoSansSC-Regular.otf")),
        ("phosphor", include_bytes!("../../../assets/icons/Phosphor-Regular.ttf")),
    ];
    for (name, bytes) in bundled {
        let mut data = FontData::from_static(bytes);
        if name == "phosphor" {
            // Phosphor's glyphs stand on the baseline as tall as capitals; icons are centred.
            data.tweak.y_offset_factor = 0.04;
        }
        fonts.font_data.insert(name.to_owned(), Arc::new(data));
    }
    for (family, first) in [
        (FontFamily::Proportional, "inter"),
        (FontFamily::Monospace, "inter"),
        (Weight::Medium.family(), "inter-medium"),
        (Weight::SemiBold.family(), "inter-semibold"),
    ] {
        let names = [first, "noto-sans-sc", "phosphor"].map(str::to_owned);
        fonts.families.insert(family, names.into());
    }
    ctx.set_fonts(fonts);
}
