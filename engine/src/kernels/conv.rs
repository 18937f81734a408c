//! Convolutions over pictures `[images, height, width, channels]`, as products over packed weights.
//!
//! The picture is copied once, into a border of zeros and through what stands before the convolution;
//! every place of the output then reads its window out of the copy. Convolutions behind a doubling of
//! the size, transposed ones and those with a pixel shuffle behind them are several convolutions, a
//! [`Phase`] each, that write every n-th place.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::_MM_HINT_T0;

use half::bf16;

use super::border::{Part, bordered};
use super::element::Element;
use super::elementwise::Activation;
use super::level::Level;
use super::linear::{Input, MOST_COLUMNS};
use super::norm::ChannelScales;
use super::panels::{Held, Kind, Panels};
use super::product::{Dispatch, Finish, Source, Sums, product, write_line};
use super::registers::Registers;
use super::shared::Shared;
#[cfg(target_arch = "x86_64")]
use super::shared::expect;
use super::winograd::Winograd;
use crate::protocol::Precision;

/// Holds the sizes of a picture, `[images, height, width, channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Number of images.
    pub images: usize,
    /// Rows of an image.
    pub height: usize,
    /// Places of a row.
    pub width: usize,
    /// Numbers of a place.
    pub channels: usize,
}

impl ConvShape {
    /// Returns how many numbers there are.
    pub fn numbers(&self) -> usize {
        self.images * self.height * self.width * self.channels
    }
}

/// Says what kind of convolution it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConvMode {
    /// One output per window.
    #[default]
    Plain,
    /// The picture is first doubled, every number repeated. Stride and dilation must be 1.
    Doubled,
    /// A pixel shuffle follows: outputs `4 · c + 2 · y + x` become channel `c` of cell `(y, x)`.
    Shuffled,
    /// The transposed convolution, with so many rows and places more at the end.
    Transposed([usize; 2]),
}

/// Holds the settings of a convolution, rows before places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvPlan {
    /// Size of the kernel.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Steps between the taps of a window.
    pub dilation: [usize; 2],
    /// Zeros around the picture: above, below, left, right. Those of the forward convolution where
    /// this one is transposed.
    pub padding: [usize; 4],
    /// Groups of channels that see nothing of each other.
    pub groups: usize,
    /// The kind.
    pub mode: ConvMode,
    /// Whether pictures are so large that weights of 16/9 of the size are worth fewer products; only
    /// plain 3×3 convolutions have that choice.
    pub is_for_large: bool,
}

impl ConvPlan {
    /// Describes a convolution with a square kernel that keeps the size.
    pub fn same(kernel: usize) -> Self {
        Self {
            kernel: [kernel; 2],
            stride: [1; 2],
            dilation: [1; 2],
            padding: [kernel / 2; 4],
            groups: 1,
            mode: ConvMode::Plain,
            is_for_large: false,
        }
    }

    /// Tells whether it is the plain 3×3 convolution that keeps the size of large pictures.
    fn suits_winograd(&self) -> bool {
        self.is_for_large && Self { is_for_large: false, ..*self } == Self::same(3)
    }

    /// Returns the height and width of the output, or none where the window does not fit.
    pub fn output(&self, size: [usize; 2]) -> Option<[usize; 2]> {
        let mut out = [0; 2];
        for axis in 0..2 {
            let [kernel, stride, dilation] =
                [self.kernel[axis], self.stride[axis], self.dilation[axis]];
            let border = self.padding[2 * axis] + self.padding[2 * axis + 1];
            let reach = dilation * kernel.checked_sub(1)? + 1;
            out[axis] = match self.mode {
                ConvMode::Transposed(more) => {
                    ((size[axis].checked_sub(1)? * stride + reach + more[axis])
                        .checked_sub(border))?
                }
                ConvMode::Doubled => (2 * size[axis] + border + 1).checked_sub(reach)?,
                ConvMode::Plain | ConvMode::Shuffled => {
                    let windows =
                        (size[axis] + border).checked_sub(reach)?.checked_div(stride)? + 1;
                    if self.mode == ConvMode::Shuffled { 2 * windows } else { windows }
                }
            };
        }
        Some(out)
    }
}

