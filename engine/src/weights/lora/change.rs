//! The change of one weight: which tensors make it, checked against each other and the weight.

use std::collections::BTreeMap;

use super::delta;
use super::keys::Role;
use super::settings::Settings;
use crate::error::EngineError;
use crate::weights::element::TensorInfo;
use crate::weights::open::Checkpoint;

/// The tensors of a module by what they are for.
pub(super) type Roles = BTreeMap<Role, String>;

/// The most that a change is multiplied by before its strength. Real files stay far below; a larger
/// number is a slip of a byte.
const SCALE_MAX: f64 = 65_536.0;

/// Says why a module makes no change.
#[derive(Debug)]
pub(super) enum Problem {
    /// The file contradicts itself.
    Damaged(String),
    /// The file is right and the model is another.
    Unfit(String),
}

/// Names one factor of a Kronecker product: whole, or a product of two with a core or without.
#[derive(Debug, Clone)]
pub(super) enum Factor {
    Whole(String),
    Product(String, String),
    Core(String, String, String),
}

/// Names the tensors that make a change.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    LowRank { up: String, mid: Option<String>, down: String },
    Hadamard { first: Factor, second: Factor },
    Kronecker { first: Factor, second: Factor },
    Whole(String),
}

/// Says along which side DoRA's lengths lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    /// One length for each output.
    Out,
    /// One for each input.
    In,
}

/// Holds the change of one weight.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) scale: f32,
    pub(super) magnitude: Option<(String, Axis)>,
    /// The weight as a matrix of outputs, inputs and what a kernel covers.
    pub(super) sides: [usize; 3],
}

/// Returns what a pair of halves reads and writes, where it is one.
pub(super) fn outer_sides(file: &Checkpoint, roles: &Roles) -> Option<(usize, usize)> {
    let shape = |role: Role| Some(&file.tensors().get(roles.get(&role)?)?.shape);
    let (up, down) = (shape(Role::Up)?, shape(Role::Down)?);
    Some((*up.first()?, *down.get(1)?))
}

/// Shows the shapes of a module's tensors.
struct Shapes<'a> {
    file: &'a Checkpoint,
    roles: &'a Roles,
}

impl Shapes<'_> {
    fn name(&self, role: Role) -> Option<String> {
        self.roles.get(&role).cloned()
    }

    fn needed(&self, role: Role) -> Result<String, Problem> {
        self.name(role).ok_or_else(|| Problem::Damaged(format!("lacks the half “{role:?}”")))
    }

    /// Returns a tensor's first side and the product of the others; neither is nought.
    fn matrix(&self, name: &str) -> Result<(usize, usize), Problem> {
        let [rows, rest @ ..] = self.shape(name) else { return Err(odd(name, self.shape(name))) };
        let columns = rest.iter().try_fold(1_usize, |all, side| all.checked_mul(*side));
        match columns {
            Some(columns) if *rows > 0 && columns > 0 => Ok((*rows, columns)),
            _ => Err(odd(name, self.shape(name))),
        }
    }

    /// Returns the four sides of a core.
    fn core(&self, name: &str) -> Result<[usize; 4], Problem> {
        match self.shape(name) {
            [a, b, c, d] if [a, b, c, d].iter().all(|side| **side > 0) => Ok([*a, *b, *c, *d]),
            shape => Err(odd(name, shape)),
        }
    }

    fn shape(&self, name: &str) -> &[usize] {
        self.file.tensors().get(name).map_or(&[], |info| &info.shape)
    }

    /// Returns what a factor makes.
    fn factor(&self, factor: &Factor) -> Result<Shape, Problem> {
        match factor {
            Factor::Whole(name) => {
                Ok(Shape { sides: self.matrix(name)?, rank: None, kernel: None })
            }
            Factor::Product(a, b) => {
                let ((to, rank), (again, from)) = (self.matrix(a)?, self.matrix(b)?);
                is_rank(rank, again, to, from)?;
                Ok(Shape { sides: (to, from), rank: Some(rank), kernel: None })
            }
            Factor::Core(a, core, b) => {
                let ((rank, to), (also, from)) = (self.matrix(a)?, self.matrix(b)?);
                let [i, j, height, width] = self.core(core)?;
                let covered = height.checked_mul(width).and_then(|kernel| kernel.checked_mul(from));
                let all = covered.ok_or_else(|| odd(core, self.shape(core)))?;
                is_rank(rank, i, to, all)?;
                is_rank(also, j, to, all)?;
                let kernel = Some(height * width);
                Ok(Shape { sides: (to, all), rank: Some(rank), kernel })
            }
        }
    }

    /// Names a factor of LoHa or LoKr.
    fn named(&self, [a, b]: [Role; 2], core: Option<Role>) -> Result<Factor, Problem> {
        let (a, b) = (self.needed(a)?, self.needed(b)?);
        Ok(match core.and_then(|role| self.name(role)) {
            Some(core) => Factor::Core(a, core, b),
            None => Factor::Product(a, b),
        })
    }
}

