//! Pictures as PNG files that carry the recipe they were made with, and recipes out of PNG files
//! whoever made them.
//!
//! A picture of ours has four texts before its pixels: `atelier` (the request as JSON, complete),
//! `parameters` (for other programs, see [`ForeignRecipe`]), `Copyright` (the model's licence) and
//! `Software`.

mod chunks;
mod parameters;
mod pixels;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::protocol::{EnlargeRequest, PictureRequest, Pixels, Request, Size};

use chunks::{Chunks, MAX_TEXT_BYTES, Text};
pub use parameters::ForeignRecipe;
pub(super) use pixels::decode_named;
pub use pixels::{decode, decode_file};

/// Caps a file that is read whole.
const MAX_FILE_BYTES: u64 = 512 << 20;

/// Stands for the path in an error about bytes that came without one.
const NO_PATH: &str = "picture without a file name";

const RECIPE_KEYWORD: &str = "atelier";
const PARAMETERS_KEYWORD: &str = "parameters";
const LICENCE_KEYWORD: &str = "Copyright";

/// Texts that are read; others are passed over unopened.
const KEYWORDS: [&str; 10] = [
    RECIPE_KEYWORD,
    PARAMETERS_KEYWORD,
    LICENCE_KEYWORD,
    "Software",
    "prompt",
    "workflow",
    "Dream",
    "sd-metadata",
    "invokeai_metadata",
    "Comment",
];

/// Names the program that wrote a picture's recipe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecipeSource {
    /// This program.
    Atelier,
    /// AUTOMATIC1111's web UI, or one that writes as it does.
    Automatic1111,
    /// ComfyUI; its graph is not understood.
    ComfyUi,
    /// Fooocus; its settings are not understood.
    Fooocus,
    /// InvokeAI; its settings are not understood.
    InvokeAi,
    /// NovelAI; its settings are not understood.
    NovelAi,
    /// No recipe was found.
    #[default]
    None,
}

impl RecipeSource {
    /// Returns the program's name; `none` when no recipe was found.
    pub fn label(self) -> &'static str {
        match self {
            Self::Atelier => "Atelier",
            Self::Automatic1111 => "AUTOMATIC1111",
            Self::ComfyUi => "ComfyUI",
            Self::Fooocus => "Fooocus",
            Self::InvokeAi => "InvokeAI",
            Self::NovelAi => "NovelAI",
            Self::None => "none",
        }
    }
}

/// Holds what a picture says about its making.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundRecipe {
    /// Who wrote it.
    pub source: RecipeSource,
    /// The complete request, when the picture is ours; of an enlarged picture, that of the one which
    /// was enlarged.
    pub request: Option<PictureRequest>,
    /// How it was enlarged, when the picture is ours and was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enlargement: Option<EnlargeRequest>,
    /// The settings, when the picture has `parameters` and is not ours.
    pub foreign: Option<ForeignRecipe>,
    /// The recipe as it stands in the file, to be shown; empty when there is none.
    pub text: String,
    /// The licence that the picture names.
    pub licence: Option<String>,
    /// The size of the picture itself.
    pub size: Size,
}

/// Encodes a picture with its recipe and its licence; the same input gives the same bytes.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when the request could not be read back (a guidance that is not
/// a number, an absurd size) or the pixels do not fit their size.
pub fn encode(
    pixels: &Pixels,
    request: &PictureRequest,
    licence: &str,
) -> Result<Vec<u8>, EngineError> {
    check(request).map_err(|(setting, reason)| EngineError::invalid(setting, reason))?;
    let recipe = serde_json::to_string(&Request::Picture(Box::new(request.clone())))
        .map_err(|error| EngineError::invalid("recipe", format!("cannot be written: {error}")))?;
    encode_texts(pixels, recipe, parameters::write(request), licence)
}

/// Encodes an enlarged picture with its recipe, within which stands that of the picture it was made from.
///
/// # Errors
/// As [`encode`].
pub fn encode_enlarged(
    pixels: &Pixels,
    request: &EnlargeRequest,
    licence: &str,
) -> Result<Vec<u8>, EngineError> {
    check_enlarged(request).map_err(|(setting, reason)| EngineError::invalid(setting, reason))?;
    let recipe = serde_json::to_string(&Request::Enlarge(Box::new(request.clone())))
        .map_err(|error| EngineError::invalid("recipe", format!("cannot be written: {error}")))?;
    encode_texts(pixels, recipe, parameters::write_enlarged(request), licence)
}