/// One of the convolutions that make up the whole.
#[derive(Debug, Clone)]
struct Phase {
    /// One for every group of channels.
    panels: Vec<Panels>,
    /// Where each tap lies from the first tap of the first window, in rows and places of the
    /// bordered copy.
    taps: Vec<[usize; 2]>,
    /// Which of every `spread` rows and places it writes.
    place: [usize; 2],
}

/// Holds the packed weights of a convolution.
#[derive(Debug, Clone)]
pub struct Conv {
    plan: ConvPlan,
    inputs: usize,
    /// Channels of the output.
    outputs: usize,
    phases: Vec<Phase>,
    /// Takes the place of the phases where the plan suits it.
    winograd: Option<Winograd>,
    /// Zeros around the copy: above, below, left, right.
    border: [usize; 4],
    spread: [usize; 2],
}

/// Says what is done to a picture before it is convolved.
#[derive(Clone, Copy, Default)]
pub struct Before<'a> {
    /// What a norm multiplies and adds.
    pub scales: Option<&'a ChannelScales>,
    /// Applied next.
    pub activation: Activation,
    /// Asked between parts of a large picture whether to stop; what is not yet written then stays
    /// unwritten.
    pub stop: Option<&'a dyn Fn() -> bool>,
}

impl Before<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.is_some_and(|stop| stop())
    }
}

/// Says what is done to the sums: `bend(activation(sum + bias + image_bias)) + residual`, where `bend`
/// multiplies what is below 0 by a slope.
#[derive(Debug, Clone, Copy, Default)]
pub struct After<'a> {
    /// One per output, before a shuffle.
    pub bias: Option<&'a [f32]>,
    /// `[images, outputs]`.
    pub image_bias: Option<&'a [f32]>,
    /// Applied to what is then there.
    pub activation: Activation,
    /// One per output, what numbers below 0 are multiplied by (PReLU); not before a shuffle.
    pub slopes: Option<&'a [f32]>,
    /// Of the output's shape.
    pub residual: Option<&'a [f32]>,
}

/// Writes the sums of a phase.
struct Writer<'a, O> {
    after: After<'a>,
    /// Height and width of what the phase writes.
    size: [usize; 2],
    result: ConvShape,
    place: [usize; 2],
    spread: [usize; 2],
    /// The first channel of the group.
    first: usize,
    /// The first line, over all images.
    from: usize,
    out: &'a Shared<'a, O>,
}

impl<O: Element> Finish for Writer<'_, O> {
    #[inline(always)]
    unsafe fn finish<T: Element, R: Registers<T>>(&self, sums: &Sums<'_>) {
        let place = self.place_of(sums.row, sums.column);
        // SAFETY: passed on from the caller.
        unsafe { self.after.finish::<T, R, O>(sums.values, place, self.out) };
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn expect(&self, row: usize, column: usize, columns: usize) {
        let [_, at, channel, outputs] = self.place_of(row, column);
        let start = at * outputs + channel;
        if let Some(residual) = self.after.residual {
            expect::<_MM_HINT_T0, f32>(residual.as_ptr().wrapping_add(start), columns);
        }
        self.out.expect(start, columns);
    }
}

impl<O> Writer<'_, O> {
    /// Returns the image, the place over all images, the channel and the channels of a place that the
    /// sums of a row and column belong to.
    #[inline(always)]
    fn place_of(&self, row: usize, column: usize) -> [usize; 4] {
        let ([height, width], result) = (self.size, self.result);
        let (row, x) = (row / width, row % width);
        let row = self.from + row;
        let (image, y) = (row / height, row % height);
        let y = y * self.spread[0] + self.place[0];
        let x = x * self.spread[1] + self.place[1];
        let at = (image * result.height + y) * result.width + x;
        [image, at, self.first + column, result.channels]
    }
}

