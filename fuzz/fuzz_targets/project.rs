//! Takes projects in from one file, and OpenRaster pictures.
#![no_main]

use atelier_engine::store::open_raster;
use atelier_engine::store::projects::{Project, archive};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = open_raster::read(bytes);
    let Ok(folder) = tempfile::tempdir() else { return };
    let file = folder.path().join("x.atelier");
    if std::fs::write(&file, bytes).is_err() {
        return;
    }
    let (projects, sources) = (folder.path().join("projects"), folder.path().join("sources"));
    let Ok(made) = archive::import(&file, &projects, &sources) else { return };
    // What was taken in can be opened at every edit.
    let Ok(mut project) = Project::open(&made.file) else { panic!("it was taken in and is none") };
    let Ok(trail) = project.trail() else { panic!("it was taken in and has no edits") };
    for node in trail.iter() {
        assert!(project.document(node.id).is_ok(), "a document is not whole");
    }
});
