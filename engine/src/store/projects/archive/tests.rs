#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Cursor, Read, Write};

use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::*;
use crate::canvas::{Area, Document, LayerKind, Tiles};
use crate::library::hex;
use crate::protocol::{
    ControlUse, Extras, HintKind, LoraUse, ModelRef, NoiseSource, PictureFile, Pixels, Source,
};
use crate::store::png;
use crate::store::projects::{EditKind, NewNode, Project};
use crate::store::tests::request;

struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn projects(&self) -> PathBuf {
        self.folder.path().join("projects")
    }

    fn sources(&self) -> PathBuf {
        self.folder.path().join("sources")
    }

    fn import(&self, file: &Path) -> Result<ProjectImport, EngineError> {
        import(file, &self.projects(), &self.sources())
    }

    /// Lists what lies in the projects' folder beside the lock.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.projects())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != COPYING)
            .collect();
        names.sort();
        names
    }

    /// Keeps a picture as jobs do.
    fn source(&self, value: u8) -> PictureFile {
        let bytes = png::encode_plain(&Pixels::new(4, 4, vec![value; 64]).unwrap()).unwrap();
        let sha256 = hex(&Sha256::digest(&bytes));
        let path = self.sources().join(format!("{sha256}.png"));
        fs::create_dir_all(self.sources()).unwrap();
        fs::write(&path, bytes).unwrap();
        PictureFile { path, sha256 }
    }

    /// Makes a project of three edits, the third beside the second, with a recipe that reads a file.
    fn project(&self) -> Project {
        let mut project = Project::create(&self.projects(), "A fox").unwrap();
        let rgba = (0..300 * 200 * 4).map(|at| (at * 13 % 255) as u8).collect();
        let picture = Pixels::new(300, 200, rgba).unwrap();
        let first = Document::of_picture(&picture, "Picture").unwrap();
        let mut second = first.clone();
        second.selection = Some(Tiles::from_bytes(Area::new(5, 5, 3, 3), &[200; 9]));
        let top = second.add_layer("Paint", LayerKind::Mask).unwrap();
        second.layer_mut(top).unwrap().pixels.fill(Area::new(-20, 10, 50, 50), [9, 8, 7, 100]);
        let mut third = first.clone();
        third.set_area(Area::new(0, 0, 100, 90)).unwrap();
        let mut recipe = request(7);
        recipe.model = ModelRef::named("/models/somewhere/net.safetensors");
        recipe.noise = NoiseSource::File("/noise".into());
        let source =
            Source { picture: self.source(1), mask: Some(self.source(2)), ..Source::new("", 0.5) };
        recipe.extras = Extras {
            loras: vec![LoraUse {
                model: ModelRef::named("C:\\loras\\a.safetensors"),
                unet: 1.0,
                text: 1.0,
            }],
            controls: vec![ControlUse {
                model: ModelRef::named("canny"),
                picture: PictureFile::at("/pictures/gone.png"),
                over_source: false,
                hint: HintKind::None,
                strength: 1.0,
                between: [0.0, 1.0],
            }],
            source: Some(source),
            ..Extras::default()
        };
        for (id, parent, document, recipe) in
            [(1, None, first, None), (2, Some(1), second, Some(recipe)), (3, Some(1), third, None)]
        {
            let parent = parent.map(NodeId);
            let (kind, detail) = (EditKind::Painted, format!("edit {id}"));
            let node = NewNode { id: NodeId(id), parent, kind, detail, document, recipe };
            project.add(&node).unwrap();
        }
        project.go_to(NodeId(2)).unwrap();
        project
    }
}

/// Writes an archive anew with entries changed or added.
fn changed(archive: &[u8], change: impl Fn(&str, Vec<u8>) -> Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let mut old = ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut new = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for at in 0..old.len() {
        let mut entry = old.by_index(at).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        for (name, bytes) in change(&name, bytes) {
            new.start_file(name, stored).unwrap();
            new.write_all(&bytes).unwrap();
        }
    }
    new.finish().unwrap().into_inner()
}

fn with_manifest(archive: &[u8], change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
    changed(archive, |name, bytes| {
        if name != MANIFEST {
            return vec![(name.to_owned(), bytes)];
        }
        let mut manifest = serde_json::from_slice(&bytes).unwrap();
        change(&mut manifest);
        vec![(name.to_owned(), serde_json::to_vec(&manifest).unwrap())]
    })
}

