//! Beside the picture that is being edited: its layers, its tree of edits, and what is done to the
//! whole.

use std::sync::Arc;

use atelier_engine::canvas::{Blend, Layer, LayerKind, MAX_SIDE_PX};
use atelier_engine::protocol::{Pixels, Size};
use atelier_engine::store::projects::{EditKind, NodeInfo};
use egui::{
    Align2, Color32, CornerRadius, DragValue, Id, Popup, Rect, RichText, Role, ScrollArea, Sense,
    Slider, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2,
};

use super::editor_guiding::guiding_ui;
use crate::action::{
    Action, DocumentAction, EditorAction, LayerAction, SelectAction, Side, ToolAction,
};
use crate::i18n::{Language, Text};
use crate::services::textures::Textures;
use crate::state::editor::{Editor, EditorTab};
use crate::state::{AppState, Thumbnail};
use crate::theme::{Weight, icons, palette, size};
use crate::widgets::{
    Button, NumberField, elide, field_label, menu_frame, ring, segmented, slider_row, text_field,
};

/// The height of a row of either list.
const ROW: f32 = 38.0;

/// The side of a small picture in the tree.
const SMALL: f32 = 32.0;

/// How far a lane of the tree lies from the next.
const LANE: f32 = 12.0;

/// The most lanes that are told apart by their place.
const LANES: usize = 5;

/// Draws the lists.
pub fn editor_lists_ui(
    ui: &mut Ui,
    state: &AppState,
    editor: &Editor,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    // What is too wide is cut off rather than widening the panel.
    ui.set_max_width(ui.available_width());
    let names = [language.get(Text::Layers), language.get(Text::Edits)];
    let tabs = [EditorTab::Layers, EditorTab::Edits];
    let chosen = tabs.iter().position(|tab| *tab == editor.tab);
    if let Some(place) = segmented(ui, &names, chosen) {
        actions.push(Action::Editor(EditorAction::ShowTab(tabs[place])));
    }
    ui.add_space(size::GAP);
    let footer = egui::Panel::bottom("editor-whole").resizable(false).show_separator_line(false);
    footer.frame(egui::Frame::new()).show(ui, |ui| whole_ui(ui, state, editor, actions));
    match editor.tab {
        EditorTab::Layers => layers_ui(ui, state, editor, actions),
        EditorTab::Edits => edits_ui(ui, state, editor, textures, actions),
    }
}

fn icon_row(
    ui: &mut Ui,
    language: Language,
    buttons: &[(&str, Text, EditorAction, bool)],
    actions: &mut Vec<Action>,
) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(2.0, 2.0);
        for (icon, name, action, possible) in buttons {
            let keys = super::keys_of(ui.ctx(), *name);
            let button = Button::icon(icon, language.get(*name)).shortcut(&keys);
            if ui.add_enabled(*possible, button).clicked() {
                actions.push(Action::Editor(action.clone()));
            }
        }
    });
}

