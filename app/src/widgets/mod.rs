//! Building blocks of the panels. They know the theme and nothing of the state.

mod button;
mod field;
mod layout;
mod notes;
mod shape;
mod timeline;

pub use button::{Button, menu_item, segmented, swatch};
pub use field::{
    NumberField, field_label, search_field, slider, slider_row, stepper, text_area, text_field,
};
pub use layout::{card, details, elide, menu_frame, ring};
pub use notes::{paint_notes, paint_sketch, paint_waveform, pitch_range};
pub use shape::shape_button;
pub use timeline::{Timeline, TimelineChange, clock, timeline_ui, x_of};
