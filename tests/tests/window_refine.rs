//! What is generated in the editor, driven by accessible names: seen in its place while it is painted,
//! enlarged and painted over, and guided by control layers.

use std::time::Duration;

use anyhow::{Context as _, Result};
use atelier::state::Recipe;
use atelier_engine::protocol::{EnlargeRequest, HintKind};
use atelier_engine::store::projects::EditKind;
use atelier_tests::editing::edit_one_painted;
use atelier_tests::tiny_diffusion::{copy_folder, models};
use atelier_tests::window::{Window, answer_dialogs, open_studio, settle, state, wait_until};
use egui::{Event, Key, Modifiers, PointerButton, Pos2};
use egui_kittest::kittest::Queryable as _;

fn drag(window: &mut Window, from: Pos2, to: Pos2) {
    let modifiers = Modifiers::NONE;
    let press = |pos, pressed| Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers,
    };
    for event in
        [Event::PointerMoved(from), press(from, true), Event::PointerMoved(to), press(to, false)]
    {
        window.input_mut().events.push(event);
        window.step();
    }
    settle(window);
}

fn wait_for_candidate(window: &mut Window) {
    wait_until(window, "a candidate", |state| {
        state.canvas.editor.as_deref().is_some_and(|editor| editor.candidate().is_some())
    });
    settle(window);
}

fn newest(window: &Window) -> Result<EnlargeRequest> {
    match &state(window).history.entries[0].recipe {
        Recipe::Enlarged(request, _) => Ok((**request).clone()),
        other => anyhow::bail!("no enlarged picture: {other:?}"),
    }
}

fn side(window: &Window) -> u32 {
    state(window).canvas.editor.as_deref().map_or(0, |editor| editor.document.size.width_px)
}

#[test]
fn a_candidate_is_enlarged_and_painted_over_by_its_own_recipe() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one_painted(home.path(), Duration::from_millis(1))?;
    window.get_by_label("Generate").click();
    wait_for_candidate(&mut window);
    let editor = state(&window).canvas.editor.as_deref().context("edited")?;
    let recipe = editor.candidate().context("a candidate")?.recipe.clone();
    window.get_by_label("Upscale and refine").click();
    wait_until(&mut window, "the larger picture", |state| {
        state.canvas.editor.as_deref().is_some_and(|editor| editor.document.size.width_px == 512)
    });
    let editor = state(&window).canvas.editor.as_deref().context("edited")?;
    // The candidate is an edit of its own, and so is what was made of it.
    let kinds = editor.trail.iter().map(|node| node.kind);
    let notes = [EditKind::Setting, EditKind::Candidate];
    let kinds: Vec<_> = kinds.filter(|kind| !notes.contains(kind)).collect();
    assert_eq!(kinds, [EditKind::Begun, EditKind::Generated, EditKind::Enlarged]);
    assert!(editor.candidate().is_none());
    let made = newest(&window)?;
    let refine = made.refine.context("it was not painted over")?;
    assert_eq!((made.factor, refine.strength), (2.0, 0.3));
    assert_eq!(refine.prompt.as_ref(), Some(&recipe.prompt));
    // How the house model samples when it paints over is the engine's to say.
    assert_eq!((refine.seed, refine.sampling), (Some(recipe.seed), None));
    Ok(())
}

#[test]
fn what_is_enlarged_is_painted_over_only_where_that_was_chosen() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one_painted(home.path(), Duration::from_millis(1))?;
    window.get_by_label("Enlarge ×2").click();
    wait_until(&mut window, "the larger picture", |state| {
        state.canvas.editor.as_deref().is_some_and(|editor| editor.document.size.width_px == 512)
    });
    settle(&mut window);
    assert_eq!(newest(&window)?.refine, None);
    window.get_by_label("Refine").click();
    settle(&mut window);
    assert!(window.query_by_label("Strength of refining").is_some());
    window.get_by_label("Enlarge ×2").click();
    wait_until(&mut window, "the refined picture", |state| {
        state.canvas.editor.as_deref().is_some_and(|editor| editor.document.size.width_px == 1024)
    });
    let refine = newest(&window)?.refine.context("it was not painted over")?;
    let prompt = refine.prompt.context("no prompt")?;
    assert_eq!((prompt.text.as_str(), side(&window)), ("a red fox in the snow", 1024));
    Ok(())
}

#[test]
fn the_running_preview_lies_where_the_selection_is_and_leaves_the_document_alone() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one_painted(home.path(), Duration::from_millis(30))?;
    // A larger document, of which the model is shown a part.
    window.get_by_label("Enlarge ×4").click();
    wait_until(&mut window, "the larger picture", |state| {
        state.canvas.editor.as_deref().is_some_and(|editor| editor.document.size.width_px == 1024)
    });
    settle(&mut window);
    window.get_by_label("Select a rectangle").click();
    settle(&mut window);
    let canvas = window.get_by_label_contains("Canvas: ").rect();
    let editor = state(&window).canvas.editor.as_deref().context("edited")?;
    let room = [canvas.width() - 48.0, canvas.height() - 48.0];
    let (scale, _) = editor.view.place(editor.size_px(), room);
    let at = |share: f32| (share - 0.5) * 1024.0 * scale;
    let (from, to) = ([0.1, 0.15], [0.2, 0.25]);
    let on_screen = |[x, y]: [f32; 2]| canvas.center() + egui::vec2(at(x), at(y));
    let (from, to) = (on_screen(from), on_screen(to));
    drag(&mut window, from, to);
    let before = state(&window).canvas.editor.as_deref().context("edited")?.document.picture();
    window.get_by_label("Generate").click();
    let begin = std::time::Instant::now();
    let seen = loop {
        window.step();
        if let Some(node) = window.query_by_label_contains("Preview: ") {
            break node.rect();
        }
        anyhow::ensure!(begin.elapsed() < Duration::from_secs(10), "no preview was seen");
        std::thread::sleep(Duration::from_millis(5));
    };
    let editor = state(&window).canvas.editor.as_deref().context("edited")?;
    assert!(editor.document.picture() == before && editor.candidate().is_none());
    let selected = egui::Rect::from_two_pos(from, to);
    let whole = egui::Rect::from_min_max(on_screen([0.0, 0.0]), on_screen([1.0, 1.0]));
    assert!(seen.expand(1.0).contains_rect(selected), "{seen:?} {selected:?}");
    assert!(whole.expand(1.0).contains_rect(seen), "{seen:?} {whole:?}");
    assert!(seen.width() < 0.7 * whole.width(), "{seen:?} {whole:?}");
    wait_for_candidate(&mut window);
    assert!(window.query_by_label_contains("Preview: ").is_none());
    Ok(())
}