fn layers_ui(ui: &mut Ui, state: &AppState, editor: &Editor, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    let document = &editor.document;
    let has_active = document.active_layer().is_some();
    let add = |kind| EditorAction::Layer(LayerAction::Add(kind));
    let layer = EditorAction::Layer;
    icon_row(
        ui,
        language,
        &[
            (icons::PLUS, Text::AddLayer, add(LayerKind::Raster), true),
            (icons::COPY, Text::DuplicateLayer, layer(LayerAction::Duplicate), has_active),
            (icons::ARROW_UP, Text::LayerUp, layer(LayerAction::Shift(1)), has_active),
            (icons::ARROW_DOWN, Text::LayerDown, layer(LayerAction::Shift(-1)), has_active),
            (icons::MERGE, Text::MergeDown, layer(LayerAction::MergeDown), has_active),
            (icons::TRASH, Text::RemoveLayer, layer(LayerAction::Remove), has_active),
        ],
        actions,
    );
    let more = Button::text(language.get(Text::MoreLayers)).side(icons::CARET_DOWN).quiet();
    let more = ui.add(more.min_width(ui.available_width()));
    Popup::menu(&more).frame(menu_frame(ui)).show(|ui| {
        let shown = state.canvas.result().map(LayerAction::Place);
        for (name, action) in [
            (Text::AddMask, Some(LayerAction::Add(LayerKind::Mask))),
            (Text::AddControl, Some(LayerAction::Add(LayerKind::Control))),
            (Text::AddReference, Some(LayerAction::Add(LayerKind::Reference))),
            (Text::PlaceShown, shown),
        ] {
            let button = Button::text(language.get(name)).quiet().min_width(200.0);
            if ui.add_enabled(action.is_some(), button).clicked()
                && let Some(action) = action
            {
                actions.push(Action::Editor(EditorAction::Layer(action)));
            }
        }
    });
    if let Some(active) = document.active_layer() {
        active_ui(ui, active, language, actions);
        guiding_ui(ui, state, active, actions);
    }
    ui.add_space(size::GAP_SMALL);
    if document.layers.is_empty() {
        ui.label(RichText::new(language.get(Text::NoLayers)).color(palette(ui).text_weak));
    }
    ScrollArea::vertical().id_salt("layers").auto_shrink([false, false]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        for layer in document.layers.iter().rev() {
            layer_row(ui, layer, document.active == Some(layer.id), language, actions);
        }
    });
}

/// Draws the name of the active layer and how it is seen.
fn active_ui(ui: &mut Ui, layer: &Layer, language: Language, actions: &mut Vec<Action>) {
    let id = Id::unique(format!("layer-name-{}", layer.id.0));
    // What is being written becomes the name, and an edit, when the field is left.
    let mut name = ui.data(|data| data.get_temp(id)).unwrap_or_else(|| layer.name.clone());
    let width = ui.available_width();
    let field = text_field(ui, id.with("field"), language.get(Text::LayerName), &mut name, width);
    if field.lost_focus() {
        ui.data_mut(|data| data.remove::<String>(id));
        if !name.trim().is_empty() && name != layer.name {
            let action = LayerAction::Rename(layer.id, name.trim().to_owned());
            actions.push(Action::Editor(EditorAction::Layer(action)));
        }
    } else if field.changed() {
        ui.data_mut(|data| data.insert_temp(id, name));
    }
    ui.horizontal(|ui| {
        let width = ui.available_width();
        let blends = [
            (Blend::Normal, Text::BlendNormal),
            (Blend::Multiply, Text::BlendMultiply),
            (Blend::Screen, Text::BlendScreen),
        ];
        let name = blends.iter().find(|(blend, _)| *blend == layer.blend).map(|(_, name)| *name);
        let name = language.get(name.unwrap_or(Text::BlendNormal));
        let button = Button::text(name)
            .named(language.get(Text::BlendMode))
            .side(icons::CARET_DOWN)
            .min_width(width * 0.4);
        let response = ui.add(button);
        Popup::menu(&response).frame(menu_frame(ui)).show(|ui| {
            for (blend, name) in blends {
                let chosen = Button::text(language.get(name)).selected(blend == layer.blend);
                if ui.add(chosen.quiet().min_width(120.0)).clicked() {
                    let action = LayerAction::Blend(blend);
                    actions.push(Action::Editor(EditorAction::Layer(action)));
                }
            }
        });
        let mut percent = (f32::from(layer.opacity) / 2.55).round();
        ui.spacing_mut().interact_size.x = 48.0;
        ui.spacing_mut().slider_width = (ui.available_width() - 72.0).max(36.0);
        let slider = Slider::new(&mut percent, 0.0..=100.0).fixed_decimals(0).suffix(" %");
        let response = ui.add(slider);
        response.clone().accessible_name(language.get(Text::LayerOpacity));
        let ended = response.drag_stopped() || response.lost_focus();
        if response.changed() || ended {
            let opacity = (percent * 2.55).round().clamp(0.0, 255.0) as u8;
            let is_final = ended || (response.changed() && !response.dragged());
            let action = LayerAction::Opacity(opacity, is_final);
            actions.push(Action::Editor(EditorAction::Layer(action)));
        }
    });
}

