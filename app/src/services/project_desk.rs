//! The desk that keeps projects, on a thread of its own: the window never waits for a disk, and an
//! edit is on it before the next one is taken up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::{fmt, fs};

use atelier_engine::EngineError;
use atelier_engine::canvas::{
    Area, Document, Filter, SeamReport, Tiles, outline, paint_gradient, scale,
};
use atelier_engine::library::hex;
use atelier_engine::protocol::{PictureFile, PictureRequest, Pixels, Request};
use atelier_engine::store::projects::archive::{ARCHIVE_EXTENSION, import, sweep};
use atelier_engine::store::projects::{EditKind, NewNode, NodeId, Project, list};
use atelier_engine::store::{files, png};
use sha2::{Digest, Sha256};

use super::picture_export::{read_picture, write_picture};
use super::places::{PROJECTS, SOURCES};
use super::project_guides::{place_of, write_guides};
use crate::state::ProjectEntry;
use crate::state::editor::{Candidate, SeamNote};
use crate::update::{
    Change, FoundMask, Incoming, JobPurpose, Made, OpenedProject, Preparation, ProjectNews,
    ProjectTask, Selected,
};

/// What can just be seen of a seam: a jump of luma in levels of 255, and a ΔE.
const SEEN: [f64; 2] = [1.0, 1.0];
/// How many projects are listed.
const LISTED: usize = 50;

/// Is the window's end of the desk.
pub struct ProjectDesk {
    orders: Sender<Option<ProjectTask>>,
    news: Receiver<ProjectNews>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for ProjectDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProjectDesk")
    }
}

impl ProjectDesk {
    /// Starts the desk; `wake` is called when there is news.
    pub fn new(wake: impl Fn() + Send + 'static) -> Self {
        let (orders, received) = channel::<Option<ProjectTask>>();
        let (send, news) = channel();
        let work = move || {
            let mut desk = Desk::default();
            for task in received.iter() {
                let Some(task) = task else { break };
                let mut tell = |news| {
                    // Nobody listens any more only while the window closes.
                    let _closing = send.send(news);
                    wake();
                };
                if let Err(error) = desk.carry_out(task, &mut tell) {
                    tell(ProjectNews::Failed(error));
                }
            }
            // What could not be written is tried a last time.
            let _lost = desk.write_unsaved();
        };
        let thread = thread::Builder::new().name("atelier-projects".to_owned()).spawn(work).ok();
        Self { orders, news, thread }
    }

    /// Asks for something; never blocks.
    pub fn ask(&self, task: ProjectTask) {
        let _closing = self.orders.send(Some(task));
    }

    /// Takes the news since the last call; never blocks.
    pub fn poll(&self) -> impl Iterator<Item = Incoming> {
        self.news.try_iter().map(Incoming::Project)
    }
}