#[test]
fn control_and_reference_layers_say_why_the_house_model_does_not_read_them() -> Result<()> {
    let home = tempfile::tempdir()?;
    let mut window = edit_one_painted(home.path(), Duration::from_millis(1))?;
    let add = |window: &mut Window, name: &str| {
        // A click that comes from a screen reader leaves the menu open.
        if window.query_by_label(name).is_none() {
            window.get_by_label("Mask, control, reference").click();
            settle(window);
        }
        window.get_by_label(name).click();
        settle(window);
    };
    let of_control = "Control layers have no effect: the house model reads no ControlNet";
    let of_reference = "Reference layers are for looking at";
    add(&mut window, "Add a control layer");
    assert!(window.query_by_label_contains(of_control).is_some());
    add(&mut window, "Add a reference");
    assert!(window.query_by_label_contains(of_reference).is_some());
    assert!(window.query_by_label_contains(of_control).is_none(), "it is not the active one");
    window.get_by_label("Generate").click();
    wait_for_candidate(&mut window);
    let said = |start: &str| {
        let messages = &state(&window).messages.toasts;
        messages.iter().any(|message| message.text.starts_with(start))
    };
    assert!(said(of_control) && said(of_reference));
    Ok(())
}

#[test]
fn a_control_layer_reaches_its_control_net() -> Result<()> {
    let home = tempfile::tempdir()?;
    let web = home.path().join("web");
    copy_folder(&models()?.join("sd1"), &web.join("models/Stable-diffusion/tiny-turbo"))?;
    let net = models()?.join("control-sd1/diffusion_pytorch_model.safetensors");
    std::fs::create_dir_all(web.join("models/ControlNet"))?;
    std::fs::copy(net, web.join("models/ControlNet/tiny-scribble.safetensors"))?;
    let mut window = open_studio(home.path())?;
    settle(&mut window);
    answer_dialogs(&mut window, move |_| Some(web.clone()));
    let choose = |window: &mut Window, menu: &str, entry: &str| {
        window.get_by_label(menu).click();
        settle(window);
        window.get_by_label(entry).click();
        settle(window);
    };
    choose(&mut window, "Model", "Add a folder of models…");
    wait_until(&mut window, "the models", |state| !state.models.pictures.found.models.is_empty());
    // By its name it needs four steps.
    choose(&mut window, "Model", "tiny-turbo");
    window.get_by_label("Prompt").focus();
    window.get_by_label("Prompt").type_text("a fox");
    settle(&mut window);
    window.key_press(Key::Escape);
    settle(&mut window);
    window.key_press_modifiers(Modifiers::COMMAND, Key::N);
    wait_until(&mut window, "the canvas", |state| state.canvas.editor.is_some());
    settle(&mut window);
    choose(&mut window, "Mask, control, reference", "Add a control layer");
    // The only net there is, with what its name says that it reads.
    let guiding = |window: &Window| {
        let document = &state(window).canvas.editor.as_deref().expect("edited").document;
        document.active_layer().and_then(|layer| layer.guiding.clone()).expect("a control layer")
    };
    assert_eq!(guiding(&window).hint, HintKind::Scribble);
    choose(&mut window, "What the ControlNet reads", "As is");
    assert_eq!(guiding(&window).hint, HintKind::None);
    assert!(window.query_by_label_contains("The layer is empty").is_some());
    window.get_by_label("Brush").click();
    settle(&mut window);
    let canvas = window.get_by_label_contains("Canvas: ").rect();
    drag(&mut window, canvas.center(), canvas.center() + egui::vec2(60.0, 40.0));
    assert!(window.query_by_label_contains("The layer is empty").is_none());
    window.get_by_label("Generate").click();
    wait_for_candidate(&mut window);
    let editor = state(&window).canvas.editor.as_deref().context("edited")?;
    let recipe = &editor.candidate().context("a candidate")?.recipe;
    let [control] = &recipe.extras.controls[..] else { anyhow::bail!("{:?}", recipe.extras) };
    assert!(control.model.name.contains("tiny-scribble") && control.model.sha256.len() == 64);
    assert_eq!((control.strength, control.between), (1.0, [0.0, 1.0]));
    assert!(control.over_source && control.picture.sha256.len() == 64);
    // What was drawn is what the net was shown: dark on white.
    let shown = image::open(&control.picture.path)?.into_rgba8();
    assert_eq!(shown.dimensions(), (512, 512));
    assert!(shown.pixels().any(|pixel| pixel.0[3] == 255), "nothing was drawn");
    assert_eq!(shown.get_pixel(0, 0).0[3], 0);
    Ok(())
}