impl After<'_> {
    /// Finishes and writes the sums of some outputs, from `channel` on, of the place `at`.
    ///
    /// # Safety
    /// The processor must have the instruction set of `R`.
    #[inline(always)]
    pub(super) unsafe fn finish<T: Element, R: Registers<T>, O: Element>(
        &self,
        sums: &[f32],
        place: [usize; 4],
        out: &Shared<'_, O>,
    ) {
        // Whole panels have a length that the compiler knows.
        if let Ok(values) = <&[f32; 32]>::try_from(sums) {
            // SAFETY: passed on from the caller.
            unsafe { self.write::<T, R, O>(&mut { *values }, place, out) };
        } else if let Ok(values) = <&[f32; 16]>::try_from(sums) {
            // SAFETY: as above.
            unsafe { self.write::<T, R, O>(&mut { *values }, place, out) };
        } else {
            let mut line = [0f32; MOST_COLUMNS];
            let line = &mut line[..sums.len()];
            line.copy_from_slice(sums);
            // SAFETY: as above.
            unsafe { self.write::<T, R, O>(line, place, out) };
        }
    }

    /// Does so with the instructions of `R`.
    ///
    /// # Safety
    /// The processor must have the instruction set of `R`.
    #[inline(always)]
    unsafe fn write<T: Element, R: Registers<T>, O: Element>(
        &self,
        line: &mut [f32],
        [image, at, channel, outputs]: [usize; 4],
        out: &Shared<'_, O>,
    ) {
        let add = |line: &mut [f32], numbers: Option<&[f32]>, start: usize| {
            if let Some(numbers) = numbers {
                // SAFETY: passed on from the caller.
                unsafe { R::add(line, &numbers[start..][..line.len()]) };
            }
        };
        add(line, self.bias, channel);
        add(line, self.image_bias, image * outputs + channel);
        // SAFETY: passed on from the caller.
        unsafe { R::bend(self.activation, line) };
        if let Some(slopes) = self.slopes {
            for (line, slope) in line.iter_mut().zip(&slopes[channel..]) {
                *line = if *line < 0.0 { *line * slope } else { *line };
            }
        }
        let start = at * outputs + channel;
        add(line, self.residual, start);
        // SAFETY: every place and channel is finished once, by one task.
        let out = unsafe { out.part(start, line.len()) };
        // SAFETY: passed on from the caller.
        unsafe { write_line::<T, R, O>(line, out) };
    }

    fn check(&self, images: usize, biases: usize, outputs: usize, numbers: usize) {
        let fits = |slice: Option<&[f32]>, len: usize| slice.is_none_or(|slice| slice.len() == len);
        assert!(fits(self.bias, biases), "there is one bias per output");
        assert!(fits(self.image_bias, images * outputs), "every image has its bias per output");
        assert!(fits(self.slopes, outputs), "there is one slope per output");
        assert!(fits(self.residual, numbers), "the residual has the output's shape");
    }
}

impl Conv {
    /// Packs weights `[outputs, inputs / groups, kernel rows, kernel places]`, or, for a transposed
    /// convolution, `[inputs, outputs / groups, …]`, as torch has them.
    ///
    /// Returns none where the plan is none: groups that do not divide the channels, a kernel or
    /// stride of 0, a stride or dilation with a doubling, outputs that cannot be shuffled, weights of
    /// another length.
    pub fn new(
        level: Level,
        precision: Precision,
        plan: ConvPlan,
        [inputs, outputs]: [usize; 2],
        weight: &[f32],
    ) -> Option<Self> {
        let ConvPlan { kernel, stride, dilation, padding, groups, mode, .. } = plan;
        let area = kernel[0] * kernel[1];
        let is_sound = groups > 0
            && inputs > 0
            && outputs > 0
            && inputs % groups == 0
            && outputs % groups == 0
            && area > 0
            && stride.iter().chain(&dilation).all(|n| *n > 0)
            && weight.len() == (outputs / groups).checked_mul(inputs)?.checked_mul(area)?;
        let is_plain = stride == [1; 2] && dilation == [1; 2] && groups == 1;
        let suits = match mode {
            ConvMode::Plain => true,
            ConvMode::Doubled => is_plain,
            ConvMode::Shuffled => stride == [1; 2] && groups == 1 && outputs % 4 == 0,
            ConvMode::Transposed(more) => (0..2).all(|axis| more[axis] < stride[axis]),
        };
        if !is_sound || !suits {
            return None;
        }
        // AMX multiplies faster than what saves products takes: the same time for less memory.
        let saves = !(level == Level::AmxBf16 && precision == Precision::Fast);
        if plan.suits_winograd() && saves {
            let winograd = Winograd::new(level, precision, [inputs, outputs], weight);
            let winograd = Some(winograd);
            let (border, spread) = (padding, [1; 2]);
            return Some(Self {
                plan,
                inputs,
                outputs,
                phases: Vec::new(),
                winograd,
                border,
                spread,
            });
        }
        let build = Build { level, precision, plan, inputs, outputs, weight };
        let (phases, border, spread) = match mode {
            ConvMode::Plain => (vec![build.plain()], padding, [1; 2]),
            ConvMode::Shuffled => (build.shuffled(), padding, [2; 2]),
            ConvMode::Doubled => build.doubled(),
            ConvMode::Transposed(_) => build.transposed(),
        };
        let outputs = if mode == ConvMode::Shuffled { outputs / 4 } else { outputs };
        Some(Self { plan, inputs, outputs, phases, winograd: None, border, spread })
    }

