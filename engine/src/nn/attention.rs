//! Attention over several sequences of rows.

use candle_core::{D, DType, Result, Tensor};

use super::compute::Compute;
use super::map::{Inputs, f32s, map1, map3, narrow_or_wide, run1, run2};
use super::norm::{RMS_EPS, Scale, Spans, rms};
use crate::kernels::{
    self, Attend, AttentionShape, HeadNorms, Input, Rotation, ScoreBias, Vectors,
};

/// Holds the learnt scales of the norms of queries and keys.
#[derive(Debug, Clone)]
pub struct HeadScales {
    /// For queries, one number per number of a head.
    pub query: Scale,
    /// For keys.
    pub key: Scale,
}

/// Holds cosines and sines `[rows, head_width / 2]`; see [`Rotation`] for their order.
#[derive(Debug, Clone)]
pub struct Rotary {
    /// Cosines.
    pub cos: Tensor,
    /// Sines.
    pub sin: Tensor,
}

/// Computes attention within each sequence from rows `[rows, 3 · heads · head_width]` of queries,
/// keys and values: `[rows, heads · head_width]`.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn attention(
    compute: &Compute,
    qkv: &Tensor,
    shape: AttentionShape,
    spans: &Spans,
    scales: &HeadScales,
    rotary: Option<&Rotary>,
) -> Result<Tensor> {
    let width = shape.heads * shape.head_width;
    match compute {
        Compute::Kernels(level, _) => {
            let (level, out_shape) = (*level, (spans.rows(), width));
            let norms =
                HeadNorms { query: scales.query.values(), key: scales.key.values(), eps: RMS_EPS };
            let run = |qkv: &[f32], rotation: Option<Rotation<'_>>, out: &mut [f32]| {
                kernels::attention(level, qkv, shape, spans.ranges(), norms, rotation, out);
            };
            match rotary {
                None => {
                    map1("attention", qkv, out_shape, |qkv, out: &mut [f32]| run(qkv, None, out))
                }
                Some(Rotary { cos, sin }) => {
                    map3("attention", [qkv, cos, sin], out_shape, |[qkv, cos, sin], out| {
                        run(qkv, Some(Rotation { cos, sin }), out);
                    })
                }
            }
        }
        Compute::Candle(..) => {
            let mut sequences = Vec::with_capacity(spans.ranges().len());
            for range in spans.ranges() {
                let rows = range.len();
                let qkv = qkv.narrow(0, range.start, rows)?;
                let qkv = qkv.reshape((rows, 3, shape.heads, shape.head_width))?;
                let pick =
                    |which| qkv.narrow(1, which, 1)?.squeeze(1)?.transpose(0, 1)?.contiguous();
                let (q, k, v) = (pick(0)?, pick(1)?, pick(2)?); // [heads, rows, head_width]
                let mut q = rms(&q)?.broadcast_mul(scales.query.weight())?;
                let mut k = rms(&k)?.broadcast_mul(scales.key.weight())?;
                if let Some(rotary) = rotary {
                    let cos = rotary.cos.narrow(0, range.start, rows)?;
                    let sin = rotary.sin.narrow(0, range.start, rows)?;
                    (q, k) = (turn(&q, &cos, &sin)?, turn(&k, &cos, &sin)?);
                }
                let scale = 1.0 / (shape.head_width as f64).sqrt();
                let scores = (q.matmul(&k.t()?.contiguous()?)? * scale)?;
                let weights = candle_nn::ops::softmax(&scores, D::Minus1)?;
                let out = weights.matmul(&v)?; // [heads, rows, head_width]
                sequences.push(out.transpose(0, 1)?.reshape((rows, width))?);
            }
            Tensor::cat(&sequences, 0)
        }
    }
}