fn odd(name: &str, shape: &[usize]) -> Problem {
    Problem::Damaged(format!("has the tensor “{name}” in the shape {shape:?}"))
}

fn is_rank(rank: usize, again: usize, to: usize, from: usize) -> Result<(), Problem> {
    match rank {
        rank if rank != again => {
            Err(Problem::Damaged(format!("has halves of the ranks {rank} and {again}")))
        }
        rank if rank > to.max(from) => Err(Problem::Damaged(format!(
            "has the rank {rank}, more than a matrix of {to}×{from} can have"
        ))),
        _ => Ok(()),
    }
}

impl Change {
    /// Checks the tensors of a module against each other and against the weight of this shape.
    pub(super) fn new(
        file: &Checkpoint,
        module: &str,
        roles: &Roles,
        weight: &[usize],
        settings: &Settings,
    ) -> Result<Self, Problem> {
        let shapes = Shapes { file, roles };
        for name in roles.values() {
            let element = file.tensors().get(name).map(|info| info.element);
            let is_float = element.is_some_and(|element| element.is_float());
            if !is_float {
                return Err(Problem::Damaged(format!("holds “{name}” as no numbers with a point")));
            }
        }
        let (kind, found) = kind(&shapes)?;
        let (to, from, kernel) = match weight {
            [width] => (*width, 1, 1),
            [to, from, kernel @ ..] => (*to, *from, kernel.iter().product()),
            [] => (1, 1, 1),
        };
        if found.sides != (to, from * kernel) || found.kernel.is_some_and(|core| core != kernel) {
            let ((a, b), c) = (found.sides, from * kernel);
            let reason = format!("is for a matrix of {a}×{b}, and the model's is {to}×{c}");
            return Err(Problem::Unfit(reason));
        }
        let scale = scale(&shapes, &kind, found.rank, module, settings)?;
        let mut change = Self { kind, scale, magnitude: None, sides: [to, from, kernel] };
        change.magnitude = change.magnitude(&shapes)?;
        Ok(change)
    }

    fn magnitude(&self, shapes: &Shapes<'_>) -> Result<Option<(String, Axis)>, Problem> {
        let [to, from, _] = self.sides;
        let (name, is_peft) = match (shapes.name(Role::Magnitude), shapes.name(Role::DoraScale)) {
            (Some(name), _) => (name, true),
            (None, Some(name)) => (name, false),
            (None, None) => return Ok(None),
        };
        let shape = shapes.shape(&name);
        let count = shapes.file.tensors().get(&name).map_or(0, TensorInfo::count);
        let is_out = count == to as u64 && (is_peft || shape.first() == Some(&to));
        let axis = match () {
            () if is_out => Axis::Out,
            () if count == from as u64 && shape.first() == Some(&1) => Axis::In,
            () => return Err(odd(&name, shape)),
        };
        Ok(Some((name, axis)))
    }

    /// Computes what is added to the weight at full strength; `base` is the weight.
    pub(super) fn delta(
        &self,
        file: &Checkpoint,
        tensor: &str,
        base: &[f32],
    ) -> Result<Vec<f32>, EngineError> {
        let damaged = |reason: String| EngineError::damaged(file.path(), reason);
        let count: usize = self.sides.iter().product();
        if base.len() != count {
            let reason = format!("is to change “{tensor}”, which has {} numbers", base.len());
            return Err(damaged(format!("{reason}, not {count}")));
        }
        let mut delta = delta::raw(&self.kind, file)?;
        delta.iter_mut().for_each(|value| *value *= self.scale);
        if let Some((name, axis)) = &self.magnitude {
            delta::decompose(&mut delta, base, &file.floats(name)?, *axis, self.sides);
        }
        match delta.len() == count && delta.iter().all(|value| value.is_finite()) {
            true => Ok(delta),
            false => Err(damaged(format!("makes “{tensor}” numbers that are not finite"))),
        }
    }
}

/// The matrix that a module or a factor makes.
struct Shape {
    /// Its rows, and its columns with what a kernel covers.
    sides: (usize, usize),
    /// Its rank, unless it is whole.
    rank: Option<usize>,
    /// How many places the kernel of its core covers.
    kernel: Option<usize>,
}

