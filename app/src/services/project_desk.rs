//! The desk that keeps projects, on a thread of its own: the window never waits for a disk, and an
//! edit is on it before the next one is taken up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::{fmt, fs};

use atelier_engine::EngineError;
use atelier_engine::canvas::{
    Area, Document, Filter, RegionPlan, SeamReport, SizeRules, Tiles, scale,
};
use atelier_engine::library::hex;
use atelier_engine::protocol::{PictureFile, Pixels, Request, Size};
use atelier_engine::store::projects::{NewNode, NodeId, Project, list};
use atelier_engine::store::{files, png};
use sha2::{Digest, Sha256};

use super::picture_export::{read_picture, write_picture};
use crate::state::ProjectEntry;
use crate::state::editor::{Candidate, PaintPlace, SeamNote};
use crate::update::{
    Incoming, JobPurpose, Made, OpenedProject, Preparation, ProjectNews, ProjectTask,
};

/// The folder of the projects within the data folder.
const PROJECTS: &str = "projects";
/// The folder of what jobs read, by the hash of their bytes, within the data folder.
const SOURCES: &str = "sources";
/// What can just be seen of a seam: a jump of luma in levels of 255, and a ΔE.
const SEEN: [f64; 2] = [1.0, 1.0];
/// The longest side of the mask with which a preview fades into the document.
const PLACE_PX: u32 = 256;
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
                let project = self.project.as_ref().ok_or_else(none_open)?;
                let recipe = project.recipe(node)?.ok_or_else(|| {
                    EngineError::invalid("edit", "has no recipe: nothing was generated there")
                })?;
                let document = self.document(parent)?;
                tell(ProjectNews::Recipe(Box::new(recipe), Box::new(document)));
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
            ProjectTask::Export { document, to } => {
                write_picture(&document, &to)?;
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

    /// Writes what a job reads of a document and names the files in its request.
    fn prepare(&self, mut preparation: Preparation) -> Result<Preparation, EngineError> {
        self.write_guides(&mut preparation)?;
        preparation.place = place_of(&preparation);
        let Some(area) = preparation.reads else { return Ok(preparation) };
        let document = &preparation.document;
        let picture = self.keep_source(area, document.composite(area))?;
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

    /// Writes what ControlNets are shown: the layer, or where that is empty what is seen of the document,
    /// of the part that the job reads.
    fn write_guides(&self, preparation: &mut Preparation) -> Result<(), EngineError> {
        let Preparation { document, request, reads, guides, .. } = preparation;
        let Request::Picture(request) = request else { return Ok(()) };
        let controls = &mut request.extras.controls;
        let first = controls.len().saturating_sub(guides.len());
        let area = reads.unwrap_or_else(|| document.area());
        for (control, id) in controls[first..].iter_mut().zip(guides.iter()) {
            let layer = document.layer(*id).filter(|layer| !layer.pixels.is_empty());
            let rgba = match layer {
                Some(layer) => layer.pixels.read(area),
                None => document.composite(area),
            };
            control.picture = if reads.is_some() {
                self.keep_source(area, rgba)?
            } else {
                // A picture from nothing is brought to the document's shape, and so is what guides it.
                let picture = Pixels { width_px: area.width_px, height_px: area.height_px, rgba };
                let Size { width_px, height_px } = request.size;
                let to = Area::new(0, 0, width_px, height_px);
                self.keep_source(to, fitted(&picture, to)?.rgba)?
            };
        }
        Ok(())
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

fn none_open() -> EngineError {
    EngineError::invalid("project", "is not open")
}

/// Finds where what a job paints will lie in the document, as the engine will.
fn place_of(preparation: &Preparation) -> Option<PaintPlace> {
    let Request::Picture(request) = &preparation.request else { return None };
    let document = &preparation.document;
    let open = |area| PaintPlace { area, alpha: Arc::from([]), grid: [0, 0] };
    let Some(reads) = preparation.reads else { return Some(open(document.area())) };
    let region = request.extras.source.as_ref()?.region?;
    let inner = Area::new(0, 0, reads.width_px, reads.height_px);
    let selection = match &document.selection {
        Some(selection) => Tiles::from_bytes(inner, &selection.read(reads)),
        None => {
            let mut all = Tiles::default();
            all.fill(inner, [255]);
            all
        }
    };
    let rules = SizeRules::exactly(request.size);
    let plan = RegionPlan::new(&selection, inner, (&rules, Some(request.size)), &region).ok()?;
    let context = plan.context;
    let area =
        Area::new(context.x + reads.x, context.y + reads.y, context.width_px, context.height_px);
    if document.selection.is_none() {
        return Some(open(area));
    }
    let sides = [context.width_px, context.height_px];
    let longest = sides[0].max(sides[1]).max(1);
    let grid = sides.map(|side| {
        let shrunk = u64::from(side) * u64::from(longest.min(PLACE_PX)) / u64::from(longest);
        shrunk.max(1) as usize
    });
    let mask = plan.mask.read(context);
    let middle = |at: usize, count: usize, side: u32| (2 * at + 1) * side as usize / (2 * count);
    let alpha = (0..grid[0] * grid[1]).map(|at| {
        let x = middle(at % grid[0], grid[0], sides[0]);
        let y = middle(at / grid[0], grid[1], sides[1]);
        mask.get(y * sides[0] as usize + x).copied().unwrap_or_default()
    });
    Some(PaintPlace { area, alpha: alpha.collect(), grid })
}

/// Makes a candidate: the document with what was made as a layer. What the selection left out is
/// not touched, whatever the job made of it.
fn candidate(made: Made) -> Result<Candidate, EngineError> {
    let Made { base, reads, picture, recipe, name, .. } = made;
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
    Ok(Candidate { recipe, document, area, seam })
}

/// Lays the subject that was cut out over the document and hides what it was cut out of.
fn cut_out(made: Made) -> Result<Document, EngineError> {
    let mut document = made.base;
    for layer in document.layers.iter_mut().filter(|layer| layer.shows()) {
        layer.is_visible = false;
    }
    document.active = document.layers.last().map(|layer| layer.id);
    document.place(&made.picture, [0, 0], made.name)?;
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
fn fitted(picture: &Pixels, area: Area) -> Result<Pixels, EngineError> {
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

    use atelier_engine::canvas::LayerKind;
    use atelier_engine::protocol::{
        ControlUse, HintKind, ModelRef, PictureRequest, Region, RegionMode, Source,
    };

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
    fn what_control_layers_show_is_written_for_the_part_that_is_read_and_its_place_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk { home: Some(folder.path().to_owned()), ..Desk::default() };
        let mut document = Document::new(Size { width_px: 900, height_px: 600 }).unwrap();
        let drawn = document.add_layer("Control", LayerKind::Control).unwrap();
        let ink = Area::new(500, 200, 40, 30);
        document.layer_mut(drawn).unwrap().pixels.fill(ink, [0, 0, 0, 255]);
        let empty = document.add_layer("Empty", LayerKind::Control).unwrap();
        let paint = document.add_layer("Paint", LayerKind::Raster).unwrap();
        let whole = document.area();
        document.layer_mut(paint).unwrap().pixels.fill(whole, [9, 200, 9, 255]);
        let mut selection = Tiles::default();
        selection.fill(Area::new(520, 210, 60, 60), [255]);
        document.selection = Some(selection);
        let mut request = recipe();
        request.size = Size { width_px: 256, height_px: 256 };
        let region = Some(Region { mode: RegionMode::Focus, ..Region::default() });
        request.extras.source = Some(Source { region, ..Source::new("", 1.0) });
        for _ in 0..2 {
            request.extras.controls.push(ControlUse {
                model: ModelRef::named("net"),
                picture: PictureFile::at(""),
                over_source: true,
                hint: HintKind::None,
                strength: 1.0,
                between: [0.0, 1.0],
            });
        }
        let reads = Area::new(400, 100, 400, 300);
        let prepared = desk
            .prepare(Preparation {
                purpose: JobPurpose::Paint,
                document,
                request: Request::Picture(Box::new(request)),
                reads: Some(reads),
                guides: vec![drawn, empty],
                place: None,
            })
            .unwrap();
        let Request::Picture(request) = &prepared.request else { unreachable!() };
        let read = |at: usize| {
            let path = &request.extras.controls[at].picture.path;
            png::decode(&fs::read(path).unwrap()).unwrap()
        };
        let (first, second) = (read(0), read(1));
        assert_eq!([first.width_px, first.height_px], [400, 300]);
        let pixel = |pixels: &Pixels, [x, y]: [usize; 2]| {
            pixels.rgba[4 * (y * 400 + x)..][..4].to_vec()
        };
        assert_eq!(pixel(&first, [110, 110]), [0, 0, 0, 255]);
        assert_eq!(pixel(&first, [10, 10]), [0; 4]);
        // An empty layer shows the picture.
        assert_eq!(pixel(&second, [10, 10]), [9, 200, 9, 255]);
        let place = prepared.place.unwrap();
        assert!(place.area.contains([520, 210]) && place.area.contains([579, 269]));
        assert!(place.area.width_px < 120, "{:?}", place.area);
        let middle = place.grid[1] / 2 * place.grid[0] + place.grid[0] / 2;
        assert_eq!((place.alpha[0], place.alpha[middle]), (0, 255));
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