/// Turns `[heads, rows, head_width]` by tables `[rows, head_width / 2]`.
fn turn(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (heads, rows, width) = x.dims3()?;
    let halves = x.reshape((heads, rows, 2, 2, width / 4))?; // half, first or second, pair
    let u = halves.narrow(3, 0, 1)?;
    let v = halves.narrow(3, 1, 1)?;
    let cos = cos.reshape((1, rows, 2, 1, width / 4))?;
    let sin = sin.reshape((1, rows, 2, 1, width / 4))?;
    let first = (u.broadcast_mul(&cos)? - v.broadcast_mul(&sin)?)?;
    let second = (u.broadcast_mul(&sin)? + v.broadcast_mul(&cos)?)?;
    Tensor::cat(&[first, second], 3)?.reshape((heads, rows, width))
}

/// Names the sizes of an attention between rows of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Sequences that see only themselves.
    pub batch: usize,
    /// Number of heads.
    pub heads: usize,
    /// Numbers of a head.
    pub head_width: usize,
    /// Whether a query sees only keys up to its own place.
    pub is_causal: bool,
}

impl Heads {
    fn width(&self) -> usize {
        self.heads * self.head_width
    }

    fn settings(&self) -> Attend {
        Attend {
            sequences: self.batch,
            head_width: self.head_width,
            scale: 1.0 / (self.head_width as f32).sqrt(),
            is_causal: self.is_causal,
        }
    }

    /// Splits `[batch · rows, parts · width]` by candle's operations: `[batch · heads, rows, head]`.
    fn part(&self, x: &Tensor, part: usize) -> Result<Tensor> {
        let rows = x.dim(0)? / self.batch.max(1);
        x.narrow(1, part * self.width(), self.width())?
            .reshape((self.batch, rows, self.heads, self.head_width))?
            .transpose(1, 2)?
            .contiguous()?
            .reshape((self.batch * self.heads, rows, self.head_width))
    }

    /// Computes attention by candle's operations, with products of these numbers, from the rows of
    /// queries, keys and values, each with the part of its rows' width where they stand.
    fn by_candle(
        &self,
        products: DType,
        rows: [(&Tensor, usize); 3],
        bias: Option<&PlaceBias<'_>>,
    ) -> Result<Tensor> {
        #[cfg(feature = "flash-attn")]
        if bias.is_none() && super::flash::takes(rows[0].0.device(), products, self.head_width) {
            return super::flash::attention(self, products, rows);
        }
        let part = |(x, part): (&Tensor, usize)| self.part(&x.to_dtype(products)?, part);
        let [q, k, v] = [part(rows[0])?, part(rows[1])?, part(rows[2])?];
        let (queries, keys) = (q.dim(1)?, k.dim(1)?);
        let scores = q.matmul(&k.t()?.contiguous()?)?.to_dtype(DType::F32)?;
        let scores = (scores * f64::from(self.settings().scale))?;
        let scores = match bias {
            Some(bias) => bias.added(&scores, self)?,
            None => scores,
        };
        let scores = if self.is_causal {
            let hidden = keys - queries;
            let mask: Vec<f32> = (0..queries * keys)
                .map(|i| if i % keys > i / keys + hidden { f32::NEG_INFINITY } else { 0.0 })
                .collect();
            scores.broadcast_add(&Tensor::from_vec(mask, (queries, keys), q.device())?)?
        } else {
            scores
        };
        let weights = candle_nn::ops::softmax_last_dim(&scores)?.to_dtype(products)?;
        let y = weights.matmul(&v)?;
        y.reshape((self.batch, self.heads, queries, self.head_width))?
            .transpose(1, 2)?
            .reshape((self.batch * queries, self.width()))
    }
}