    /// Returns the channels of the output.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Returns the channels that it reads.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Returns the bytes of the packed weights.
    pub fn memory_bytes(&self) -> usize {
        let phases = self.phases.iter().flat_map(|phase| &phase.panels);
        let winograd = self.winograd.iter().flat_map(Winograd::panels);
        phases.chain(winograd).map(Panels::memory_bytes).sum()
    }

    /// Returns the shape of the output, or none where the window does not fit into the picture.
    pub fn output(&self, shape: ConvShape) -> Option<ConvShape> {
        let [height, width] = self.plan.output([shape.height, shape.width])?;
        Some(ConvShape { images: shape.images, height, width, channels: self.outputs })
    }

    /// Convolves: `out = after(conv(before(x)))`.
    ///
    /// # Panics
    /// When a slice is not as long as the shapes say or the window does not fit.
    pub fn forward<O: Element>(
        &self,
        x: Input<'_>,
        shape: ConvShape,
        before: Before<'_>,
        after: After<'_>,
        out: &mut [O],
    ) {
        assert_eq!(x.len(), shape.numbers(), "the picture is as long as its shape says");
        assert_eq!(shape.channels, self.inputs, "the picture has the channels of the weights");
        let Some(result) = self.output(shape) else { panic!("the window fits into the picture") };
        assert_eq!(out.len(), result.numbers(), "the output is as long as its shape says");
        after.check(shape.images, self.outputs * self.cells(), self.outputs, out.len());
        if let Some(winograd) = &self.winograd {
            let out = Shared::new(out);
            for part in Part::all(shape) {
                if before.is_stopped() {
                    return;
                }
                let copy = bordered::<f32>(x, part, before, Winograd::border(part.shape()));
                match winograd.panels()[0].kind() {
                    Kind::F32 => winograd.run::<f32, O>(&copy, part, after, &out),
                    Kind::Bf16 => winograd.run::<bf16, O>(&copy, part, after, &out),
                }
            }
            return;
        }
        match self.phases[0].panels[0].kind() {
            Kind::F32 => self.run::<f32, O>(x, [shape, result], before, after, out),
            Kind::Bf16 => self.run::<bf16, O>(x, [shape, result], before, after, out),
        }
    }