fn layer_row(
    ui: &mut Ui,
    layer: &Layer,
    is_active: bool,
    language: Language,
    actions: &mut Vec<Action>,
) {
    let colours = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let name = language.fill(Text::LayerNamed, &[&layer.name]);
    response.widget_info(|| WidgetInfo::selected(Role::ListItem, true, is_active, &name));
    let fill = match (is_active, response.hovered()) {
        (true, _) => colours.accent_soft,
        (false, true) => colours.control,
        (false, false) => colours.raised,
    };
    ui.painter().rect_filled(rect, CornerRadius::same(size::RADIUS), fill);
    ring(ui, rect, &response);
    let (icon, kind) = match layer.kind {
        LayerKind::Raster => (icons::IMAGE, ""),
        LayerKind::Mask => (icons::SELECT_BRUSH, language.get(Text::LayerMask)),
        LayerKind::Control => (icons::SLIDERS, language.get(Text::LayerControl)),
        LayerKind::Reference => (icons::EYEDROPPER, language.get(Text::LayerReference)),
    };
    let ink = if layer.is_visible { colours.text } else { colours.text_weak };
    let painter = ui.painter();
    let at = pos2(rect.left() + 44.0, rect.center().y);
    painter.text(
        at,
        Align2::LEFT_CENTER,
        icon,
        Weight::Regular.font(size::ICON),
        colours.text_weak,
    );
    let text = elide(&layer.name, 22);
    let font = Weight::Regular.font(size::TEXT);
    painter.text(at + vec2(24.0, 0.0), Align2::LEFT_CENTER, text, font, ink);
    let small = Weight::Regular.font(size::TEXT_SMALL);
    let right = pos2(rect.right() - 8.0, rect.center().y);
    painter.text(right, Align2::RIGHT_CENTER, kind, small, colours.text_weak);
    let (eye, text) = match layer.is_visible {
        true => (icons::EYE, Text::HideLayer),
        false => (icons::EYE_SLASH, Text::ShowLayer),
    };
    let eye_rect = Rect::from_center_size(
        pos2(rect.left() + 20.0, rect.center().y),
        vec2(size::CONTROL, size::CONTROL),
    );
    let text = language.fill(text, &[&layer.name]);
    if on_row(ui, eye_rect, Button::icon(eye, &text)).clicked() {
        let action = LayerAction::Show(layer.id, !layer.is_visible);
        actions.push(Action::Editor(EditorAction::Layer(action)));
    } else if response.clicked() {
        let action = LayerAction::Activate(layer.id);
        actions.push(Action::Editor(EditorAction::Layer(action)));
    }
}

/// Draws a button on a row that has its place already; the rows below stay where they are.
fn on_row(ui: &mut Ui, place: Rect, button: Button<'_>) -> egui::Response {
    ui.new_child(egui::UiBuilder::new().max_rect(place)).add(button)
}

/// Returns the name of what was done.
pub(super) fn edit_name(kind: EditKind) -> Text {
    match kind {
        EditKind::Begun => Text::EditBegun,
        EditKind::Painted => Text::EditPainted,
        EditKind::Erased => Text::EditErased,
        EditKind::Filled => Text::EditFilled,
        EditKind::Drawn => Text::EditDrawn,
        EditKind::Selected => Text::EditSelected,
        EditKind::LayerAdded => Text::EditLayerAdded,
        EditKind::LayerRemoved => Text::EditLayerRemoved,
        EditKind::LayerChanged => Text::EditLayerChanged,
        EditKind::Merged => Text::EditMerged,
        EditKind::Placed => Text::EditPlaced,
        EditKind::Candidate => Text::EditCandidate,
        EditKind::Generated => Text::EditGenerated,
        EditKind::Cropped => Text::EditCropped,
        EditKind::Transformed => Text::EditTransformed,
        EditKind::CutOut => Text::EditCutOut,
        EditKind::Enlarged => Text::EditEnlarged,
        _ => Text::EditSetting,
    }
}