fn encode_texts(
    pixels: &Pixels,
    recipe: String,
    parameters: String,
    licence: &str,
) -> Result<Vec<u8>, EngineError> {
    let software = concat!("Atelier ", env!("CARGO_PKG_VERSION")).to_owned();
    pixels::encode(
        pixels,
        &[
            (RECIPE_KEYWORD, recipe),
            (PARAMETERS_KEYWORD, parameters),
            (LICENCE_KEYWORD, licence.to_owned()),
            ("Software", software),
        ],
    )
}

/// Encodes a picture without a recipe.
///
/// # Errors
/// [`EngineError::InvalidSetting`] when the pixels do not fit their size.
pub fn encode_plain(pixels: &Pixels) -> Result<Vec<u8>, EngineError> {
    pixels::encode(pixels, &[])
}

/// Reads the recipe in the bytes of a PNG file: ours first, then `parameters`; of other programs it
/// says who they are. No recipe is no error: the source is then [`RecipeSource::None`].
///
/// Memory stays below the size of the file and a few MiB, whatever the file claims.
///
/// # Errors
/// [`EngineError::Damaged`] when the bytes are not a whole PNG file, or hold a recipe of ours with
/// values that no request can have.
pub fn read_recipe(bytes: &[u8]) -> Result<FoundRecipe, EngineError> {
    find_recipe(bytes).map_err(|reason| EngineError::damaged(NO_PATH, reason))
}

/// Reads the recipe in a PNG file, as [`read_recipe`] does.
///
/// # Errors
/// [`EngineError::Io`] when the file cannot be read, else as [`read_recipe`].
pub fn read_recipe_file(path: &Path) -> Result<FoundRecipe, EngineError> {
    let bytes = read_file(path)?;
    find_recipe(&bytes).map_err(|reason| EngineError::damaged(path, reason))
}

/// Reads a picture file's bytes, refusing one that is too large to be a picture.
///
/// # Errors
/// [`EngineError::Io`] or [`EngineError::Damaged`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, EngineError> {
    let refused = |error: std::io::Error| EngineError::io("read the picture", path, &error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(refused)?;
    // The cap, not the file's own word, bounds the memory: a pipe or a device has no length.
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(EngineError::damaged(path, "is too large to be a picture"));
    }
    Ok(bytes)
}

/// Holds what a PNG file says beside its pixels.
pub(super) struct PngTexts<'a> {
    /// The size in its header.
    pub size: Size,
    /// Whether its pixels have transparency.
    pub has_alpha: bool,
    /// Keyword and text; why a text cannot be read is the rest of a sentence about it.
    pub texts: Vec<(String, Result<String, String>)>,
    /// The block of EXIF.
    pub exif: Option<&'a [u8]>,
}

/// Reads the texts of some keywords, the first of each, unpacking at most `most` bytes of one.
pub(super) fn texts<'a>(
    bytes: &'a [u8],
    keywords: &[&str],
    most: usize,
) -> Result<PngTexts<'a>, String> {
    let mut size = None;
    let mut found = PngTexts {
        size: Size { width_px: 0, height_px: 0 },
        has_alpha: false,
        texts: Vec::new(),
        exif: None,
    };
    for chunk in Chunks::new(bytes)? {
        let chunk = chunk?;
        if size.is_none() {
            size = Some(pixels::size_in_header(&chunk)?);
            // PNG specification, 11.2.1: colour types 4 and 6 have an alpha channel.
            found.has_alpha = matches!(chunk.data.get(9), Some(4 | 6));
        }
        if chunk.kind == *b"eXIf" && found.exif.is_none() {
            found.exif = Some(chunk.data);
        }
        let Some(keyword) = chunks::keyword_of(&chunk) else { continue };
        let is_new = found.texts.iter().all(|(known, _)| known != keyword);
        if is_new && keywords.contains(&keyword) {
            let text = match chunks::text_of(&chunk, most) {
                Ok(Text::Whole(text)) => Ok(text),
                Ok(Text::TooLong) => Err("is too long to be read".to_owned()),
                Err(_) => Err("is broken".to_owned()),
            };
            found.texts.push((keyword.to_owned(), text));
        }
    }
    found.size = size.ok_or("is a PNG picture without a header")?;
    Ok(found)
}

