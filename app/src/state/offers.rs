//! What the window offers to do, and the user may refuse.

use atelier_engine::protocol::{PictureRequest, Request};

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
}

/// Holds the offers.
#[derive(Debug, Clone, Default)]
pub struct OffersState {
    /// Requests of an earlier run.
    pub unfinished: Vec<Unfinished>,
    /// The recipe of a dropped picture.
    pub recipe: Option<RecipeOffer>,
}
