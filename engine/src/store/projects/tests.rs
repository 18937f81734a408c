#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use super::*;
use crate::canvas::{Area, Blend, LayerKind, Tiles};
use crate::math::rng::philox4x32;
use crate::protocol::Size;

fn begun(project: &mut Project) -> (Document, NodeId) {
    let rgba = (0..300 * 200 * 4).map(|at| (at * 13 % 255) as u8).collect();
    let picture = Pixels::new(300, 200, rgba).unwrap();
    let document = Document::of_picture(&picture, "Picture").unwrap();
    let node = node_of(None, EditKind::Begun, &document);
    let id = add(project, node);
    (document, id)
}

fn add(project: &mut Project, mut node: NewNode) -> NodeId {
    node.id = project.trail().unwrap().next_id();
    project.add(&node).unwrap().id
}

fn node_of(parent: Option<NodeId>, kind: EditKind, document: &Document) -> NewNode {
    NewNode {
        id: NodeId(1),
        parent,
        kind,
        detail: "detail".to_owned(),
        document: document.clone(),
        recipe: None,
    }
}

fn tile_count(project: &Project) -> i64 {
    project.connection.query_row("SELECT count(*) FROM tiles", [], |row| row.get(0)).unwrap()
}

#[test]
fn every_node_is_found_again_after_a_restart_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut project = Project::create(folder.path(), "A fox").unwrap();
    let (first, first_id) = begun(&mut project);
    let mut second = first.clone();
    second.selection = Some(Tiles::from_bytes(Area::new(5, 5, 3, 3), &[200; 9]));
    let top = second.add_layer("Paint", LayerKind::Mask).unwrap();
    second.layer_mut(top).unwrap().pixels.fill(Area::new(-20, 10, 50, 50), [9, 8, 7, 100]);
    second.layer_mut(top).unwrap().blend = Blend::Screen;
    let second_id = add(&mut project, node_of(Some(first_id), EditKind::Painted, &second));
    let path = project.path().to_owned();
    drop(project);

    let mut project = Project::open(&path).unwrap();
    assert_eq!(project.name(), "A fox");
    let trail = project.trail().unwrap();
    assert_eq!((trail.head(), trail.undo()), (Some(second_id), Some(first_id)));
    assert_eq!(project.document(first_id).unwrap(), first);
    assert_eq!(project.document(second_id).unwrap(), second);
    let small = project.thumbnail(first_id).unwrap().unwrap();
    assert_eq!((small.width_px, small.height_px), (96, 64));
    assert_eq!(list(folder.path()).unwrap(), [path]);
}

#[test]
fn a_node_costs_only_the_tiles_that_it_changed() {
    let folder = tempfile::tempdir().unwrap();
    let mut project = Project::create(folder.path(), "Tiles").unwrap();
    let (mut document, id) = begun(&mut project);
    assert_eq!(tile_count(&project), 6);
    let layer = document.active.unwrap();
    document.layer_mut(layer).unwrap().pixels.fill(Area::new(1, 1, 5, 5), [0, 0, 0, 255]);
    add(&mut project, node_of(Some(id), EditKind::Painted, &document));
    assert_eq!(tile_count(&project), 7);
    // The same pixels made anew, in other memory, are found by their hash.
    let again = Document::of_picture(&document.picture(), "Again").unwrap();
    add(&mut project, node_of(Some(id), EditKind::Placed, &again));
    assert_eq!(tile_count(&project), 7);
}

#[test]
fn documents_that_are_read_share_their_tiles() {
    let folder = tempfile::tempdir().unwrap();
    let mut project = Project::create(folder.path(), "Shared").unwrap();
    let (mut document, first) = begun(&mut project);
    document.add_layer("Above", LayerKind::Raster).unwrap();
    let second = add(&mut project, node_of(Some(first), EditKind::LayerAdded, &document));
    let path = project.path().to_owned();
    drop((project, document));
    let mut project = Project::open(&path).unwrap();
    let (a, b) = (project.document(first).unwrap(), project.document(second).unwrap());
    let tile = |document: &Document| document.layers[0].pixels.tile([1, 1]).unwrap().as_ptr();
    assert_eq!(tile(&a), tile(&b));
}

#[test]
fn a_second_window_may_look_but_not_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut project = Project::create(folder.path(), "Both").unwrap();
    let (document, id) = begun(&mut project);
    let mut other = Project::open(project.path()).unwrap();
    assert!(!other.is_writable() && project.is_writable());
    assert_eq!(other.document(id).unwrap(), document);
    let refused = other.add(&node_of(Some(id), EditKind::Painted, &document)).unwrap_err();
    assert!(refused.to_string().contains("only be looked at"), "{refused}");
    assert!(other.go_to(id).is_err());
    drop(project);
    drop(other);
    let path = list(folder.path()).unwrap().remove(0);
    assert!(Project::open(&path).unwrap().is_writable());
}