fn find_recipe(bytes: &[u8]) -> Result<FoundRecipe, String> {
    let mut size = None;
    let mut texts: Vec<(&str, Text)> = Vec::new();
    for chunk in Chunks::new(bytes)? {
        let chunk = chunk?;
        if size.is_none() {
            size = Some(pixels::size_in_header(&chunk)?);
        }
        let Some(keyword) = chunks::keyword_of(&chunk) else { continue };
        // The first of a kind counts; so the number of texts is bounded too.
        if KEYWORDS.contains(&keyword) && texts.iter().all(|(known, _)| *known != keyword) {
            match chunks::text_of(&chunk, MAX_TEXT_BYTES) {
                Ok(text) => texts.push((keyword, text)),
                // A text that nobody needs may be broken; a recipe may not.
                Err(reason) if is_recipe(keyword) => return Err(reason),
                Err(_) => {}
            }
        }
    }
    let size = size.ok_or("is a PNG picture without a header")?;
    let has = |keyword: &str| texts.iter().any(|(known, _)| *known == keyword);
    let text = |keyword: &str| {
        texts.iter().find(|(known, _)| *known == keyword).and_then(|(_, text)| match text {
            Text::Whole(text) => Some(text.clone()),
            Text::TooLong => None,
        })
    };
    for keyword in [RECIPE_KEYWORD, PARAMETERS_KEYWORD] {
        if has(keyword) && text(keyword).is_none() {
            return Err("is a PNG picture whose recipe is too long".to_owned());
        }
    }
    let mut found = FoundRecipe {
        source: RecipeSource::None,
        request: None,
        enlargement: None,
        foreign: None,
        text: String::new(),
        licence: text(LICENCE_KEYWORD),
        size,
    };
    if let Some(json) = text(RECIPE_KEYWORD) {
        found.source = RecipeSource::Atelier;
        (found.request, found.enlargement) = parse_request(&json)?;
        found.text = text(PARAMETERS_KEYWORD).unwrap_or(json);
    } else if let Some(parameters) = text(PARAMETERS_KEYWORD) {
        if parameters.starts_with('{') {
            found.source = RecipeSource::Fooocus;
        } else {
            found.source = RecipeSource::Automatic1111;
            found.foreign = Some(parameters::read(&parameters));
        }
        found.text = parameters;
    } else if has("prompt") || has("workflow") {
        found.source = RecipeSource::ComfyUi;
        found.text = text("prompt").or(text("workflow")).unwrap_or_default();
    } else if has("Dream") || has("sd-metadata") || has("invokeai_metadata") {
        found.source = RecipeSource::InvokeAi;
        found.text =
            text("Dream").or(text("sd-metadata")).or(text("invokeai_metadata")).unwrap_or_default();
    } else if text("Software").is_some_and(|software| software == "NovelAI") {
        found.source = RecipeSource::NovelAi;
        found.text = text("Comment").unwrap_or_default();
    }
    Ok(found)
}

fn is_recipe(keyword: &str) -> bool {
    keyword == RECIPE_KEYWORD || keyword == PARAMETERS_KEYWORD
}

/// Reads the request that a picture was painted with, and how it was then enlarged.
fn parse_request(json: &str) -> Result<(Option<PictureRequest>, Option<EnlargeRequest>), String> {
    // What serde says may quote the file at any length.
    let unreadable = |error: serde_json::Error| {
        let said: String = error.to_string().chars().take(120).collect();
        format!("holds a recipe that cannot be read ({said})")
    };
    let wrong = |(what, reason): (&str, &str)| format!("holds a recipe whose {what} {reason}");
    match serde_json::from_str(json).map_err(unreadable)? {
        Request::Picture(request) => {
            check(&request).map_err(wrong)?;
            Ok((Some(*request), None))
        }
        Request::Enlarge(request) => {
            check_enlarged(&request).map_err(wrong)?;
            Ok((request.painted().cloned(), Some(*request)))
        }
        _ => Err("holds a recipe that is not one of a picture".to_owned()),
    }
}

/// Does for an enlarged picture what [`check`] does for a painted one.
fn check_enlarged(request: &EnlargeRequest) -> Result<(), (&'static str, &'static str)> {
    if !(1.0..=16.0).contains(&request.factor) {
        return Err(("factor", "is not between 1 and 16"));
    }
    match request.source.as_deref() {
        None => Ok(()),
        Some(Request::Picture(request)) => check(request),
        Some(Request::Enlarge(request)) => check_enlarged(request),
        Some(_) => Err(("source", "is no picture")),
    }
}

/// Checks the numbers of a request against the ranges that its fields document, so that no
/// stranger's file puts something absurd into the program.
pub(super) fn check(request: &PictureRequest) -> Result<(), (&'static str, &'static str)> {
    let sampling = &request.sampling;
    let in_range = |px: u32| (1..=16_384).contains(&px);
    if !(1..=150).contains(&sampling.steps) {
        Err(("steps", "are not between 1 and 150"))
    } else if !(0.0..=30.0).contains(&sampling.guidance) {
        Err(("guidance", "is not between 0 and 30"))
    } else if !in_range(request.size.width_px) || !in_range(request.size.height_px) {
        Err(("size", "is not between 1 and 16384 pixels"))
    } else if !(1..=10_000).contains(&request.count) {
        Err(("count", "is not between 1 and 10000"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
