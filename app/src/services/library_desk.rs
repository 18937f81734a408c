//! The desk of the library room: searching and changing on one thread, thumbnails on others, and what
//! takes its time on one more, so that neither waits for the others and the window for none.

use std::collections::VecDeque;
use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use atelier_engine::EngineError;
use atelier_engine::store::Store;
use atelier_engine::store::search::{LibraryQuery, Page};

use super::librarian::entry;
use super::library_cards::{card, summarise};
use super::library_work::Worker;
use crate::state::ResultId;
use crate::state::library::Shelves;
use crate::update::{BoardChange, Incoming, MarkChange, ShelfNews, ShelfTask};

/// Is the library, once the librarian has opened it.
pub type SharedStore = Arc<OnceLock<Arc<Store>>>;

/// Tells the window.
pub(super) type Tell = Arc<dyn Fn(ShelfNews) + Send + Sync>;

/// How many threads read thumbnails at most; others have work to do as well.
const MOST_READERS: usize = 4;

/// Returns the library.
///
/// # Errors
/// [`EngineError::Index`] when it could not be opened.
pub(super) fn opened(store: &SharedStore) -> Result<&Store, EngineError> {
    let closed = || EngineError::Index { reason: "the library is not open".to_owned() };
    store.get().map(AsRef::as_ref).ok_or_else(closed)
}

/// Is the window's end of the desk.
pub struct LibraryDesk {
    orders: Sender<Option<ShelfTask>>,
    news: Receiver<ShelfNews>,
    wanted: Arc<Wanted>,
    worker: Worker,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for LibraryDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LibraryDesk")
    }
}

/// Holds the results that the grid waits for.
#[derive(Default)]
struct Wanted {
    list: Mutex<WantedList>,
    came: Condvar,
}

#[derive(Default)]
struct WantedList {
    ids: VecDeque<ResultId>,
    is_closed: bool,
}

