//! What the grid shows of a result, read out of the library.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use atelier_engine::EngineError;
use atelier_engine::audio::recipe::recipe_of;
use atelier_engine::protocol::Request;
use atelier_engine::store::Store;
use atelier_engine::store::boards::BoardId;

use super::librarian::entry;
use crate::state::library::{Card, Summary};
use crate::state::{Entry, NotesSketch, ResultId, Thumbnail};

/// Reads a result with its thumbnail; `None` when there is none such.
pub(super) fn card(store: &Store, id: ResultId) -> Result<Option<Card>, EngineError> {
    let Some(row) = store.result(id)? else { return Ok(None) };
    let marks = store.marks(id)?;
    let day = store.day_of(row.created_ms)?;
    let (file_bytes, is_trashed) = (row.file_bytes, row.trashed_ms.is_some());
    let size_px = match &row.request {
        Request::Picture(request) => Some([request.size.width_px, request.size.height_px]),
        Request::Enlarge(_) => dimensions(&row.file),
        _ => None,
    };
    let Some(entry) = entry(row) else { return Ok(None) };
    let thumbnail = match entry.recipe.is_picture() {
        // A picture whose thumbnail cannot be made still has its place in the grid.
        true => store
            .thumbnail(id)
            .map_or(Thumbnail::Unknown, |small| Thumbnail::Ready(Arc::new(small))),
        false => {
            let score = entry.file.as_deref().and_then(|file| recipe_of(file).ok()?.score);
            let sketch = score.map(|score| NotesSketch::of(&score)).unwrap_or_default();
            Thumbnail::Notes(Arc::new(sketch))
        }
    };
    let entry = Entry { thumbnail, ..entry };
    Ok(Some(Card { entry, day, size_px, file_bytes, marks, is_trashed }))
}

/// Returns width and height of a picture out of its header.
fn dimensions(file: &Path) -> Option<[u32; 2]> {
    image::image_dimensions(file).ok().map(|(width, height)| [width, height])
}

/// Says what results have in common.
pub(super) fn summarise(
    store: &Store,
    version: u64,
    ids: &[ResultId],
) -> Result<Summary, EngineError> {
    let mut summary = Summary { version, looked_at: ids.len(), ..Summary::default() };
    let mut tags: BTreeMap<String, usize> = BTreeMap::new();
    let mut boards: BTreeMap<BoardId, usize> = BTreeMap::new();
    let mut ratings = Vec::new();
    for id in ids {
        let marks = store.marks(*id)?;
        if let Some(row) = store.result(*id)? {
            summary.bytes += row.file_bytes.unwrap_or(0);
        }
        summary.favourites += usize::from(marks.is_favourite);
        ratings.push(marks.rating);
        for tag in marks.tags {
            *tags.entry(tag).or_default() += 1;
        }
        for (board, _) in marks.boards {
            *boards.entry(BoardId(board)).or_default() += 1;
        }
    }
    ratings.dedup();
    summary.rating = ratings.first().copied().filter(|_| ratings.len() == 1);
    summary.tags = tags.into_iter().collect();
    summary.boards = boards.into_iter().collect();
    Ok(summary)
}
