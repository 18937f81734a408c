//! What jobs are shown of control layers, and where in the document what they paint will lie.

use std::sync::Arc;

use atelier_engine::EngineError;
use atelier_engine::canvas::{Area, RegionPlan, SizeRules, Tiles};
use atelier_engine::protocol::{PictureFile, Pixels, Request, Size};

use super::project_desk::fitted;
use crate::state::editor::PaintPlace;
use crate::update::Preparation;

/// The longest side of the mask with which a preview fades into the document.
const PLACE_PX: u32 = 256;

/// Writes what ControlNets are shown: the layer, or where that is empty what is seen of the document,
/// of the part that the job reads.
pub(super) fn write_guides(
    preparation: &mut Preparation,
    keep: impl Fn(Area, Vec<u8>) -> Result<PictureFile, EngineError>,
) -> Result<(), EngineError> {
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
            keep(area, rgba)?
        } else {
            // A picture from nothing is brought to the document's shape, and so is what guides it.
            let picture = Pixels { width_px: area.width_px, height_px: area.height_px, rgba };
            let Size { width_px, height_px } = request.size;
            let to = Area::new(0, 0, width_px, height_px);
            keep(to, fitted(&picture, to)?.rgba)?
        };
    }
    Ok(())
}

/// Finds where what a job paints will lie in the document, as the engine will.
pub(super) fn place_of(preparation: &Preparation) -> Option<PaintPlace> {
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::cell::Cell;
    use std::fs;

    use atelier_engine::canvas::{Document, LayerKind};
    use atelier_engine::protocol::{
        ControlUse, DeviceChoice, HintKind, ModelRef, Region, RegionMode, Source,
    };
    use atelier_engine::store::png;

    use super::*;
    use crate::state::PromptState;
    use crate::update::JobPurpose;

    #[test]
    fn what_control_layers_show_is_written_for_the_part_that_is_read_and_its_place_is_known() {
        let folder = tempfile::tempdir().unwrap();
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
        let mut request =
            PromptState::default().request(ModelRef::named("x"), DeviceChoice::default());
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
        let mut prepared = Preparation {
            purpose: JobPurpose::Paint,
            from: None,
            document,
            request: Request::Picture(Box::new(request)),
            reads: Some(reads),
            guides: vec![drawn, empty],
            place: None,
        };
        let count = Cell::new(0);
        let keep = |area: Area, rgba: Vec<u8>| {
            let path = folder.path().join(format!("{}.png", count.replace(count.get() + 1)));
            let pixels = Pixels::new(area.width_px, area.height_px, rgba).unwrap();
            fs::write(&path, png::encode_plain(&pixels).unwrap()).unwrap();
            Ok(PictureFile::at(path))
        };
        write_guides(&mut prepared, keep).unwrap();
        let Request::Picture(request) = &prepared.request else { unreachable!() };
        let read = |at: usize| {
            let path = &request.extras.controls[at].picture.path;
            png::decode(&fs::read(path).unwrap()).unwrap()
        };
        let (first, second) = (read(0), read(1));
        assert_eq!([first.width_px, first.height_px], [400, 300]);
        let pixel =
            |pixels: &Pixels, [x, y]: [usize; 2]| pixels.rgba[4 * (y * 400 + x)..][..4].to_vec();
        assert_eq!(pixel(&first, [110, 110]), [0, 0, 0, 255]);
        assert_eq!(pixel(&first, [10, 10]), [0; 4]);
        // An empty layer shows the picture.
        assert_eq!(pixel(&second, [10, 10]), [9, 200, 9, 255]);
        let place = place_of(&prepared).unwrap();
        assert!(place.area.contains([520, 210]) && place.area.contains([579, 269]));
        assert!(place.area.width_px < 120, "{:?}", place.area);
        let middle = place.grid[1] / 2 * place.grid[0] + place.grid[0] / 2;
        assert_eq!((place.alpha[0], place.alpha[middle]), (0, 255));
    }
}