    fn run<T: Held + Dispatch, O: Element>(
        &self,
        x: Input<'_>,
        [shape, result]: [ConvShape; 2],
        before: Before<'_>,
        after: After<'_>,
        out: &mut [O],
    ) {
        let copy = bordered::<T>(x, Part::whole(shape), before, self.border);
        let [top, bottom, left, right] = self.border;
        let line = (shape.width + left + right) * shape.channels;
        let image_len = (shape.height + top + bottom) * line;
        let step = self.plan_stride();
        let out = Shared::new(out);
        for phase in &self.phases {
            let [place_y, place_x] = phase.place;
            let rows_of = |end: usize, place: usize, spread: usize| {
                end.saturating_sub(place).div_ceil(spread)
            };
            let height = rows_of(result.height, place_y, self.spread[0]);
            let width = rows_of(result.width, place_x, self.spread[1]);
            let per_group = phase.panels[0].outputs();
            // A shuffle's outputs have biases of their own in every cell.
            let cells = self.cells();
            let of_cell: Option<Vec<f32>> = after.bias.filter(|_| cells > 1).map(|bias| {
                bias.iter().skip(2 * place_y + place_x).step_by(cells).copied().collect()
            });
            let after = After { bias: of_cell.as_deref().or(after.bias), ..after };
            // Bands of lines, between which it can be stopped; one band where nobody asks.
            let lines = shape.images * height;
            let work =
                width * phase.panels.len() * per_group * phase.taps.len() * phase.panels[0].depth();
            let band = if before.stop.is_some() { (BAND / work.max(1)).max(2) } else { lines };
            let bands = (0..lines).step_by(band.max(1));
            for (from, (group, panels)) in bands
                .flat_map(|from| phase.panels.iter().enumerate().map(move |group| (from, group)))
            {
                if before.is_stopped() {
                    return;
                }
                let taps: Vec<usize> = phase
                    .taps
                    .iter()
                    .map(|[y, x]| y * line + x * shape.channels + group * panels.depth())
                    .collect();
                let source = Source {
                    values: &copy,
                    rows: band.min(lines - from) * width,
                    group_rows: width,
                    group_start: |row: usize| {
                        let row = from + row;
                        row / height * image_len + row % height * step[0] * line
                    },
                    row_stride: step[1] * shape.channels,
                    taps: &taps,
                };
                let writer = Writer {
                    after,
                    size: [height, width],
                    result,
                    place: phase.place,
                    spread: self.spread,
                    first: group * per_group,
                    from,
                    out: &out,
                };
                product(panels, &source, writer);
            }
        }
    }

    /// Returns the places that an output is dealt out to.
    fn cells(&self) -> usize {
        if self.plan.mode == ConvMode::Shuffled { 4 } else { 1 }
    }

    /// Returns the steps between windows in the copy.
    fn plan_stride(&self) -> [usize; 2] {
        if matches!(self.plan.mode, ConvMode::Transposed(_)) { [1; 2] } else { self.plan.stride }
    }
}

/// Multiplications between two questions whether to go on: some 30 ms on two cores in f32.
/// Few in tests, whose shapes are small.
const BAND: usize = if cfg!(test) { 20_000 } else { 2_000_000_000 };

/// What phases are built from.
struct Build<'a> {
    level: Level,
    precision: Precision,
    plan: ConvPlan,
    inputs: usize,
    outputs: usize,
    weight: &'a [f32],
}