/// Tells the kind of a module.
fn kind(shapes: &Shapes<'_>) -> Result<(Kind, Shape), Problem> {
    let has = |roles: &[Role]| roles.iter().any(|role| shapes.roles.contains_key(role));
    if let Some(name) = shapes.name(Role::Diff) {
        let sides = shapes.matrix(&name)?;
        return Ok((Kind::Whole(name), Shape { sides, rank: None, kernel: None }));
    }
    if has(&[Role::HadaW1A, Role::HadaW1B, Role::HadaW2A, Role::HadaW2B]) {
        let first = shapes.named([Role::HadaW1A, Role::HadaW1B], Some(Role::HadaT1))?;
        let second = shapes.named([Role::HadaW2A, Role::HadaW2B], Some(Role::HadaT2))?;
        let (one, other) = (shapes.factor(&first)?, shapes.factor(&second)?);
        if one.sides != other.sides {
            let ((a, b), (c, d)) = (one.sides, other.sides);
            let reason = format!("multiplies {a}×{b} by {c}×{d}, number by number");
            return Err(Problem::Damaged(reason));
        }
        return Ok((Kind::Hadamard { first, second }, one));
    }
    if has(&[Role::LokrW1, Role::LokrW1A, Role::LokrW2, Role::LokrW2A]) {
        let factor = |whole, halves, core| match shapes.name(whole) {
            Some(name) => Ok(Factor::Whole(name)),
            None => shapes.named(halves, core),
        };
        let first = factor(Role::LokrW1, [Role::LokrW1A, Role::LokrW1B], None)?;
        let core = Some(Role::LokrT2);
        let second = factor(Role::LokrW2, [Role::LokrW2A, Role::LokrW2B], core)?;
        let (one, other) = (shapes.factor(&first)?, shapes.factor(&second)?);
        let ((a, b), (c, d)) = (one.sides, other.sides);
        let (Some(to), Some(from)) = (a.checked_mul(c), b.checked_mul(d)) else {
            return Err(Problem::Damaged("makes an impossibly large matrix".to_owned()));
        };
        let found = Shape { sides: (to, from), rank: other.rank.or(one.rank), ..other };
        return Ok((Kind::Kronecker { first, second }, found));
    }
    let (up, down) = (shapes.needed(Role::Up)?, shapes.needed(Role::Down)?);
    let mid = shapes.name(Role::Mid);
    let ((to, rank), (again, from)) = (shapes.matrix(&up)?, shapes.matrix(&down)?);
    let found = match &mid {
        Some(mid) => {
            let [i, j, height, width] = shapes.core(mid)?;
            let covered = height.checked_mul(width).and_then(|kernel| kernel.checked_mul(from));
            let all = covered.ok_or_else(|| odd(mid, shapes.shape(mid)))?;
            is_rank(rank, i, to, all)?;
            is_rank(again, j, to, all)?;
            Shape { sides: (to, all), rank: Some(again), kernel: Some(height * width) }
        }
        None => {
            is_rank(rank, again, to, from)?;
            Shape { sides: (to, from), rank: Some(again), kernel: None }
        }
    };
    // A core may join halves of different ranks; the one that is read divides alpha.
    Ok((Kind::LowRank { up, mid, down }, found))
}

/// Returns what a change is multiplied by: alpha over the rank.
fn scale(
    shapes: &Shapes<'_>,
    kind: &Kind,
    rank: Option<usize>,
    module: &str,
    settings: &Settings,
) -> Result<f32, Problem> {
    let Some(name) = shapes.name(Role::Alpha).filter(|_| !matches!(kind, Kind::Whole(_))) else {
        let said = settings.scale(module, rank).map_err(Problem::Damaged)?;
        return bounded(said.unwrap_or(1.0));
    };
    let info = shapes.file.tensors().get(&name).filter(|info| info.count() == 1);
    let alpha = info.and_then(|_| shapes.file.floats(&name).ok()).and_then(|v| v.first().copied());
    let alpha = alpha.ok_or_else(|| odd(&name, shapes.shape(&name)))?;
    if !alpha.is_finite() {
        return Err(Problem::Damaged(format!("has the alpha {alpha}")));
    }
    match rank {
        Some(rank) => bounded(f64::from(alpha) / rank as f64),
        // LyCORIS writes down any alpha where both factors are whole, and takes 1.
        None => Ok(1.0),
    }
}

fn bounded(scale: f64) -> Result<f32, Problem> {
    match scale.abs() <= SCALE_MAX {
        true => Ok(scale as f32),
        false => Err(Problem::Damaged(format!("is multiplied by {scale}, as no LoRA is"))),
    }
}
