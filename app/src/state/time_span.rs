//! A stretch of time that is in sight.

/// The shortest time that can fill a strip, in seconds.
const SHORTEST_SECS: f64 = 0.005;

/// Holds a stretch of time that is in sight, in seconds from the beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeSpan {
    /// Where it begins.
    pub start_secs: f64,
    /// Where it ends, after its beginning.
    pub end_secs: f64,
}

impl Default for TimeSpan {
    fn default() -> Self {
        Self::whole(1.0)
    }
}

impl TimeSpan {
    /// Shows everything of a sound.
    pub fn whole(total_secs: f64) -> Self {
        Self { start_secs: 0.0, end_secs: total_secs.max(SHORTEST_SECS) }
    }

    /// Returns how long it is, in seconds.
    pub fn len_secs(self) -> f64 {
        self.end_secs - self.start_secs
    }

    /// Returns where a moment lies: 0 at the beginning, 1 at the end, others outside.
    pub fn share_of(self, secs: f64) -> f64 {
        (secs - self.start_secs) / self.len_secs()
    }

    /// Returns the moment at a share, as [`Self::share_of`] counts it.
    pub fn secs_at(self, share: f64) -> f64 {
        self.start_secs + share * self.len_secs()
    }

    /// Returns the span enlarged by `factor` about a moment that stays where it is.
    #[must_use]
    pub fn zoomed(self, factor: f64, about_secs: f64, total_secs: f64) -> Self {
        let total = total_secs.max(SHORTEST_SECS);
        let len = (self.len_secs() / factor.max(1e-9)).clamp(SHORTEST_SECS, total);
        let share = self.share_of(about_secs).clamp(0.0, 1.0);
        let start = (about_secs - share * len).clamp(0.0, total - len);
        Self { start_secs: start, end_secs: start + len }
    }

    /// Returns the span moved by `secs`, as far as there is sound.
    #[must_use]
    pub fn panned(self, secs: f64, total_secs: f64) -> Self {
        let len = self.len_secs();
        let start = (self.start_secs + secs).clamp(0.0, (total_secs - len).max(0.0));
        Self { start_secs: start, end_secs: start + len }
    }

    /// Returns the span turned to the page that a moment is on, when the moment left it.
    #[must_use]
    pub fn following(self, secs: f64, total_secs: f64) -> Self {
        if (0.0..=1.0).contains(&self.share_of(secs)) {
            return self;
        }
        self.panned(secs - self.start_secs, total_secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_and_its_place_belong_together() {
        let span = TimeSpan { start_secs: 2.0, end_secs: 6.0 };
        assert_eq!(span.share_of(3.0), 0.25);
        assert_eq!(span.secs_at(0.25), 3.0);
    }

    #[test]
    fn zooming_keeps_the_moment_under_the_pointer_and_stays_within_the_sound() {
        let mut span = TimeSpan::whole(60.0).zoomed(4.0, 45.0, 60.0);
        assert!((span.len_secs() - 15.0).abs() < 1e-9);
        assert!((span.share_of(45.0) - 0.75).abs() < 1e-9);
        for _ in 0..100 {
            span = span.zoomed(0.5, 45.0, 60.0);
        }
        assert_eq!(span, TimeSpan::whole(60.0));
        for _ in 0..100 {
            span = span.zoomed(2.0, 60.0, 60.0).panned(1.0, 60.0);
        }
        assert!(span.len_secs() >= SHORTEST_SECS * 0.999 && span.end_secs <= 60.0 + 1e-9);
    }

    #[test]
    fn the_span_turns_the_page_when_the_play_head_leaves_it() {
        let span = TimeSpan { start_secs: 0.0, end_secs: 10.0 };
        assert_eq!(span.following(9.0, 60.0), span);
        assert_eq!(span.following(10.5, 60.0).start_secs, 10.5);
        assert_eq!(span.following(59.0, 60.0).end_secs, 60.0);
    }
}