/// Returns what was done in words: what, and more about it.
pub(super) fn edit_words(node: &NodeInfo, language: Language) -> String {
    let what = language.get(edit_name(node.kind));
    match node.detail.as_str() {
        "" => what.to_owned(),
        detail => format!("{what}: {detail}"),
    }
}

fn edits_ui(
    ui: &mut Ui,
    state: &AppState,
    editor: &Editor,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let language = state.settings.language;
    let head = editor.trail.head().and_then(|head| editor.trail.get(head));
    if let Some(head) = head.filter(|head| head.has_recipe) {
        let button = Button::text(language.get(Text::RunAgain)).with_icon(icons::DICE);
        if ui.add(button.min_width(ui.available_width())).clicked() {
            actions.push(Action::Editor(EditorAction::RunAgain(head.id)));
        }
        let button = Button::text(language.get(Text::Reuse)).with_icon(icons::REUSE);
        if ui.add(button.min_width(ui.available_width())).clicked() {
            actions.push(Action::Editor(EditorAction::TakeSettings(head.id)));
        }
    }
    let lanes = editor.trail.lanes();
    let area = ScrollArea::vertical().id_salt("edits").auto_shrink([false, false]);
    area.show_rows(ui, ROW, lanes.len(), |ui, rows| {
        ui.spacing_mut().item_spacing.y = 0.0;
        for (node, lane) in lanes.get(rows).unwrap_or_default() {
            edit_row(ui, editor, node, *lane, language, textures, actions);
        }
    });
}

fn edit_row(
    ui: &mut Ui,
    editor: &Editor,
    node: &NodeInfo,
    lane: usize,
    language: Language,
    textures: &mut Textures,
    actions: &mut Vec<Action>,
) {
    let colours = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let is_head = editor.trail.head() == Some(node.id);
    let what = edit_words(node, language);
    let name = language.fill(Text::GoToEdit, &[&what]);
    response.widget_info(|| WidgetInfo::selected(Role::TreeItem, true, is_head, &name));
    if is_head || response.hovered() {
        let fill = if is_head { colours.accent_soft } else { colours.control };
        ui.painter().rect_filled(rect, CornerRadius::same(size::RADIUS), fill);
    }
    ring(ui, rect, &response);
    let x = rect.left() + 10.0 + LANE * lane.min(LANES) as f32;
    let painter = ui.painter();
    let line = Stroke::new(1.5, colours.control_hovered);
    painter.vline(x, rect.y_range(), line);
    let has_line_to = node.parent.is_some_and(|parent| parent.0 + 1 != node.id.0 || lane > 0);
    if lane > 0 && has_line_to {
        let trunk = rect.left() + 10.0;
        painter.line_segment([pos2(x, rect.bottom()), pos2(trunk, rect.bottom() + 6.0)], line);
    }
    let dot = if is_head { colours.accent } else { colours.text_weak };
    painter.circle_filled(pos2(x, rect.center().y), if is_head { 5.0 } else { 3.5 }, dot);
    let left = rect.left() + 20.0 + LANE * LANES.min(lane) as f32;
    let small =
        Rect::from_center_size(pos2(left + SMALL / 2.0, rect.center().y), vec2(SMALL, SMALL));
    match editor.thumbnail(node.id) {
        Some(Thumbnail::Ready(pixels)) => picture(ui, textures, pixels, small),
        Some(_) => {}
        None => actions.push(Action::Editor(EditorAction::WantThumbnail(node.id))),
    }
    let painter = ui.painter();
    painter.rect_stroke(
        small,
        CornerRadius::same(3),
        Stroke::new(1.0, colours.line),
        StrokeKind::Inside,
    );
    let ink = if is_head { colours.text_strong } else { colours.text };
    let text = elide(&what, 20 - 2 * lane.min(LANES));
    let at = pos2(small.right() + 8.0, rect.center().y);
    painter.text(at, Align2::LEFT_CENTER, text, Weight::Regular.font(size::TEXT_SMALL + 0.5), ink);
    // Any edit can be laid beside the picture.
    let compare = language.fill(Text::CompareWith, &[&what]);
    let is_compared = editor.compared.as_ref().is_some_and(|(id, _)| *id == node.id);
    let place = Rect::from_center_size(
        pos2(rect.right() - 16.0, rect.center().y),
        vec2(size::CONTROL, size::CONTROL),
    );
    let button = Button::icon(icons::COMPARE, &compare).selected(is_compared);
    if !is_head && on_row(ui, place, button).clicked() {
        actions.push(Action::Editor(EditorAction::CompareWith(Some(node.id))));
    } else if response.on_hover_text(&what).clicked() {
        actions.push(Action::Editor(EditorAction::GoTo(node.id)));
    }
}