/// Computes softmax(q kᵀ / √head_width) v from rows `[batch · rows, 3 · heads · head_width]` of
/// queries, keys and values: `[batch · rows, heads · head_width]` in the numbers that products read.
///
/// On the processor `stop` is asked from time to time whether to stop. Where it says so, the result
/// holds anything and must not be used.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn self_attention(
    compute: &Compute,
    qkv: &Tensor,
    heads: Heads,
    stop: Option<&dyn Fn() -> bool>,
) -> Result<Tensor> {
    let (rows, width) = (qkv.dim(0)?, heads.width());
    if qkv.dim(1)? != 3 * width {
        candle_core::bail!("there are a query, key and value of {width} per row");
    }
    let Compute::Kernels(level, _) = compute else {
        return heads.by_candle(compute.products(), [(qkv, 0), (qkv, 1), (qkv, 2)], None);
    };
    let length = rows / heads.batch.max(1);
    narrow_or_wide!(compute.is_narrow(), O => {
        run1("self_attention", qkv, (rows, width), |[qkv]: Inputs<'_, 1>, out: &mut [O]| {
            match qkv {
                Input::F32(values) => {
                    let of = |part: usize| vectors(values, length, 3 * width, part, heads);
                    let vectors = [of(0), of(1), of(2)];
                    kernels::attend_until(*level, heads.settings(), vectors, out, stop);
                }
                Input::Bf16(values) => {
                    let of = |part: usize| vectors(values, length, 3 * width, part, heads);
                    let vectors = [of(0), of(1), of(2)];
                    kernels::attend_until(*level, heads.settings(), vectors, out, stop);
                }
            }
        })
    })
}

/// Computes attention of queries `[batch · rows, width]` to keys and values `[batch · keys, 2 ·
/// width]` as [`self_attention`] does.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn cross_attention(compute: &Compute, q: &Tensor, kv: &Tensor, heads: Heads) -> Result<Tensor> {
    let (rows, width) = (q.dim(0)?, heads.width());
    if q.dim(1)? != width || kv.dim(1)? != 2 * width || q.dtype() != kv.dtype() {
        candle_core::bail!("queries of {width}, keys and values of as many, of one kind");
    }
    let Compute::Kernels(level, _) = compute else {
        return heads.by_candle(compute.products(), [(q, 0), (kv, 0), (kv, 1)], None);
    };
    let batch = heads.batch.max(1);
    let (length, keys) = (rows / batch, kv.dim(0)? / batch);
    narrow_or_wide!(compute.is_narrow(), O => {
        run2("cross_attention", [q, kv], (rows, width), |inputs, out: &mut [O]| match inputs {
            [Input::F32(q), Input::F32(kv)] => {
                let of = |part: usize| vectors(kv, keys, 2 * width, part, heads);
                let q = vectors(q, length, width, 0, heads);
                kernels::attend(*level, heads.settings(), [q, of(0), of(1)], out);
            }
            [Input::Bf16(q), Input::Bf16(kv)] => {
                let of = |part: usize| vectors(kv, keys, 2 * width, part, heads);
                let q = vectors(q, length, width, 0, heads);
                kernels::attend(*level, heads.settings(), [q, of(0), of(1)], out);
            }
            _ => unreachable!("both were found to be of one kind"),
        })
    })
}

/// Says what places of a picture add to the scores of an attention between them.
#[derive(Debug, Clone, Copy)]
pub enum PlaceBias<'a> {
    /// A number per head, key and query, the same for every sequence: `[heads, keys, queries]`.
    Table(&'a Tensor),
    /// What each query adds to all keys of a row of the grid, then to all of a column: `[batch ·
    /// queries, heads · (rows + columns)]`.
    Grid {
        /// Keys of a row.
        columns: usize,
        /// The numbers.
        terms: &'a Tensor,
    },
}

impl PlaceBias<'_> {
    /// Adds it to scores `[batch · heads, queries, keys]` by candle's operations.
    fn added(&self, scores: &Tensor, heads: &Heads) -> Result<Tensor> {
        let (_, queries, keys) = scores.dims3()?;
        match self {
            Self::Table(table) => {
                let scores = scores.reshape((heads.batch, heads.heads, queries, keys))?;
                let scores = scores.broadcast_add(&table.transpose(1, 2)?)?;
                scores.reshape((heads.batch * heads.heads, queries, keys))
            }
            Self::Grid { columns, terms } => {
                let (rows, batch) = (keys / columns, heads.batch);
                let terms = terms
                    .reshape((batch, queries, heads.heads, rows + columns))?
                    .transpose(1, 2)?
                    .contiguous()?
                    .reshape((batch * heads.heads, queries, rows + columns))?;
                let scores = scores.reshape((batch * heads.heads, queries, rows, *columns))?;
                let of_rows = terms.narrow(2, 0, rows)?.unsqueeze(3)?;
                let of_columns = terms.narrow(2, rows, *columns)?.unsqueeze(2)?;
                scores.broadcast_add(&of_rows)?.broadcast_add(&of_columns)?.reshape((
                    batch * heads.heads,
                    queries,
                    keys,
                ))
            }
        }
    }
}

