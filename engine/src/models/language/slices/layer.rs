//! One layer.

use super::super::config::{Activation, Config};
use super::super::rope::AllAngles;
use super::matrix::Packer;
use super::network::Work;
use crate::error::EngineError;
use crate::kernels::quantized::{
    Activations, Finish, Gate, Part, Weights, multiply, multiply_gated,
};
use crate::kernels::{
    CausalShape, HeadScales, KeyValues, Team, Turn, TurnPairs, add_normed, admit, attend_causal,
};
use crate::models::language::config::Pairs;

/// Holds the weights of one layer.
#[derive(Debug)]
pub(super) struct Layer {
    attention_norm: Vec<f32>,
    /// Queries, keys and values.
    qkv: [Weights; 3],
    /// The scales of the norms of queries and keys.
    head_norms: Option<[Vec<f32>; 2]>,
    output: Weights,
    attention_result_norm: Option<Vec<f32>>,
    feed_norm: Vec<f32>,
    /// Gates and values.
    up: [Weights; 2],
    down: Weights,
    feed_result_norm: Option<Vec<f32>>,
    shape: CausalShape,
    turns: bool,
}

impl Layer {
    /// Loads layer `index`.
    pub(super) fn load(
        packer: &mut Packer<'_>,
        config: &Config,
        index: usize,
    ) -> Result<Self, EngineError> {
        let s = &config.sizes;
        let (queries, keys) = (s.heads * s.head, s.kv_heads * s.head);
        let name = |part: &str| format!("blk.{index}.{part}");
        let qkv = if packer.source.has(&name("attn_qkv.weight")) {
            packer.split(&name("attn_qkv"), [queries, keys, keys], s.width)?
        } else {
            [
                packer.matrix(&name("attn_q"), queries, s.width)?,
                packer.matrix(&name("attn_k"), keys, s.width)?,
                packer.matrix(&name("attn_v"), keys, s.width)?,
            ]
        };
        let up = if packer.source.has(&name("ffn_gate.weight")) {
            [
                packer.matrix(&name("ffn_gate"), s.inner, s.width)?,
                packer.matrix(&name("ffn_up"), s.inner, s.width)?,
            ]
        } else {
            packer.split(&name("ffn_up"), [s.inner, s.inner], s.width)?
        };
        let source = &mut *packer.source;
        let head_norms = if config.normalises_heads {
            Some([
                source.vector(&name("attn_q_norm.weight"), s.head)?,
                source.vector(&name("attn_k_norm.weight"), s.head)?,
            ])
        } else {
            None
        };
        let mut result_norm = |part: &str| {
            config.normalises_results.then(|| source.vector(&name(part), s.width)).transpose()
        };
        Ok(Self {
            attention_result_norm: result_norm("post_attention_norm.weight")?,
            feed_result_norm: result_norm("post_ffw_norm.weight")?,
            attention_norm: packer.source.vector(&name("attn_norm.weight"), s.width)?,
            qkv,
            head_norms,
            output: packer.matrix(&name("attn_output"), s.width, queries)?,
            feed_norm: packer.source.vector(&name("ffn_norm.weight"), s.width)?,
            up,
            down: packer.matrix(&name("ffn_down"), s.width, s.inner)?,
            shape: CausalShape {
                heads: s.heads,
                kv_heads: s.kv_heads,
                head: s.head,
                window: if config.has_window(index) { config.window } else { 0 },
                query_scale: config.query_scale as f32,
                soft_limit: config.soft_limits[0] as f32,
            },
            turns: config.turns(index),
        })
    }

    /// Takes the states `[n, width]` in `work` through the layer; the tokens stand behind the first
    /// `length`.
    pub(super) fn forward(
        &self,
        team: &mut Team,
        config: &Config,
        angles: &AllAngles,
        cache: &mut KeyValues,
        length: usize,
        work: &mut Work,
    ) {
        let (s, eps, shape) = (&config.sizes, config.epsilon as f32, self.shape);
        let Work { states, hidden, attended, inner, qkv, added } = work;
        let rows = states.len() / s.width;
        hidden.reshape(rows, s.width);
        hidden.set_norm(team, states, &self.attention_norm, eps);
        let row = shape.row();
        qkv.resize(rows * row, 0.0);
        let mut column = 0;
        let parts = self.qkv.each_ref().map(|weights| {
            let part = Part { weights, column };
            column += weights.matrix.outputs();
            part
        });
        multiply(team, hidden, &parts, Finish::Set, qkv, row);
        let norms = self.head_norms.as_ref();
        let norms = norms.map(|[query, key]| HeadScales { query, key, eps });
        let angles = angles.of(shape.window > 0);
        let turn = self.turns.then(|| Turn {
            cos: &angles.cosines,
            sin: &angles.sines,
            turned: angles.turned,
            pairs: match angles.pairs {
                Pairs::Neighbours => TurnPairs::Neighbours,
                Pairs::Halves => TurnPairs::Halves,
            },
        });
        cache.reserve(length, length + rows, s.context);
        admit(team, qkv, shape, norms, turn, cache, length);
        attended.reshape(rows, s.heads * s.head);
        attend_causal(team, hidden.level(), qkv, shape, cache, length, attended.plain_mut());
        attended.round(team);
        let mut sink = Sink { states, added, width: s.width, eps };
        sink.add(team, attended, &self.output, self.attention_result_norm.as_deref());
        hidden.set_norm(team, sink.states, &self.feed_norm, eps);
        inner.reshape(rows, s.inner);
        let gate = match config.activation {
            Activation::Silu => Gate::Silu,
            Activation::GeluTanh => Gate::GeluTanh,
        };
        multiply_gated(team, hidden, self.up.each_ref(), gate, inner.plain_mut());
        inner.round(team);
        sink.add(team, inner, &self.down, self.feed_result_norm.as_deref());
    }
}

/// Where the results of a layer's parts are added.
struct Sink<'a> {
    /// `[n, width]`.
    states: &'a mut [f32],
    /// Room for results that are normed first.
    added: &'a mut Vec<f32>,
    width: usize,
    eps: f32,
}

impl Sink<'_> {
    /// Adds `x · weightsᵀ`, normed where there is a norm.
    fn add(&mut self, team: &mut Team, x: &Activations, weights: &Weights, norm: Option<&[f32]>) {
        let parts = [Part { weights, column: 0 }];
        if let Some(norm) = norm {
            self.added.resize(self.states.len(), 0.0);
            multiply(team, x, &parts, Finish::Set, self.added, self.width);
            add_normed(team, self.added, norm, self.eps, self.states);
        } else {
            multiply(team, x, &parts, Finish::Add, self.states, self.width);
        }
    }
}
