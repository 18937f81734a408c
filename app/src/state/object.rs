//! What is pointed at in the picture that is being edited, and what was found there.

use atelier_engine::protocol::{ObjectBox, ObjectPoint, ObjectPrompt};

/// A gesture shorter than this is a click: so many pixels, or this share of the longer side where that is
/// more, since a hand shakes by as much on a large picture that is seen small.
const CLICK: [f32; 2] = [2.0, 1.0 / 250.0];

/// Holds what is pointed at and what is known of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObjectState {
    /// The places and the box, and which mask is wanted.
    pub prompt: ObjectPrompt,
    /// The job that was last asked to look for it; what an older one finds is of no use any more.
    pub ticket: Option<u64>,
    /// Whether it is being looked for.
    pub is_looking: bool,
    /// Which of the masks was found; `None` before there is one, or where it is the one for prompts that
    /// leave no doubt.
    pub found: Option<u8>,
}

impl ObjectState {
    /// Takes what the pen did, from where it was put down to where it was lifted: a click is a place
    /// inside or outside, anything longer a box, with which all begins anew.
    pub fn point(&mut self, from: [f32; 2], to: [f32; 2], is_inside: bool, size_px: [f32; 2]) {
        let within = |at: [f32; 2]| [0, 1].map(|axis| at[axis].clamp(0.0, size_px[axis]));
        let ([x, y], [right, bottom]) = (within(from), within(to));
        let slack = CLICK[0].max(CLICK[1] * size_px[0].max(size_px[1]));
        if (from[0] - to[0]).hypot(from[1] - to[1]) < slack {
            self.prompt.points.push(ObjectPoint { x, y, is_inside });
            return;
        }
        let (width, height) = ((right - x).abs(), (bottom - y).abs());
        if width > 0.0 && height > 0.0 {
            self.prompt.points.clear();
            self.prompt.around =
                Some(ObjectBox { x: x.min(right), y: y.min(bottom), width, height });
        }
    }

    /// Tells whether nothing was pointed at.
    pub fn is_untouched(&self) -> bool {
        self.prompt.points.is_empty() && self.prompt.around.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_is_a_place_and_a_drag_a_box_within_the_picture() {
        let mut state = ObjectState::default();
        state.point([3.0, 4.0], [4.0, 4.0], true, [20.0, 10.0]);
        state.point([99.0, 4.0], [99.0, 4.0], false, [20.0, 10.0]);
        let [inside, outside] = state.prompt.points[..] else { panic!("{state:?}") };
        assert_eq!((inside.x, inside.is_inside), (3.0, true));
        assert_eq!((outside.x, outside.is_inside), (20.0, false));
        state.point([15.0, 8.0], [-5.0, 2.0], true, [20.0, 10.0]);
        let area = ObjectBox { x: 0.0, y: 2.0, width: 15.0, height: 6.0 };
        assert_eq!((state.prompt.around, state.prompt.points.len()), (Some(area), 0));
        // Beside the picture there is nothing to draw a box around.
        state.point([30.0, 1.0], [40.0, 9.0], true, [20.0, 10.0]);
        assert_eq!(state.prompt.around, Some(area));
    }
}