/// Computes [`self_attention`] between places of a picture, each of which adds something to the scores.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn place_attention(
    compute: &Compute,
    qkv: &Tensor,
    heads: Heads,
    bias: PlaceBias<'_>,
    stop: Option<&dyn Fn() -> bool>,
) -> Result<Tensor> {
    let (rows, width) = (qkv.dim(0)?, heads.width());
    let length = rows / heads.batch.max(1);
    let (numbers, wanted) = match bias {
        PlaceBias::Table(table) => (table, heads.heads * length * length),
        PlaceBias::Grid { columns, terms } if columns > 0 && length.is_multiple_of(columns) => {
            (terms, rows * heads.heads * (length / columns + columns))
        }
        PlaceBias::Grid { columns, .. } => {
            candle_core::bail!("{length} places do not fill rows of {columns}")
        }
    };
    let is_wide = numbers.dtype() == DType::F32;
    if qkv.dim(1)? != 3 * width || numbers.elem_count() != wanted || !is_wide {
        candle_core::bail!("there are a query, key and value of {width} and {wanted} numbers");
    }
    let Compute::Kernels(level, _) = compute else {
        let parts = [(qkv, 0), (qkv, 1), (qkv, 2)];
        return heads.by_candle(compute.products(), parts, Some(&bias));
    };
    narrow_or_wide!(compute.is_narrow(), O => {
        run2("place_attention", [qkv, numbers], (rows, width), |[qkv, numbers], out: &mut [O]| {
            let numbers = f32s(numbers);
            let bias = Some(match bias {
                PlaceBias::Table(_) => ScoreBias::Table(numbers),
                PlaceBias::Grid { columns, .. } => ScoreBias::Grid { columns, terms: numbers },
            });
            let settings = heads.settings();
            match qkv {
                Input::F32(values) => {
                    let of = |part: usize| vectors(values, length, 3 * width, part, heads);
                    let vectors = [of(0), of(1), of(2)];
                    kernels::attend_biased(*level, settings, vectors, bias, out, stop);
                }
                Input::Bf16(values) => {
                    let of = |part: usize| vectors(values, length, 3 * width, part, heads);
                    let vectors = [of(0), of(1), of(2)];
                    kernels::attend_biased(*level, settings, vectors, bias, out, stop);
                }
            }
        })
    })
}

/// Computes attention of queries `[batch · rows, width]` to keys and values `[batch · keys, width]` that
/// stand apart, all in f32.
///
/// # Errors
/// Passes on errors of the tensor library.
pub fn apart_attention(compute: &Compute, [q, k, v]: [&Tensor; 3], heads: Heads) -> Result<Tensor> {
    let (rows, width) = (q.dim(0)?, heads.width());
    if [q.dim(1)?, k.dim(1)?, v.dim(1)?] != [width; 3] || k.dim(0)? != v.dim(0)? {
        candle_core::bail!("queries, keys and values have a width of {width}");
    }
    let Compute::Kernels(level, _) = compute else {
        return heads.by_candle(DType::F32, [(q, 0), (k, 0), (v, 0)], None);
    };
    let batch = heads.batch.max(1);
    let (length, keys) = (rows / batch, k.dim(0)? / batch);
    map3("apart_attention", [q, k, v], (rows, width), |[q, k, v], out: &mut [f32]| {
        let of = |values, rows| vectors(values, rows, width, 0, heads);
        let vectors = [of(q, length), of(k, keys), of(v, keys)];
        kernels::attend(*level, heads.settings(), vectors, out);
    })
}

fn vectors<T>(
    values: &[T],
    rows: usize,
    stride: usize,
    part: usize,
    heads: Heads,
) -> Vectors<'_, T> {
    Vectors { values, rows, stride, first: part * heads.width(), heads: heads.heads }
}
