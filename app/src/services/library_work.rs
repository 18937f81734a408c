//! What takes its time in the library: imports, copies and checks, one after the other on a thread of
//! their own, each of which can be broken off.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use atelier_engine::EngineError;
use atelier_engine::store::Store;
use atelier_engine::store::import::{ImportEnd, ImportReport, SilentPictures};

use super::library_desk::{SharedStore, Tell, opened};
use crate::state::ResultId;
use crate::state::library_work::{ExportReport, WorkKind, WorkProgress, WorkReport};
use crate::update::{ShelfNews, Work};

/// How often the window is told how far the work is.
const TELL_EVERY: Duration = Duration::from_millis(50);

/// Is the desk's end of the thread that does the work.
pub(super) struct Worker {
    orders: Sender<Option<Work>>,
    stop: Arc<AtomicBool>,
    is_closing: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread.
    pub(super) fn start(store: SharedStore, tell: Tell) -> Self {
        let (orders, received) = channel::<Option<Work>>();
        let stop = Arc::new(AtomicBool::new(false));
        let is_closing = Arc::new(AtomicBool::new(false));
        let (stopped, closed) = (stop.clone(), is_closing.clone());
        let work = move || {
            for work in received.iter() {
                let Some(work) = work else { return };
                // What was asked for after “stop” is done all the same.
                stopped.store(closed.load(Ordering::Relaxed), Ordering::Relaxed);
                let teller = Teller { tell: &tell, stop: &stopped, told: None };
                let report = carry_out(&store, work, teller);
                tell(ShelfNews::Ended(Box::new(report)));
            }
        };
        let thread = thread::Builder::new().name("atelier-library-work".to_owned()).spawn(work);
        Self { orders, stop, is_closing, thread: thread.ok() }
    }

    /// Has something done after what waits.
    pub(super) fn begin(&self, work: Work) {
        let _closing = self.orders.send(Some(work));
    }

    /// Breaks off what runs.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Breaks everything off and waits for the thread.
    pub(super) fn close(&mut self) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.stop();
        let _stopped = self.orders.send(None);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Tells the window how far the work is, now and then.
struct Teller<'a> {
    tell: &'a Tell,
    stop: &'a AtomicBool,
    told: Option<Instant>,
}

impl Teller<'_> {
    /// Says how far it is; returns whether to go on.
    fn go_on(&mut self, kind: WorkKind, [done, total]: [usize; 2], file: Option<&Path>) -> bool {
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            let name = file.and_then(Path::file_name).unwrap_or_default();
            let file = name.to_string_lossy().into_owned();
            let progress = WorkProgress { kind, done, total, file, is_stopping: false };
            (self.tell)(ShelfNews::Progress(progress));
        }
        !self.stop.load(Ordering::Relaxed)
    }
}

fn carry_out(store: &SharedStore, work: Work, mut teller: Teller<'_>) -> WorkReport {
    let kind = match work {
        Work::Import(_) => WorkKind::Import,
        Work::Export(..) => WorkKind::Export,
        Work::Check(_) => WorkKind::Check,
    };
    let report = opened(store).and_then(|store| match work {
        Work::Import(paths) => import(store, &paths, &mut teller),
        Work::Export(ids, folder) => Ok(export(store, &ids, &folder, &mut teller)),
        Work::Check(is_repair) => {
            let total = store.search_ids(&Default::default())?.len();
            let checked = store.check(is_repair, |done| {
                teller.go_on(WorkKind::Check, [done, total.max(done)], None)
            })?;
            Ok(WorkReport::Check(Box::new(checked), is_repair))
        }
    });
    report.unwrap_or_else(|error| WorkReport::Failed(kind, error))
}

/// Takes in folders and pictures one after the other; what cannot be read is in the report.
fn import(
    store: &Store,
    paths: &[PathBuf],
    teller: &mut Teller<'_>,
) -> Result<WorkReport, EngineError> {
    let mut whole = ImportReport::default();
    for path in paths {
        let came = store.import_folder(path, SilentPictures::Take, &mut |at| match teller.go_on(
            WorkKind::Import,
            [at.done, at.total],
            at.file,
        ) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        });
        let came = match came {
            Ok(came) => came,
            // One of several that cannot be read does not keep the others out.
            Err(error) if paths.len() > 1 => {
                let from = path.clone();
                whole.refused.push(atelier_engine::store::import::Refused { from, error });
                continue;
            }
            Err(error) => return Err(error),
        };
        whole.imported.extend(came.imported);
        whole.already_there.extend(came.already_there);
        whole.silent.extend(came.silent);
        whole.refused.extend(came.refused);
        whole.passed_over += came.passed_over;
        whole.end = came.end;
        if whole.end != ImportEnd::Complete {
            break;
        }
    }
    Ok(WorkReport::Import(Box::new(whole)))
}

fn export(store: &Store, ids: &[ResultId], folder: &Path, teller: &mut Teller<'_>) -> WorkReport {
    let mut report = ExportReport { folder: folder.to_owned(), ..ExportReport::default() };
    for (done, id) in ids.iter().enumerate() {
        if !teller.go_on(WorkKind::Export, [done, ids.len()], None) {
            report.is_stopped = true;
            break;
        }
        match store.export(*id, folder) {
            Ok(copy) => {
                report.copied += 1;
                report.bytes += copy.bytes;
                report.changed += usize::from(copy.is_changed);
            }
            Err(error) => {
                let is_full = matches!(error, EngineError::DiskFull { .. });
                report.refused.push(error);
                // Nothing more fits.
                if is_full {
                    break;
                }
            }
        }
    }
    WorkReport::Export(Box::new(report))
}
