//! What the window offers to do, and the user may refuse.

use atelier_engine::protocol::{NoiseSource, PictureRequest, Request};

/// Holds a request that an earlier run of the program did not finish.
#[derive(Debug, Clone, PartialEq)]
pub struct Unfinished {
    /// Its key among the pending requests.
    pub key: String,
    /// What was asked for.
    pub request: Request,
}

/// Holds a recipe that was read from a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct RecipeOffer {
    /// The name of the picture's file.
    pub file_name: String,
    /// The recipe.
    pub recipe: PictureRequest,
    /// Whether it comes from another program, so that the picture will differ.
    pub foreign: bool,
    /// What it asks for that is not done unasked.
    pub claims: Vec<RecipeClaim>,
}

/// Is something that a recipe of somebody else asks for and the window does not do: it never opens
/// a place on this computer because a picture says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecipeClaim {
    /// It names a model by a path.
    ModelPath(String),
    /// It names a model that is not the one that paints here.
    OtherModel(String),
    /// It takes its noise from a file.
    NoiseFile(String),
    /// It uses files beside the model: LoRAs, pictures that guide.
    Files(String),
}

impl RecipeClaim {
    /// Lists what a recipe asks for beyond the model called `own`.
    pub fn of(recipe: &PictureRequest, own: &str) -> Vec<Self> {
        let name = &recipe.model.name;
        let is_path = name.contains(['/', '\\', ':']) || name.starts_with(['.', '~']);
        let model = match name.as_str() {
            name if name == own || name.trim().is_empty() => None,
            name if is_path => Some(Self::ModelPath(shown(name))),
            name => Some(Self::OtherModel(shown(name))),
        };
        let noise = match &recipe.noise {
            NoiseSource::Seed => None,
            NoiseSource::File(path) => Some(Self::NoiseFile(shown(&path.to_string_lossy()))),
        };
        let files = recipe.extras.files();
        let files = (!files.is_empty()).then(|| Self::Files(shown(&files.join(", "))));
        model.into_iter().chain(noise).chain(files).collect()
    }
}

/// How much of a name is shown, in characters.
const SHOWN_CHARS: usize = 160;

/// Returns a name of somebody else as it can be shown: on one line, without signs that change the
/// direction of writing, its end kept where it is too long.
fn shown(name: &str) -> String {
    let is_sly = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let plain: Vec<char> = name.chars().map(|c| if is_sly(c) { '?' } else { c }).collect();
    if plain.len() <= SHOWN_CHARS {
        return plain.into_iter().collect();
    }
    let half = SHOWN_CHARS / 2;
    let (start, end) = (&plain[..half], &plain[plain.len() - half..]);
    format!("{}…{}", start.iter().collect::<String>(), end.iter().collect::<String>())
}

/// Holds the offers.
#[derive(Debug, Clone, Default)]
pub struct OffersState {
    /// Requests of an earlier run.
    pub unfinished: Vec<Unfinished>,
    /// The recipe of a dropped picture.
    pub recipe: Option<RecipeOffer>,
}