impl Wanted {
    fn list(&self) -> MutexGuard<'_, WantedList> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next result that is wanted; `None` when the desk closes.
    fn next(&self) -> Option<ResultId> {
        let mut list = self.list();
        loop {
            if list.is_closed {
                return None;
            }
            if let Some(id) = list.ids.pop_front() {
                return Some(id);
            }
            list = self.came.wait(list).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl LibraryDesk {
    /// Starts the desk; `wake` is called when there is news.
    pub fn new(store: SharedStore, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let (orders, received) = channel::<Option<ShelfTask>>();
        let (send, news) = channel();
        let tell: Tell = Arc::new(move |news| {
            // Nobody listens any more only while the window closes.
            let _closing = send.send(news);
            wake();
        });
        let wanted = Arc::new(Wanted::default());
        let mut threads = Vec::new();
        let (own, told) = (store.clone(), tell.clone());
        let desk = move || work(&own, &received, &told);
        threads.extend(thread::Builder::new().name("atelier-shelf".to_owned()).spawn(desk).ok());
        let cores = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..(cores / 4).clamp(1, MOST_READERS) {
            let (own, told, wanted) = (store.clone(), tell.clone(), wanted.clone());
            let read = move || {
                while let Some(id) = wanted.next() {
                    // What cannot be read has no place in the grid's memory; it stays a blank.
                    if let Ok(Some(card)) = opened(&own).and_then(|store| card(store, id)) {
                        told(ShelfNews::Cards(vec![card]));
                    }
                }
            };
            let reader = thread::Builder::new().name("atelier-thumbnails".to_owned()).spawn(read);
            threads.extend(reader.ok());
        }
        let worker = Worker::start(store, tell);
        Self { orders, news, wanted, worker, threads }
    }

    /// Asks for something; never blocks.
    pub fn ask(&self, task: ShelfTask) {
        match task {
            ShelfTask::ReadCards(ids) => {
                self.wanted.list().ids = ids.into();
                self.wanted.came.notify_all();
            }
            ShelfTask::Begin(work) => self.worker.begin(work),
            ShelfTask::Stop => self.worker.stop(),
            other => {
                let _closing = self.orders.send(Some(other));
            }
        }
    }

    /// Takes the news since the last call; never blocks.
    pub fn poll(&self) -> impl Iterator<Item = Incoming> {
        self.news.try_iter().map(Incoming::Shelf)
    }
}

impl Drop for LibraryDesk {
    fn drop(&mut self) {
        // What was said about results is written first; thumbnails and long work are given up.
        self.worker.close();
        self.wanted.list().is_closed = true;
        self.wanted.came.notify_all();
        let _stopped = self.orders.send(None);
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

fn work(store: &SharedStore, orders: &Receiver<Option<ShelfTask>>, tell: &Tell) {
    let mut waiting: VecDeque<Option<ShelfTask>> = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match orders.recv() {
                Ok(order) => waiting.push_back(order),
                Err(_) => return,
            }
        }
        waiting.extend(orders.try_iter());
        let Some(Some(task)) = waiting.pop_front() else { return };
        // Who types does not wait for what was looked for two letters ago.
        let is_overtaken = waiting.iter().flatten().any(|later| overtakes(later, &task));
        if is_overtaken {
            continue;
        }
        if let Err(error) = opened(store).and_then(|store| carry_out(store, task, tell)) {
            tell(ShelfNews::Failed(error));
        }
    }
}

/// Tells whether a later task makes an earlier one needless.
fn overtakes(later: &ShelfTask, earlier: &ShelfTask) -> bool {
    matches!(
        (earlier, later),
        (ShelfTask::Find { .. }, ShelfTask::Find { .. })
            | (ShelfTask::ReadShelves, ShelfTask::ReadShelves)
            | (ShelfTask::Summarise { .. }, ShelfTask::Summarise { .. })
    )
}

fn carry_out(store: &Store, task: ShelfTask, tell: &Tell) -> Result<(), EngineError> {
    match task {
        ShelfTask::Find { number, query } => {
            tell(ShelfNews::Found { number, ids: store.search_ids(&query)? });
        }
        ShelfTask::ReadShelves => tell(ShelfNews::Shelves(Box::new(shelves(store)?))),
        ShelfTask::Summarise { version, ids } => {
            tell(ShelfNews::Summary(Box::new(summarise(store, version, &ids)?)));
        }
        ShelfTask::Mark(ids, change) => {
            let changed = match change {
                MarkChange::Favourite(is_favourite) => store.set_favourite(&ids, is_favourite),
                MarkChange::Rating(stars) => store.set_rating(&ids, stars),
                MarkChange::AddTag(tag) => store.add_tags(&ids, &[tag]),
                MarkChange::RemoveTag(tag) => store.remove_tags(&ids, &[tag]),
            };
            // Also what could not be changed is shown as it is.
            tell(ShelfNews::Marked(ids));
            changed?;
        }
        ShelfTask::Board(change) => {
            let changed = change_boards(store, change);
            tell(ShelfNews::BoardsChanged);
            changed?;
        }
        ShelfTask::Trash(ids) => {
            let (trashed, failed) = each(&ids, |id| store.trash(id));
            tell(ShelfNews::Trashed(trashed));
            failed?;
        }
        ShelfTask::Restore(ids) => {
            let (restored, failed) = each(&ids, |id| store.restore(id));
            let rows = restored.into_iter().filter_map(|id| store.result(id).ok().flatten());
            tell(ShelfNews::Restored(rows.filter_map(entry).collect()));
            failed?;
        }
        // These have other threads.
        ShelfTask::ReadCards(_) | ShelfTask::Begin(_) | ShelfTask::Stop => {}
    }
    Ok(())
}

/// Does something with each result; says with which it could be done, and the first error.
fn each(
    ids: &[ResultId],
    mut act: impl FnMut(ResultId) -> Result<(), EngineError>,
) -> (Vec<ResultId>, Result<(), EngineError>) {
    let (mut done, mut failed) = (Vec::new(), Ok(()));
    for id in ids {
        match act(*id) {
            Ok(()) => done.push(*id),
            Err(error) if failed.is_ok() => failed = Err(error),
            Err(_) => {}
        }
    }
    (done, failed)
}

fn change_boards(store: &Store, change: BoardChange) -> Result<(), EngineError> {
    match change {
        BoardChange::New(name, ids) => {
            let board = store.add_board(&name)?;
            match ids.is_empty() {
                true => Ok(()),
                false => store.add_to_board(&board, &ids),
            }
        }
        BoardChange::Rename(board, name) => store.rename_board(&board, &name),
        BoardChange::Remove(board) => store.remove_board(&board),
        BoardChange::Add(board, ids) => store.add_to_board(&board, &ids),
        BoardChange::TakeOff(board, ids) => store.remove_from_board(&board, &ids),
    }
}

fn shelves(store: &Store) -> Result<Shelves, EngineError> {
    let count = |text: &str| {
        let (query, _) = LibraryQuery::parse(text);
        store.search(&query, &Page::first(0)).map(|found| found.total)
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Shelves {
        all: count("")?,
        favourites: count("is:favourite")?,
        unboarded: count("-board:*")?,
        boards: store.boards()?,
        tags: store.tags()?,
        models: store.models()?,
        today: store.day_of(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))?,
    })
}
