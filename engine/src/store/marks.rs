//! What the user says about results: favourites, stars, tags. See [`Marks`] for where it is kept.

use crate::error::EngineError;

use super::Store;
use super::journal::Marks;
use super::words::folded;

/// A name of a tag or a board has at most this many characters.
const MOST_NAME_CHARS: usize = 100;

impl Store {
    /// Returns what the user said about a result; nothing when there is none such.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn marks(&self, id: i64) -> Result<Marks, EngineError> {
        self.home().index().marks(id)
    }

    /// Makes results favourites, or none any more. When this returns, it is on the disk beside the
    /// index; the same holds of all that is said about results.
    ///
    /// # Errors
    /// [`EngineError::DiskFull`], [`EngineError::Io`] or [`EngineError::Index`]; nothing has changed
    /// then.
    pub fn set_favourite(&self, ids: &[i64], is_favourite: bool) -> Result<(), EngineError> {
        self.change(ids, |marks| marks.is_favourite = is_favourite).map(drop)
    }

    /// Gives results stars, 1 to 5, or takes them away with 0.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] for more than 5, else as [`Store::set_favourite`].
    pub fn set_rating(&self, ids: &[i64], rating: u8) -> Result<(), EngineError> {
        if rating > 5 {
            return Err(EngineError::invalid("rating", format!("must be 0 to 5, not {rating}")));
        }
        self.change(ids, |marks| marks.rating = rating).map(drop)
    }

    /// Gives results tags, beside those that they have. Tags that differ by case only are one.
    ///
    /// # Errors
    /// [`EngineError::InvalidSetting`] for a tag that is empty, longer than 100 characters or has
    /// control characters, else as [`Store::set_favourite`].
    pub fn add_tags<T: AsRef<str>>(&self, ids: &[i64], tags: &[T]) -> Result<(), EngineError> {
        let tags: Vec<String> =
            tags.iter().map(|tag| checked_name("tag", tag.as_ref())).collect::<Result<_, _>>()?;
        self.change(ids, |marks| marks.tags.extend(tags.iter().cloned())).map(drop)
    }

    /// Takes tags away from results; a tag that nothing has any more is gone.
    ///
    /// # Errors
    /// As [`Store::set_favourite`].
    pub fn remove_tags<T: AsRef<str>>(&self, ids: &[i64], tags: &[T]) -> Result<(), EngineError> {
        let gone: Vec<String> = tags.iter().map(|tag| folded(tag.as_ref().trim())).collect();
        self.change(ids, |marks| marks.tags.retain(|tag| !gone.contains(&folded(tag)))).map(drop)
    }

    /// Lists the tags that results outside the trash have, each with their number, in alphabetical
    /// order.
    ///
    /// # Errors
    /// [`EngineError::Index`].
    pub fn tags(&self) -> Result<Vec<(String, usize)>, EngineError> {
        self.home().index().tags()
    }

    /// Gives a tag another name wherever it is; when there is one of that name already, the two
    /// become one. Returns how many results had it.
    ///
    /// # Errors
    /// As [`Store::add_tags`].
    pub fn rename_tag(&self, tag: &str, name: &str) -> Result<usize, EngineError> {
        let name = checked_name("tag", name)?;
        let old = folded(tag.trim());
        let home = self.home();
        let index = home.index();
        index.together(|index| {
            let ids = index.tagged(&old)?;
            if folded(&name) == old {
                // Only its spelling changes; the journal's lines must show that too.
                index.change_marks(&ids, |_, marks| marks.tags.retain(|tag| folded(tag) != old))?;
                index.change_marks(&ids, |_, marks| marks.tags.push(name.clone()))?;
            } else {
                index.change_marks(&ids, |_, marks| {
                    marks.tags.retain(|tag| folded(tag) != old);
                    marks.tags.push(name.clone());
                })?;
            }
            Ok(ids.len())
        })
    }

    fn change(&self, ids: &[i64], change: impl Fn(&mut Marks)) -> Result<usize, EngineError> {
        self.home().index().change_marks(ids, |_, marks| change(marks))
    }
}

/// Trims a name, makes its spaces single and checks it.
pub(super) fn checked_name(what: &str, name: &str) -> Result<String, EngineError> {
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() {
        return Err(EngineError::invalid(what, "must have a name"));
    }
    if name.chars().count() > MOST_NAME_CHARS {
        let reason = format!("must have at most {MOST_NAME_CHARS} characters in its name");
        return Err(EngineError::invalid(what, reason));
    }
    if name.chars().any(char::is_control) {
        return Err(EngineError::invalid(what, "must have no control characters in its name"));
    }
    Ok(name)
}