#[test]
fn files_that_are_no_projects_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.atelier-project");
    assert!(matches!(Project::open(&path), Err(EngineError::Io { .. })));
    fs::write(&path, b"this is not a database, but it is long enough to look at").unwrap();
    assert!(matches!(Project::open(&path), Err(EngineError::Damaged { .. })));
    let other = Connection::open(folder.path().join("y.atelier-project")).unwrap();
    other.execute_batch("CREATE TABLE a (b); PRAGMA user_version = 7").unwrap();
    drop(other);
    let newer = Project::open(&folder.path().join("y.atelier-project")).unwrap_err();
    assert!(newer.to_string().contains("newer"), "{newer}");
}

#[test]
fn a_tile_that_was_damaged_is_told_and_the_other_nodes_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut project = Project::create(folder.path(), "Hurt").unwrap();
    let (mut document, first) = begun(&mut project);
    let layer = document.active.unwrap();
    document.layer_mut(layer).unwrap().pixels.fill(Area::new(1, 1, 5, 5), [0, 0, 0, 255]);
    let second = add(&mut project, node_of(Some(first), EditKind::Painted, &document));
    project.connection.execute("UPDATE tiles SET packed = x'00' WHERE id = 7", []).unwrap();
    let path = project.path().to_owned();
    drop(project);
    let mut project = Project::open(&path).unwrap();
    assert!(matches!(project.document(second), Err(EngineError::Damaged { .. })));
    assert!(project.document(first).is_ok());
}

/// Does something to a document, by the numbers of a stream.
fn act(document: &mut Document, numbers: [u32; 4]) {
    let [what, a, b, c] = numbers;
    let bytes = c.to_le_bytes();
    let area = Area::new((a % 400) as i32 - 50, (b % 300) as i32 - 50, a % 90 + 1, b % 90 + 1);
    let layer = document.layers.get(c as usize % document.layers.len().max(1)).map(|one| one.id);
    match (what % 9, layer) {
        (0..=3, Some(id)) => document.layer_mut(id).unwrap().pixels.fill(area, bytes),
        (4, _) if document.layers.len() < 8 => {
            document.add_layer(format!("Layer {a}"), LayerKind::Raster).unwrap();
        }
        (5, Some(id)) => document.layer_mut(id).unwrap().opacity = bytes[0],
        (6, Some(id)) => document.move_layer(id, b as usize % 9),
        (7, Some(id)) if document.layers.len() > 3 => {
            document.merge_down(id);
        }
        (8, _) => {
            let mut selection = document.selection.take().unwrap_or_default();
            selection.fill(area, [bytes[0]]);
            document.selection = Some(selection);
        }
        _ => document.set_area(Area::new(0, 0, 250 + a % 100, 150 + b % 100)).unwrap(),
    }
}

#[test]
fn a_thousand_random_actions_are_undone_to_the_start_and_redone_to_the_end_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let mut project = Project::create(folder.path(), "Random").unwrap();
    let (mut document, mut at) = begun(&mut project);
    let first = document.clone();
    let mut seen = vec![document.picture()];
    for step in 0..1000 {
        act(&mut document, philox4x32([step, 0, 0, 0], [20_261_126, 6]));
        at = add(&mut project, node_of(Some(at), EditKind::Painted, &document));
        if step % 100 == 99 {
            seen.push(document.picture());
        }
    }
    let path = project.path().to_owned();
    drop(project);

    let mut project = Project::open(&path).unwrap();
    let mut trail = project.trail().unwrap();
    let mut steps = 0;
    while let Some(earlier) = trail.undo() {
        trail.go_to(earlier);
        steps += 1;
        if steps % 100 == 0 {
            let back = project.document(earlier).unwrap();
            assert_eq!(back.picture(), seen[10 - steps / 100], "{steps} steps back");
        }
    }
    assert_eq!(steps, 1000);
    assert_eq!(project.document(trail.head().unwrap()).unwrap(), first);
    while let Some(later) = trail.redo() {
        trail.go_to(later);
    }
    assert_eq!(project.document(trail.head().unwrap()).unwrap(), document);
}

#[test]
fn going_back_and_doing_something_else_keeps_both_branches() {
    let folder = tempfile::tempdir().unwrap();
    let mut project = Project::create(folder.path(), "Branches").unwrap();
    let (first, first_id) = begun(&mut project);
    let paint = |colour: u8| {
        let mut painted = first.clone();
        let layer = painted.active.unwrap();
        painted.layer_mut(layer).unwrap().pixels.fill(Area::new(0, 0, 9, 9), [colour; 4]);
        painted
    };
    let left = add(&mut project, node_of(Some(first_id), EditKind::Painted, &paint(1)));
    project.go_to(first_id).unwrap();
    let right = add(&mut project, node_of(Some(first_id), EditKind::Painted, &paint(2)));
    let path = project.path().to_owned();
    drop(project);
    let mut project = Project::open(&path).unwrap();
    assert_eq!(project.trail().unwrap().head(), Some(right));
    assert_eq!(project.document(left).unwrap(), paint(1));
    assert_eq!(project.document(right).unwrap(), paint(2));
    assert_eq!(first.size, Size { width_px: 300, height_px: 200 });
}