/// Draws a small picture as large as fits.
pub(super) fn picture(ui: &Ui, textures: &mut Textures, pixels: &Arc<Pixels>, rect: Rect) {
    let Some(texture) = textures.get(ui.ctx(), pixels, false) else { return };
    let (width, height) = (pixels.width_px as f32, pixels.height_px as f32);
    let scale = (rect.width() / width).min(rect.height() / height);
    let rect = Rect::from_center_size(rect.center(), vec2(width, height) * scale);
    let full = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    ui.painter().image(texture, rect, full, Color32::WHITE);
}

/// Draws the button of the document's size, with the menu that it opens.
fn size_ui(ui: &mut Ui, editor: &Editor, language: Language, actions: &mut Vec<Action>) {
    let button = Button::text(language.get(Text::ImageSize)).with_icon(icons::RESIZE);
    let button = ui.add(button.min_width(ui.available_width()));
    let popup = Popup::menu(&button).frame(menu_frame(ui));
    popup.close_behavior(egui::PopupCloseBehavior::CloseOnClickOutside).show(|ui| {
        let Size { width_px, height_px } = editor.document.size;
        let id = Id::unique("image-size");
        // What is being chosen lasts as long as the menu is open over this document.
        let known: Option<([u32; 2], [u32; 2], bool)> = ui.data(|data| data.get_temp(id));
        let here = [width_px, height_px];
        let known = known.filter(|(of, ..)| *of == here);
        let (_, mut wanted, mut keeps) = known.unwrap_or((here, here, true));
        for (axis, name) in [(0, Text::TransformWidth), (1, Text::TransformHeight)] {
            ui.horizontal(|ui| {
                ui.spacing_mut().interact_size = vec2(90.0, size::CONTROL);
                let name = language.get(name);
                let drag = DragValue::new(&mut wanted[axis]).range(1..=MAX_SIDE_PX).suffix(" px");
                let changed = ui.add(drag).accessible_name(name).changed();
                ui.label(name);
                if changed && keeps {
                    let other = u64::from(wanted[axis]) * u64::from(here[1 - axis]);
                    let other = (other + u64::from(here[axis]) / 2) / u64::from(here[axis].max(1));
                    wanted[1 - axis] = other.clamp(1, u64::from(MAX_SIDE_PX)) as u32;
                }
            });
        }
        let keep = Button::text(language.get(Text::KeepShape)).selected(keeps);
        if ui.add(keep).clicked() {
            keeps = !keeps;
        }
        ui.data_mut(|data| data.insert_temp(id, (here, wanted, keeps)));
        let [width_px, height_px] = wanted;
        let scale = language.fill(Text::ScaleTo, &[&width_px, &height_px]);
        let can = wanted != here && !editor.is_changing;
        if ui.add_enabled(can, Button::text(&scale).primary().min_width(180.0)).clicked() {
            let action = DocumentAction::Resize(Size { width_px, height_px });
            actions.push(Action::Editor(EditorAction::Document(action)));
            ui.close();
        }
    });
}

