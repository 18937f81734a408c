//! Names of the glyphs of the icon font. Only these are in the font that is bundled: a new name
//! here means running `assets/fonts/make_fonts.py` once more.
//!
//! # Source
//! Phosphor Icons 2.1.2, regular weight.

/// Makes a picture.
pub const SPARKLE: &str = "\u{e6a2}";
/// Throws a new seed.
pub const DICE: &str = "\u{e1ee}";
/// Keeps the seed.
pub const LOCK: &str = "\u{e2fa}";
/// Lets the seed change.
pub const LOCK_OPEN: &str = "\u{e306}";
/// Opens what is below.
pub const CARET_DOWN: &str = "\u{e136}";
/// Opens what is beside.
pub const CARET_RIGHT: &str = "\u{e13a}";
/// Closes.
pub const X: &str = "\u{e4f6}";
/// Ends the running job.
pub const STOP: &str = "\u{e46c}";
/// Moves to the trash.
pub const TRASH: &str = "\u{e4a6}";
/// Enlarges.
pub const ZOOM_IN: &str = "\u{e310}";
/// Makes smaller.
pub const ZOOM_OUT: &str = "\u{e30e}";
/// Fits into the window.
pub const FIT: &str = "\u{e626}";
/// Compares two pictures.
pub const COMPARE: &str = "\u{e870}";
/// Saves under another name.
pub const SAVE: &str = "\u{e248}";
/// Copies.
pub const COPY: &str = "\u{e1ca}";
/// Opens a folder.
pub const FOLDER: &str = "\u{e256}";
/// Settings.
pub const GEAR: &str = "\u{e270}";
/// Light colours.
pub const SUN: &str = "\u{e472}";
/// Dark colours.
pub const MOON: &str = "\u{e330}";
/// Language.
pub const TRANSLATE: &str = "\u{e4a2}";
/// A processor.
pub const CPU: &str = "\u{e610}";
/// A graphics card.
pub const GPU: &str = "\u{e612}";
/// What waits.
pub const QUEUE: &str = "\u{e6ac}";
/// Moves up.
pub const ARROW_UP: &str = "\u{e08e}";
/// Moves down.
pub const ARROW_DOWN: &str = "\u{e03e}";
/// Something to know.
pub const INFO: &str = "\u{e2ce}";
/// Something went wrong.
pub const WARNING: &str = "\u{e4e0}";
/// Done.
pub const CHECK: &str = "\u{e182}";
/// Done, as a message.
pub const CHECK_CIRCLE: &str = "\u{e184}";
/// One more.
pub const PLUS: &str = "\u{e3d4}";
/// One less.
pub const MINUS: &str = "\u{e32a}";
/// Commands by name.
pub const COMMAND: &str = "\u{e1c4}";
/// The place of the data.
pub const DRIVE: &str = "\u{e2a0}";
/// Uses the settings again.
pub const REUSE: &str = "\u{e094}";
/// The pictures room.
pub const IMAGE: &str = "\u{e2ca}";
/// The words room.
pub const WORDS: &str = "\u{e17a}";
/// The sound room.
pub const MUSIC: &str = "\u{e340}";
/// The library room.
pub const LIBRARY: &str = "\u{e464}";
/// A favourite.
pub const HEART: &str = "\u{e2a8}";
/// Stars.
pub const STAR: &str = "\u{e46a}";
/// A tag.
pub const TAG: &str = "\u{e478}";
/// A board.
pub const BOARD: &str = "\u{e836}";
/// Days.
pub const CALENDAR: &str = "\u{e10a}";
/// Takes pictures in.
pub const IMPORT: &str = "\u{e20c}";
/// Edits.
pub const EDIT: &str = "\u{e3b4}";
/// Makes again.
pub const REDO: &str = "\u{e036}";
/// Goes to the one before.
pub const CARET_LEFT: &str = "\u{e138}";
/// Searches.
pub const SEARCH: &str = "\u{e30c}";
/// Sends.
pub const SEND: &str = "\u{e396}";
/// A language model.
pub const WRITER: &str = "\u{e3ac}";
/// Takes back.
pub const UNDO: &str = "\u{e08a}";
/// Goes on from here.
pub const GO_ON: &str = "\u{e01a}";
/// Says more.
pub const EXPAND: &str = "\u{e6b6}";
/// Settings of what is at hand.
pub const SLIDERS: &str = "\u{e434}";
/// A surprise.
pub const SHUFFLE: &str = "\u{e422}";
/// Begins something new.
pub const NEW_NOTE: &str = "\u{e34c}";
/// Plays.
pub const PLAY: &str = "\u{e3d0}";
/// Halts the playing.
pub const PAUSE: &str = "\u{e39e}";
/// Back to the start.
pub const TO_START: &str = "\u{e5a4}";
/// Plays over and over.
pub const LOOP: &str = "\u{e3f6}";
/// Loudness.
pub const SPEAKER: &str = "\u{e44a}";
/// Silence.
pub const SPEAKER_OFF: &str = "\u{e45c}";
/// A waveform.
pub const WAVEFORM: &str = "\u{e802}";
/// A piano roll.
pub const PIANO: &str = "\u{e9c8}";
/// Writes a file elsewhere.
pub const EXPORT: &str = "\u{eaf0}";
/// Tempo.
pub const METRONOME: &str = "\u{ec8e}";
/// Paints.
pub const BRUSH: &str = "\u{e6f0}";
/// Rubs out.
pub const ERASER: &str = "\u{e21e}";
/// Fills what is of one colour.
pub const BUCKET: &str = "\u{e392}";
/// Draws a line.
pub const LINE: &str = "\u{e6d2}";
/// Draws a rectangle.
pub const RECTANGLE: &str = "\u{e3f0}";
/// Draws an ellipse.
pub const ELLIPSE: &str = "\u{e18a}";
/// Takes a colour.
pub const EYEDROPPER: &str = "\u{e568}";
/// Selects a rectangle.
pub const SELECT_RECTANGLE: &str = "\u{e69a}";
/// Selects an ellipse.
pub const SELECT_ELLIPSE: &str = "\u{e602}";
/// Selects what is drawn around.
pub const LASSO: &str = "\u{edc6}";
/// Selects by painting.
pub const SELECT_BRUSH: &str = "\u{e69c}";
/// Selects what is of one colour.
pub const SELECT_COLOUR: &str = "\u{e6c8}";
/// Moves the view.
pub const HAND: &str = "\u{e298}";
/// Moves a layer.
pub const MOVE: &str = "\u{e0a4}";
/// Is seen.
pub const EYE: &str = "\u{e220}";
/// Is hidden.
pub const EYE_SLASH: &str = "\u{e224}";
/// Layers.
pub const LAYERS: &str = "\u{e466}";
/// The tree of edits.
pub const EDITS: &str = "\u{e278}";
/// Crops.
pub const CROP: &str = "\u{e1d4}";
/// Turns by a quarter.
pub const TURN: &str = "\u{e036}";
/// Mirrors left to right.
pub const FLIP: &str = "\u{ed6a}";
/// Mirrors top to bottom.
pub const FLIP_UPRIGHT: &str = "\u{ed6c}";
/// Extends to the left.
pub const EXTEND_LEFT: &str = "\u{e062}";
/// Extends to the right.
pub const EXTEND_RIGHT: &str = "\u{e064}";
/// Extends to the top.
pub const EXTEND_TOP: &str = "\u{e066}";
/// Extends to the bottom.
pub const EXTEND_BOTTOM: &str = "\u{e05c}";
/// Cuts the subject out.
pub const CUT_OUT: &str = "\u{eae0}";
/// Selects what is pointed at.
pub const SELECT_OBJECT: &str = "\u{e7c8}";
/// Merges into the one below.
pub const MERGE: &str = "\u{e06e}";
/// Turns the selection round.
pub const INVERT: &str = "\u{e744}";
/// A box with grips at its corners.
pub const BOX: &str = "\u{e6ce}";
/// Fades from one colour to another.
pub const GRADIENT: &str = "\u{eb42}";
/// Makes larger or smaller.
pub const RESIZE: &str = "\u{ed6e}";