#[test]
fn a_project_in_one_file_comes_back_whole_in_another_home() {
    let (mine, theirs) = (Home::new(), Home::new());
    let mut project = mine.project();
    let file = mine.folder.path().join("fox.atelier");
    let export = project.export(&file).unwrap();
    assert_eq!(
        (export.edits, export.lost_sources),
        (3, 1),
        "the picture of the ControlNet is gone"
    );
    assert!(mine.names().iter().all(|name| !name.ends_with(".txt")), "{:?}", mine.names());

    let import = theirs.import(&file).unwrap();
    assert_eq!(import.edits, 3);
    let mut read = Project::open(&import.file).unwrap();
    assert_eq!(read.name(), "A fox");
    assert_eq!(read.trail().unwrap(), project.trail().unwrap());
    for id in [1, 2, 3].map(NodeId) {
        assert_eq!(read.document(id).unwrap(), project.document(id).unwrap());
        assert_eq!(read.thumbnail(id).unwrap(), project.thumbnail(id).unwrap());
    }
    // It can be gone on with.
    let document = read.document(NodeId(2)).unwrap();
    let (kind, parent) = (EditKind::Painted, Some(NodeId(2)));
    let id = read.trail().unwrap().next_id();
    let node = NewNode { id, parent, kind, detail: String::new(), document, recipe: None };
    assert_eq!(read.add(&node).unwrap().id, NodeId(4));
}

#[test]
fn places_on_the_other_computer_are_forgotten_and_pictures_that_came_along_are_found() {
    let (mine, theirs) = (Home::new(), Home::new());
    let file = mine.folder.path().join("fox.atelier");
    let mut project = mine.project();
    project.export(&file).unwrap();
    let import = theirs.import(&file).unwrap();
    let read = Project::open(&import.file).unwrap();
    let recipe = read.recipe(NodeId(2)).unwrap().unwrap();
    assert_eq!(recipe.model.name, "net.safetensors");
    assert_eq!(recipe.extras.loras[0].model.name, "a.safetensors");
    assert_eq!(recipe.noise, NoiseSource::Seed);
    assert!(recipe.extras.controls.is_empty());
    let source = recipe.extras.source.unwrap();
    for file in [&source.picture, source.mask.as_ref().unwrap()] {
        assert!(file.path.starts_with(theirs.sources()), "{file:?}");
        assert_eq!(hex(&Sha256::digest(fs::read(&file.path).unwrap())), file.sha256);
    }
    assert_eq!(
        import.forgotten,
        [
            "/models/somewhere/net.safetensors",
            "/noise",
            "/pictures/gone.png",
            "C:\\loras\\a.safetensors"
        ]
    );
}