/// Draws what is done to the selection and to the whole document.
fn whole_ui(ui: &mut Ui, state: &AppState, editor: &Editor, actions: &mut Vec<Action>) {
    let language = state.settings.language;
    ui.spacing_mut().item_spacing.y = size::GAP_SMALL;
    let selects = editor.document.selection.is_some();
    let select = EditorAction::Select;
    let document = EditorAction::Document;
    field_label(ui, language.get(Text::EditSelected), "");
    icon_row(
        ui,
        language,
        &[
            (icons::SELECT_RECTANGLE, Text::SelectAll, select(SelectAction::All), true),
            (icons::X, Text::SelectNothing, select(SelectAction::Nothing), selects),
            (icons::INVERT, Text::InvertSelection, select(SelectAction::Invert), true),
            (icons::PLUS, Text::GrowSelection, select(SelectAction::Grow(8)), selects),
            (icons::MINUS, Text::ShrinkSelection, select(SelectAction::Grow(-8)), selects),
            (
                icons::SELECT_ELLIPSE,
                Text::FeatherSelection,
                select(SelectAction::Feather(8)),
                selects,
            ),
            (icons::ERASER, Text::ClearSelected, EditorAction::Layer(LayerAction::Clear), selects),
        ],
        actions,
    );
    let right = format!("{} × {}", editor.document.size.width_px, editor.document.size.height_px);
    field_label(ui, language.get(Text::EditCropped), &right);
    let extend = |side| document(DocumentAction::Extend(side));
    icon_row(
        ui,
        language,
        &[
            (icons::EXTEND_LEFT, Text::ExtendLeft, extend(Side::Left), true),
            (icons::EXTEND_RIGHT, Text::ExtendRight, extend(Side::Right), true),
            (icons::EXTEND_TOP, Text::ExtendTop, extend(Side::Top), true),
            (icons::EXTEND_BOTTOM, Text::ExtendBottom, extend(Side::Bottom), true),
            (icons::CROP, Text::CropToSelection, document(DocumentAction::Crop), selects),
        ],
        actions,
    );
    icon_row(
        ui,
        language,
        &[
            (
                icons::FLIP,
                Text::FlipSideways,
                document(DocumentAction::Flip { upright: false }),
                true,
            ),
            (
                icons::FLIP_UPRIGHT,
                Text::FlipUpright,
                document(DocumentAction::Flip { upright: true }),
                true,
            ),
            (icons::TURN, Text::TurnQuarter, document(DocumentAction::Turn), true),
        ],
        actions,
    );
    size_ui(ui, editor, language, actions);
    let refining = editor.tools.refining;
    let mut set = |action| actions.push(Action::Editor(action));
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let label = RichText::new(language.get(Text::Enlarge)).size(size::TEXT_SMALL);
        ui.label(label.color(palette(ui).text_weak));
        for (name, times) in [(Text::EnlargeTwice, 2), (Text::EnlargeFourfold, 4)] {
            let (label, name) = (format!("×{times}"), language.get(name));
            if ui.add(Button::text(&label).named(name).tooltip(name)).clicked() {
                set(document(DocumentAction::Enlarge(times)));
            }
        }
        let refine = Button::text(language.get(Text::RefineEnlarged)).quiet();
        let refine = refine.selected(refining.is_on);
        if ui.add(refine.tooltip(language.get(Text::RefineEnlargedHint))).clicked() {
            set(EditorAction::Tool(ToolAction::Refines(!refining.is_on)));
        }
    });
    if refining.is_on {
        let name = language.get(Text::RefineStrength);
        let field_name = language.fill(Text::AsNumber, &[&name]);
        let mut percent = f64::from(refining.strength) * 100.0;
        let field = NumberField { name, field_name: &field_name, range: [5.0, 100.0], step: 1.0 };
        if slider_row(ui, field, &mut percent) {
            set(EditorAction::Tool(ToolAction::RefineStrength(percent as f32 / 100.0)));
        }
    }
    let cut_out = Button::text(language.get(Text::CutOut)).with_icon(icons::CUT_OUT);
    if ui.add(cut_out.min_width(ui.available_width())).clicked() {
        actions.push(Action::Editor(document(DocumentAction::CutOut)));
    }
    if editor.project.unsaved > 1 {
        let text = language.fill(Text::UnsavedEdits, &[&editor.project.unsaved]);
        ui.label(RichText::new(text).size(size::TEXT_SMALL).color(palette(ui).warning));
    }
}