impl Build<'_> {
    /// Packs weights given by output, tap and input of a group.
    fn pack(
        &self,
        outputs: usize,
        taps: usize,
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    ) -> Panels {
        let depth = self.inputs / self.plan.groups;
        Panels::pack_as(self.level, self.precision, [outputs, taps, depth], weight)
    }

    /// Lists where the taps of a window lie.
    fn taps(&self) -> Vec<[usize; 2]> {
        let ([rows, places], [down, right]) = (self.plan.kernel, self.plan.dilation);
        (0..rows * places).map(|tap| [tap / places * down, tap % places * right]).collect()
    }

    fn plain(&self) -> Phase {
        let area = self.plan.kernel[0] * self.plan.kernel[1];
        let (depth, outputs) = (self.inputs / self.plan.groups, self.outputs / self.plan.groups);
        let pack = |group: usize| {
            self.pack(outputs, area, |o, tap, c| {
                self.weight[((group * outputs + o) * depth + c) * area + tap]
            })
        };
        let panels = (0..self.plan.groups).map(pack).collect();
        Phase { panels, taps: self.taps(), place: [0; 2] }
    }

    fn shuffled(&self) -> Vec<Phase> {
        let area = self.plan.kernel[0] * self.plan.kernel[1];
        let phase = |cell: usize| {
            let panels = self.pack(self.outputs / 4, area, |o, tap, c| {
                self.weight[((4 * o + cell) * self.inputs + c) * area + tap]
            });
            Phase { panels: vec![panels], taps: self.taps(), place: [cell / 2, cell % 2] }
        };
        (0..4).map(phase).collect()
    }

    /// Splits a convolution over a doubled picture into four over the picture itself: several taps of
    /// a window fall on the same number, so their weights are added.
    fn doubled(&self) -> (Vec<Phase>, [usize; 4], [usize; 2]) {
        let [rows, places] = self.plan.kernel;
        let [top, _, left, _] = self.plan.padding;
        // Output place p reads doubled places p + tap - padding: number floor of half that.
        let reach =
            |place: usize, tap: usize, before: usize| (place + tap) as isize - before as isize;
        let number = |at: isize| at.div_euclid(2);
        let first = [number(-(top as isize)), number(-(left as isize))];
        let last = |kernel: usize, before: usize| number(reach(1, kernel - 1, before));
        let border_after = |kernel: usize, before: usize| last(kernel, before).max(0) as usize;
        let phase = |cell: usize| {
            let place = [cell / 2, cell % 2];
            let near = |axis: usize, tap: usize| {
                let before = [top, left][axis];
                (number(reach(place[axis], tap, before)) - first[axis]) as usize
            };
            let mut taps: Vec<[usize; 2]> = Vec::new();
            let mut members: Vec<Vec<usize>> = Vec::new();
            for tap in 0..rows * places {
                let at = [near(0, tap / places), near(1, tap % places)];
                let index = taps.iter().position(|tap| *tap == at).unwrap_or_else(|| {
                    taps.push(at);
                    members.push(Vec::new());
                    taps.len() - 1
                });
                members[index].push(tap);
            }
            let area = rows * places;
            let panels = self.pack(self.outputs, taps.len(), |o, tap, c| {
                let weights = &self.weight[(o * self.inputs + c) * area..][..area];
                members[tap].iter().map(|tap| weights[*tap]).sum()
            });
            Phase { panels: vec![panels], taps, place }
        };
        let border = [
            first[0].unsigned_abs(),
            border_after(rows, top),
            first[1].unsigned_abs(),
            border_after(places, left),
        ];
        ((0..4).map(phase).collect(), border, [2; 2])
    }

    /// Splits a transposed convolution by the remainder of the output's place.
    fn transposed(&self) -> (Vec<Phase>, [usize; 4], [usize; 2]) {
        let ConvPlan { kernel, stride, dilation, padding, groups, .. } = self.plan;
        let area = kernel[0] * kernel[1];
        let (depth, outputs) = (self.inputs / groups, self.outputs / groups);
        // Output p gets input i by tap t where p + padding = i · stride + t · dilation. With
        // p = q · stride + r that is i = q + (r + padding - t · dilation) / stride.
        let shift = |axis: usize, place: usize, tap: usize| -> Option<isize> {
            let at = (place + padding[2 * axis]) as isize - (tap * dilation[axis]) as isize;
            let stride = stride[axis] as isize;
            (at.rem_euclid(stride) == 0).then(|| at.div_euclid(stride))
        };
        let shifts = |axis: usize| {
            let each = (0..stride[axis]).flat_map(move |place| {
                (0..kernel[axis]).filter_map(move |tap| shift(axis, place, tap))
            });
            (each.clone().min().unwrap_or(0).min(0), each.max().unwrap_or(0).max(0))
        };
        let (down, across) = (shifts(0), shifts(1));
        let mut phases = Vec::new();
        for cell in 0..stride[0] * stride[1] {
            let place = [cell / stride[1], cell % stride[1]];
            let (mut taps, mut members) = (Vec::new(), Vec::new());
            for tap in 0..area {
                let y = shift(0, place[0], tap / kernel[1]);
                let x = shift(1, place[1], tap % kernel[1]);
                if let (Some(y), Some(x)) = (y, x) {
                    taps.push([(y - down.0) as usize, (x - across.0) as usize]);
                    members.push(tap);
                }
            }
            let pack = |group: usize| {
                self.pack(outputs, taps.len(), |o, tap, c| {
                    self.weight[((group * depth + c) * outputs + o) * area + members[tap]]
                })
            };
            let panels = (0..groups).map(pack).collect();
            phases.push(Phase { panels, taps, place });
        }
        // The last output's window may begin beyond the picture by the rows that were cut in front.
        let after =
            |axis: usize, most: isize| most as usize + padding[2 * axis].div_ceil(stride[axis]) + 2;
        let border = [
            down.0.unsigned_abs(),
            after(0, down.1) + kernel[0] * dilation[0] / stride[0],
            across.0.unsigned_abs(),
            after(1, across.1) + kernel[1] * dilation[1] / stride[1],
        ];
        (phases, border, stride)
    }
}