#[test]
fn an_archive_that_is_cut_or_changed_anywhere_is_refused_and_leaves_nothing() {
    let (mine, theirs) = (Home::new(), Home::new());
    let file = mine.folder.path().join("fox.atelier");
    mine.project().export(&file).unwrap();
    let whole = fs::read(&file).unwrap();
    let bad = mine.folder.path().join("bad.atelier");
    for cut in (0..whole.len()).step_by(whole.len() / 60) {
        fs::write(&bad, &whole[..cut]).unwrap();
        let error = theirs.import(&bad).unwrap_err();
        assert!(matches!(error, EngineError::Damaged { .. }), "{cut}: {error}");
        assert!(!error.hint().is_empty());
    }
    // A byte of a part is noticed wherever it is.
    let parts = changed(&whole, |name, mut bytes| {
        if name == part_file(0) {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        vec![(name.to_owned(), bytes)]
    });
    fs::write(&bad, parts).unwrap();
    assert!(matches!(theirs.import(&bad), Err(EngineError::Damaged { .. })));
    assert!(theirs.names().is_empty(), "{:?}", theirs.names());
}

#[test]
fn tricks_with_paths_doubles_and_missing_parts_are_refused() {
    let (mine, theirs) = (Home::new(), Home::new());
    let file = mine.folder.path().join("fox.atelier");
    mine.project().export(&file).unwrap();
    let whole = fs::read(&file).unwrap();
    let bad = mine.folder.path().join("bad.atelier");
    let tricks: Vec<(&str, Vec<u8>)> = vec![
        (
            "a source with a path",
            with_manifest(&whole, |manifest| {
                manifest["sources"][0] = "../../evil.png".into();
            }),
        ),
        (
            "a source of another name",
            changed(&whole, |name, bytes| {
                vec![(
                    name.to_owned(),
                    if name.starts_with(SOURCES) { vec![1, 2, 3] } else { bytes },
                )]
            }),
        ),
        (
            "an edit that is its own parent",
            with_manifest(&whole, |manifest| {
                manifest["edits"][1]["parent"] = 2.into();
            }),
        ),
        (
            "an edit without a document",
            with_manifest(&whole, |manifest| {
                let mut edit = manifest["edits"][2].clone();
                edit["id"] = 9.into();
                manifest["edits"].as_array_mut().unwrap().push(edit);
            }),
        ),
        (
            "fewer edits than documents",
            with_manifest(&whole, |manifest| {
                manifest["edits"].as_array_mut().unwrap().pop();
            }),
        ),
        ("no parts", with_manifest(&whole, |manifest| manifest["part_files"] = 0.into())),
        (
            "more parts than there are",
            with_manifest(&whole, |manifest| {
                manifest["part_files"] = 4_000_000.into();
            }),
        ),
        (
            "a recipe out of range",
            with_manifest(&whole, |manifest| {
                manifest["edits"][1]["recipe"]["sampling"]["steps"] = 4_000_000.into();
            }),
        ),
        (
            "no manifest",
            changed(&whole, |name, bytes| match name {
                MANIFEST => Vec::new(),
                name => vec![(name.to_owned(), bytes)],
            }),
        ),
        ("another format", with_manifest(&whole, |manifest| manifest["format"] = "x".into())),
    ];
    for (what, bytes) in tricks {
        fs::write(&bad, bytes).unwrap();
        let error = theirs.import(&bad).unwrap_err();
        assert!(matches!(error, EngineError::Damaged { .. }), "{what}: {error}");
    }
    fs::write(&bad, with_manifest(&whole, |manifest| manifest["version"] = 2.into())).unwrap();
    assert!(matches!(theirs.import(&bad), Err(EngineError::Index { .. })));
    assert!(theirs.names().is_empty(), "{:?}", theirs.names());
    assert!(!mine.folder.path().join("evil.png").exists());
    // A name that would be a path becomes one that is none.
    fs::write(
        &bad,
        with_manifest(&whole, |manifest| {
            manifest["name"] = "../../\u{202e}a fox?".into();
        }),
    )
    .unwrap();
    assert_eq!(theirs.import(&bad).unwrap().file, theirs.projects().join("a fox.atelier-project"));
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let (mine, theirs) = (Home::new(), Home::new());
    let file = mine.folder.path().join("fox.atelier");
    mine.project().export(&file).unwrap();
    let whole = fs::read(&file).unwrap();
    let bad = mine.folder.path().join("bad.atelier");
    // A tile that unpacks to a gigabyte.
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0_u8; 1 << 20];
    (0..1024).for_each(|_| packed.write_all(&zeros).unwrap());
    let packed = packed.finish().unwrap();
    let mut part = vec![b'T'];
    part.extend(77_i64.to_le_bytes());
    part.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
    part.extend(Sha256::digest(&packed));
    part.extend(packed);
    let bomb = changed(&whole, |name, mut bytes| {
        if name == part_file(0) {
            bytes.extend(&part);
        }
        vec![(name.to_owned(), bytes)]
    });
    fs::write(&bad, bomb).unwrap();
    let error = theirs.import(&bad).unwrap_err();
    assert!(matches!(error, EngineError::Damaged { .. }), "{error}");
    assert!(theirs.names().is_empty(), "{:?}", theirs.names());
}

#[test]
fn what_killed_copies_left_is_swept_and_nothing_while_somebody_copies() {
    let home = Home::new();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.projects()).unwrap();
    for folder in [home.projects(), elsewhere.path().to_owned()] {
        fs::write(folder.join(".atelier-7-0.part"), "half").unwrap();
    }
    let note = home.projects().join("copying-to-7-0.txt");
    fs::write(&note, elsewhere.path().to_str().unwrap()).unwrap();
    let copying = locked(&home.projects()).unwrap();
    assert_eq!(sweep(&home.projects()).unwrap(), 0);
    drop(copying);
    assert_eq!(sweep(&home.projects()).unwrap(), 2);
    assert!(home.names().is_empty(), "{:?}", home.names());
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