impl Drop for ProjectDesk {
    fn drop(&mut self) {
        // What was asked before is done first: nothing that the person did is lost.
        let _stopped = self.orders.send(None);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Holds what the desk works with.
#[derive(Default)]
struct Desk {
    home: Option<PathBuf>,
    project: Option<Project>,
    /// Edits that could not be written, in their order.
    unsaved: Vec<NewNode>,
    /// The document of which a job read last, what of it, and where that was written: who points at one
    /// thing after another has it written once.
    source: Option<(Document, Area, PictureFile)>,
}

impl Desk {
    fn carry_out(
        &mut self,
        task: ProjectTask,
        tell: &mut dyn FnMut(ProjectNews),
    ) -> Result<(), EngineError> {
        match task {
            ProjectTask::Home(folder) => {
                self.home = Some(folder);
                // A folder that cannot be swept can still be used, or says why it cannot.
                let _ = sweep(&self.folder(PROJECTS)?);
                tell(ProjectNews::Listed(self.listed()?));
            }
            ProjectTask::ReadFile(path) => {
                let document = read_picture(&path)?;
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                tell(ProjectNews::File(name, Box::new(document)));
            }
            ProjectTask::Create { name, first } => {
                self.close()?;
                let project = Project::create(&self.folder(PROJECTS)?, &name)?;
                tell(ProjectNews::Created(project.path().to_owned()));
                self.project = Some(project);
                self.add(*first, tell);
                tell(ProjectNews::Listed(self.listed()?));
            }
            ProjectTask::Import(from) => {
                let (projects, sources) = (self.folder(PROJECTS)?, self.folder(SOURCES)?);
                let imported = import(&from, &projects, &sources)?;
                self.open(&imported.file, tell)?;
                if !imported.forgotten.is_empty() {
                    tell(ProjectNews::Forgotten(imported.forgotten));
                }
                tell(ProjectNews::Listed(self.listed()?));
            }
            ProjectTask::OpenLatest => {
                let latest = list(&self.folder(PROJECTS)?)?.into_iter().next();
                let path = latest.ok_or_else(|| {
                    EngineError::invalid("list of projects", "is empty: edit a picture first")
                })?;
                self.open(&path, tell)?;
            }
            ProjectTask::Open(path) => {
                if let Err(error) = self.open(&path, tell) {
                    tell(ProjectNews::NotOpened(error));
                }
            }
            ProjectTask::Close => {
                self.close()?;
                tell(ProjectNews::Listed(self.listed()?));
            }
            ProjectTask::Add(node) => self.add(*node, tell),
            ProjectTask::GoTo(id) => {
                // One that only looks goes about without leaving a trace.
                if let Some(project) = self.project.as_mut().filter(|one| one.is_writable()) {
                    project.go_to(id)?;
                }
            }
            ProjectTask::ReadDocument(id) => {
                let document = self.document(id)?;
                tell(ProjectNews::Document(id, Box::new(document)));
            }
            ProjectTask::ReadThumbnail(id) => {
                let read = self.project.as_ref().map(|project| project.thumbnail(id));
                let pixels = read.transpose().unwrap_or_default().flatten().map(Arc::new);
                tell(ProjectNews::Thumbnail(id, pixels));
            }
            ProjectTask::ReadRecipe { node, parent } => {
                let recipe = self.recipe(node)?;
                let document = self.document(parent)?;
                tell(ProjectNews::Recipe(Box::new(recipe), Box::new(document)));
            }
            ProjectTask::ReadSetting { node, by_hand } => {
                let recipe = Box::new(self.recipe(node)?);
                tell(ProjectNews::Setting { recipe, by_hand });
            }
            ProjectTask::ReadCompared(id) => {
                let document = self.document(id)?;
                tell(ProjectNews::Compared(id, Box::new(document)));
            }
            ProjectTask::Prepare(preparation) => {
                tell(ProjectNews::Prepared(Box::new(self.prepare(*preparation)?)));
            }
            ProjectTask::Stage(made) => match made.purpose {
                JobPurpose::Paint => tell(ProjectNews::Candidate(Box::new(candidate(*made)?))),
                JobPurpose::CutOut => {
                    let document = cut_out(*made)?;
                    tell(ProjectNews::Remade(JobPurpose::CutOut, Box::new(document)));
                }
                purpose => {
                    let document = Document::of_picture(&made.picture, made.name)?;
                    tell(ProjectNews::Remade(purpose, Box::new(document)));
                }
            },
            ProjectTask::TakeMask(FoundMask { ticket, area, mask }) => {
                let selection = Tiles::from_bytes(area, &mask);
                let outline = Arc::new(outline(&selection));
                let selected = Selected { ticket, area, selection, outline };
                tell(ProjectNews::Selected(Box::new(selected)));
            }
            ProjectTask::Change { from, mut document, change } => {
                let kind = carry_change(&mut document, change)?;
                tell(ProjectNews::Changed { from, kind, document });
            }
            ProjectTask::Copy(document) => {
                let picture = document
                    .selected_picture()
                    .ok_or_else(|| EngineError::invalid("selection", "lies outside the picture"))?;
                tell(ProjectNews::Copied(Arc::new(picture)));
            }
            ProjectTask::Paste(image) => {
                let [width, height] = image.size.map(u32::try_from);
                let rgba = image.pixels.iter().flat_map(|one| one.to_srgba_unmultiplied());
                let picture = width.ok().zip(height.ok()).and_then(|(width_px, height_px)| {
                    Pixels::new(width_px, height_px, rgba.collect())
                });
                let picture = picture.ok_or_else(|| {
                    EngineError::invalid("picture", "in the clipboard has no size")
                })?;
                tell(ProjectNews::Pasted(Box::new(Document::of_picture(&picture, "")?)));
            }
            ProjectTask::Export { document, to } => {
                if to.extension().is_some_and(|end| end.eq_ignore_ascii_case(ARCHIVE_EXTENSION)) {
                    self.write_unsaved()?;
                    self.project.as_mut().ok_or_else(none_open)?.export(&to)?;
                } else {
                    write_picture(&document, &to)?;
                }
                tell(ProjectNews::Exported(to));
            }
        }
        Ok(())
    }

    /// Returns a folder of the data folder.
    fn folder(&self, name: &str) -> Result<PathBuf, EngineError> {
        let home = self.home.as_ref().ok_or_else(|| {
            EngineError::invalid("library", "is not open, so projects cannot be kept")
        })?;
        Ok(home.join(name))
    }

    fn listed(&self) -> Result<Vec<ProjectEntry>, EngineError> {
        let entry = |path: PathBuf| ProjectEntry {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            path,
        };
        Ok(list(&self.folder(PROJECTS)?)?.into_iter().take(LISTED).map(entry).collect())
    }

    fn open(&mut self, path: &Path, tell: &mut dyn FnMut(ProjectNews)) -> Result<(), EngineError> {
        // Its own lock would make it one that can only be looked at.
        if self.project.as_ref().is_some_and(|open| open.path() == path) {
            return Ok(());
        }
        let mut project = Project::open(path)?;
        let trail = project.trail()?;
        let head = trail.head().ok_or_else(|| EngineError::damaged(path, "has no edits"))?;
        let document = project.document(head)?;
        self.close()?;
        tell(ProjectNews::Opened(Box::new(OpenedProject {
            path: path.to_owned(),
            name: project.name(),
            is_read_only: !project.is_writable(),
            trail,
            document,
        })));
        self.project = Some(project);
        Ok(())
    }

    fn close(&mut self) -> Result<(), EngineError> {
        let written = self.write_unsaved();
        self.project = None;
        self.unsaved.clear();
        written
    }

    /// Writes an edit, after those that could not be written before.
    fn add(&mut self, node: NewNode, tell: &mut dyn FnMut(ProjectNews)) {
        self.unsaved.push(node);
        let waiting: Vec<NodeId> = self.unsaved.iter().map(|node| node.id).collect();
        let written = self.write_unsaved();
        let left = self.unsaved.len();
        for id in &waiting[..waiting.len() - left] {
            tell(ProjectNews::Saved(*id));
        }
        if let Err(error) = written {
            tell(ProjectNews::Unsaved(error));
        }
    }

    fn write_unsaved(&mut self) -> Result<(), EngineError> {
        let Some(project) = self.project.as_mut() else {
            return if self.unsaved.is_empty() { Ok(()) } else { Err(none_open()) };
        };
        while let Some(node) = self.unsaved.first() {
            project.add(node)?;
            self.unsaved.remove(0);
        }
        Ok(())
    }

    fn document(&mut self, id: NodeId) -> Result<Document, EngineError> {
        if let Some(node) = self.unsaved.iter().find(|node| node.id == id) {
            return Ok(node.document.clone());
        }
        self.project.as_mut().ok_or_else(none_open)?.document(id)
    }

    fn recipe(&self, id: NodeId) -> Result<PictureRequest, EngineError> {
        let unsaved = self.unsaved.iter().find(|node| node.id == id);
        let recipe = match unsaved {
            Some(node) => node.recipe.clone(),
            None => self.project.as_ref().ok_or_else(none_open)?.recipe(id)?,
        };
        recipe.ok_or_else(|| {
            EngineError::invalid("edit", "has no recipe: nothing was generated there")
        })
    }

    /// Writes what a job reads of a document and names the files in its request.
    fn prepare(&mut self, mut preparation: Preparation) -> Result<Preparation, EngineError> {
        write_guides(&mut preparation, |area, rgba| self.keep_source(area, rgba))?;
        preparation.place = place_of(&preparation);
        let Some(area) = preparation.reads else { return Ok(preparation) };
        let document = &preparation.document;
        let known = self.source.as_ref().filter(|(before, of, file)| {
            *of == area && before.looks_like(document) && file.path.is_file()
        });
        let picture = match known {
            Some((_, _, file)) => file.clone(),
            None => self.keep_source(area, document.composite(area))?,
        };
        self.source = Some((document.clone(), area, picture.clone()));
        match &mut preparation.request {
            Request::Picture(request) => {
                if let Some(source) = &mut request.extras.source {
                    source.picture = picture;
                    source.mask = match &document.selection {
                        Some(selection) => {
                            let grey = selection.read(area);
                            let rgba = grey.iter().flat_map(|value| [*value, *value, *value, 255]);
                            Some(self.keep_source(area, rgba.collect())?)
                        }
                        None => None,
                    };
                }
            }
            Request::Enlarge(request) => request.picture = picture,
            Request::CutOut(request) => request.picture = picture,
            _ => return Err(EngineError::invalid("request", "reads no document")),
        }
        Ok(preparation)
    }

    /// Keeps a picture that a job reads under the hash of its bytes, so that its recipe stays
    /// complete.
    fn keep_source(&self, area: Area, rgba: Vec<u8>) -> Result<PictureFile, EngineError> {
        let pixels = Pixels::new(area.width_px, area.height_px, rgba)
            .ok_or_else(|| EngineError::invalid("selection", "lies outside the picture"))?;
        let bytes = png::encode_plain(&pixels)?;
        let sha256 = hex(&Sha256::digest(&bytes));
        let folder = self.folder(SOURCES)?;
        files::make_folder(&folder)?;
        let path = folder.join(format!("{sha256}.png"));
        if !fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64) {
            files::write_atomic(&path, &bytes)?;
        }
        Ok(PictureFile { path, sha256 })
    }
}

/// Does to a document what takes too long for a frame, and says what that was.
fn carry_change(document: &mut Document, change: Change) -> Result<EditKind, EngineError> {
    match change {
        Change::Resize(size) => {
            document.set_size(size, Filter::Lanczos)?;
            Ok(EditKind::Transformed)
        }
        Change::Reshape(id, shape) => {
            if let Some(layer) = document.layer_mut(id) {
                layer.pixels = shape.apply(&layer.pixels);
            }
            Ok(EditKind::Transformed)
        }
        Change::Gradient(id, gradient) => {
            let (area, selection) = (document.area(), document.selection.clone());
            if let Some(layer) = document.layer_mut(id) {
                paint_gradient(&mut layer.pixels, &gradient, selection.as_ref(), area);
            }
            Ok(EditKind::Filled)
        }
        Change::CutSelection(name) => {
            let bounds = document.selection.as_ref().and_then(Tiles::bounds);
            let at = bounds.map(|bounds| bounds.intersect(document.area()));
            let at = at.map_or([0, 0], |area| [area.x, area.y]);
            let picture = document
                .selected_picture()
                .ok_or_else(|| EngineError::invalid("selection", "lies outside the picture"))?;
            lay_alone(document, &picture, at, name)?;
            document.selection = None;
            Ok(EditKind::CutOut)
        }
    }
}

/// Lays a picture over a document and hides all else.
fn lay_alone(
    document: &mut Document,
    picture: &Pixels,
    at: [i32; 2],
    name: String,
) -> Result<(), EngineError> {
    for layer in document.layers.iter_mut().filter(|layer| layer.shows()) {
        layer.is_visible = false;
    }
    document.active = document.layers.last().map(|layer| layer.id);
    document.place(picture, at, name)?;
    Ok(())
}

fn none_open() -> EngineError {
    EngineError::invalid("project", "is not open")
}

/// Makes a candidate: the document with what was made as a layer. What the selection left out is
/// not touched, whatever the job made of it.
fn candidate(made: Made) -> Result<Candidate, EngineError> {
    let Made { from, base, reads, picture, recipe, name, .. } = made;
    let recipe = recipe.ok_or_else(|| EngineError::invalid("picture", "has no recipe"))?;
    let area = reads.unwrap_or_else(|| base.area());
    let picture = fitted(&picture, area)?;
    let before = base.composite(area);
    let mask = base.selection.as_ref().filter(|_| reads.is_some()).map(|one| one.read(area));
    let mut rgba = picture.rgba.clone();
    for (at, (new, old)) in rgba.chunks_exact_mut(4).zip(before.chunks_exact(4)).enumerate() {
        let may_change = mask.as_ref().is_none_or(|mask| mask.get(at).is_some_and(|one| *one > 0));
        if !may_change || new == old {
            new.fill(0);
        }
    }
    let layer = Pixels { rgba, ..picture };
    let mut document = base.clone();
    // Above everything that is seen, so that it shows as it was made.
    document.active = document.layers.last().map(|layer| layer.id);
    document.place(&layer, [area.x, area.y], name)?;
    check_untouched(&base, &document, area, mask.as_deref())?;
    let seam = mask.and_then(|mask| seam_of(&base, &document, area, &mask));
    Ok(Candidate { recipe, from, document, area, seam })
}

/// Lays the subject that was cut out over the document and hides what it was cut out of.
fn cut_out(made: Made) -> Result<Document, EngineError> {
    let mut document = made.base;
    lay_alone(&mut document, &made.picture, [0, 0], made.name)?;
    Ok(document)
}

/// Measures how well an edit joins what surrounds it; `None` where it has no edge.
fn seam_of(before: &Document, after: &Document, area: Area, mask: &[u8]) -> Option<SeamNote> {
    let picture =
        |document: &Document| Pixels::new(area.width_px, area.height_px, document.composite(area));
    let report = SeamReport::of(&picture(before)?, &picture(after)?, mask).ok()?;
    let [jump, delta_e] = report.ratios(SEEN);
    (report.ways > 0).then_some(SeamNote { jump, delta_e })
}

/// Checks that pixels whose mask is 0 have the same bits as before.
fn check_untouched(
    before: &Document,
    after: &Document,
    area: Area,
    mask: Option<&[u8]>,
) -> Result<(), EngineError> {
    let Some(mask) = mask else { return Ok(()) };
    let (old, new) = (before.composite(area), after.composite(area));
    let pairs = old.chunks_exact(4).zip(new.chunks_exact(4)).zip(mask);
    let changed = pairs.filter(|((old, new), mask)| **mask == 0 && old != new).count();
    if changed > 0 {
        let reason = format!("would have changed {changed} pixels that were not selected");
        return Err(EngineError::Model { reason });
    }
    Ok(())
}

/// Brings a picture to the size of an area, where it has another.
pub(super) fn fitted(picture: &Pixels, area: Area) -> Result<Pixels, EngineError> {
    let Pixels { width_px, height_px, .. } = *picture;
    if [width_px, height_px] == [area.width_px, area.height_px] {
        return Ok(picture.clone());
    }
    let from = Area::new(0, 0, width_px, height_px);
    let to = Area::new(0, 0, area.width_px, area.height_px);
    let whole = Tiles::<4>::from_bytes(from, &picture.rgba);
    let scaled = scale(&whole, from, to, Filter::Lanczos, to).read(to);
    Pixels::new(to.width_px, to.height_px, scaled)
        .ok_or_else(|| EngineError::invalid("picture", "cannot have the size of the document"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use atelier_engine::protocol::{ModelRef, Size};

    use super::*;
    use crate::state::PromptState;

    fn recipe() -> PictureRequest {
        PromptState::default().request(ModelRef::named("x"), Default::default())
    }

    #[test]
    fn a_candidate_changes_no_bit_that_was_not_selected_whatever_was_made() {
        let size = Size { width_px: 200, height_px: 100 };
        let old: Vec<u8> = (0..200 * 100 * 4).map(|at| (at * 7 % 256) as u8).collect();
        let picture = Pixels::new(200, 100, old).unwrap();
        let mut base = Document::of_picture(&picture, "Picture").unwrap();
        let mut selection = Tiles::default();
        selection.fill(Area::new(20, 20, 30, 30), [255]);
        selection.fill(Area::new(50, 20, 5, 30), [9]);
        base.selection = Some(selection);
        let wild = Pixels::new(200, 100, vec![1; 200 * 100 * 4]).unwrap();
        let area = base.area();
        let made = Made {
            purpose: JobPurpose::Paint,
            from: None,
            base: base.clone(),
            reads: Some(area),
            picture: Arc::new(wild),
            recipe: Some(recipe()),
            name: "x".to_owned(),
        };
        let candidate = candidate(made).unwrap();
        let after = candidate.document.picture();
        assert_eq!(candidate.document.size, size);
        let mut changed = 0;
        for (at, (old, new)) in
            picture.rgba.chunks_exact(4).zip(after.rgba.chunks_exact(4)).enumerate()
        {
            let inside = (20..55).contains(&(at % 200)) && (20..50).contains(&(at / 200));
            changed += usize::from(old != new);
            assert!(inside || old == new, "pixel {at}");
        }
        assert!(changed > 1000);
    }

    #[test]
    fn what_a_job_reads_is_kept_by_the_hash_of_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk { home: Some(folder.path().to_owned()), ..Desk::default() };
        let file = desk.keep_source(Area::new(0, 0, 2, 1), vec![5; 8]).unwrap();
        let again = desk.keep_source(Area::new(0, 0, 2, 1), vec![5; 8]).unwrap();
        assert_eq!(file, again);
        let bytes = fs::read(&file.path).unwrap();
        assert_eq!(png::decode(&bytes).unwrap().rgba, [5; 8]);
    }
}
