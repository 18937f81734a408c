//! Attention.

use half::bf16;

use super::super::*;
use super::{assert_close, noise, ways};

#[test]
fn attention_agrees_with_a_plain_loop_over_sequences_of_odd_lengths() {
    for level in Level::available() {
        for (heads, head_width, lengths) in
            [(1, 4, vec![1]), (3, 8, vec![5, 1, 2]), (2, 64, vec![65, 80]), (1, 32, vec![131])]
        {
            let shape = AttentionShape { heads, head_width };
            let rows: usize = lengths.iter().sum();
            let width = heads * head_width;
            let qkv = noise(rows * 3 * width, 1);
            let (query, key) = (noise(head_width, 2), noise(head_width, 3));
            let angles = noise(rows * head_width / 2, 4);
            let cos: Vec<f32> = angles.iter().map(|a| (a * 3.0).cos()).collect();
            let sin: Vec<f32> = angles.iter().map(|a| (a * 3.0).sin()).collect();
            let mut start = 0;
            let spans: Vec<_> = lengths
                .iter()
                .map(|length| {
                    start += length;
                    start - length..start
                })
                .collect();
            let prepared = |row: usize, which: usize, head: usize, scale: &[f32]| -> Vec<f64> {
                let x = &qkv[(row * 3 + which) * width + head * head_width..][..head_width];
                let mean = x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / head_width as f64;
                let x: Vec<f64> = x
                    .iter()
                    .zip(scale)
                    .map(|(v, s)| f64::from(*v) / (mean + 1e-6).sqrt() * f64::from(*s))
                    .collect();
                let (half, quarter) = (head_width / 2, head_width / 4);
                (0..head_width)
                    .map(|i| {
                        let (h, second, pair) = (i / half, i % half / quarter, i % quarter);
                        let (u, v) = (x[h * half + pair], x[h * half + quarter + pair]);
                        let at = row * half + h * quarter + pair;
                        let (c, s) = (f64::from(cos[at]), f64::from(sin[at]));
                        if second == 0 { u * c - v * s } else { u * s + v * c }
                    })
                    .collect()
            };
            let mut want = vec![0f64; rows * width];
            for span in &spans {
                for (row, head) in span.clone().flat_map(|r| (0..heads).map(move |h| (r, h))) {
                    let q = prepared(row, 0, head, &query);
                    let scores: Vec<f64> = span
                        .clone()
                        .map(|other| {
                            let k = prepared(other, 1, head, &key);
                            let dot: f64 = q.iter().zip(&k).map(|(a, b)| a * b).sum();
                            (dot / (head_width as f64).sqrt()).exp()
                        })
                        .collect();
                    let total: f64 = scores.iter().sum();
                    for (other, score) in span.clone().zip(scores) {
                        for c in 0..head_width {
                            let v = qkv[(other * 3 + 2) * width + head * head_width + c];
                            want[row * width + head * head_width + c] +=
                                score / total * f64::from(v);
                        }
                    }
                }
            }
            let mut out = vec![0f32; rows * width];
            let norms = HeadNorms { query: &query, key: &key, eps: 1e-6 };
            let rotation = Some(Rotation { cos: &cos, sin: &sin });
            attention(level, &qkv, shape, &spans, norms, rotation, &mut out);
            assert_close(&out, &want, 1e-5, &format!("{level:?} {shape:?} {lengths:?}"));
        }
    }
}

/// Attention by a plain loop over `[sequences, rows, heads, width]`.
fn plain_attend(settings: Attend, vectors: [Vectors<'_, f32>; 3]) -> Vec<f64> {
    plain_biased(settings, vectors, &|_, _, _, _| 0.0)
}

/// The same with what `bias` says of a sequence, a query, a head and a key added to the scores.
fn plain_biased(
    settings: Attend,
    [q, k, v]: [Vectors<'_, f32>; 3],
    bias: &dyn Fn(usize, usize, usize, usize) -> f32,
) -> Vec<f64> {
    let Attend { sequences, head_width, scale, is_causal } = settings;
    let at = |x: &Vectors<'_, f32>, sequence: usize, row: usize, head: usize, c: usize| {
        let start = (sequence * x.rows + row) * x.stride + x.first + head * head_width;
        f64::from(x.values[start + c])
    };
    let mut out = Vec::new();
    for (sequence, row) in (0..sequences).flat_map(|s| (0..q.rows).map(move |r| (s, r))) {
        for head in 0..q.heads {
            let other = head / (q.heads / k.heads);
            let seen = if is_causal { k.rows - q.rows + row + 1 } else { k.rows };
            let scores: Vec<f64> = (0..seen)
                .map(|key| {
                    let dot: f64 = (0..head_width)
                        .map(|c| at(&q, sequence, row, head, c) * at(&k, sequence, key, other, c))
                        .sum();
                    let bias = bias(sequence, row, head, key);
                    (dot * f64::from(scale) + f64::from(bias)).exp()
                })
                .collect();
            let total: f64 = scores.iter().sum();
            for c in 0..head_width {
                let sum: f64 =
                    (0..seen).map(|key| scores[key] * at(&v, sequence, key, other, c)).sum();
                out.push(sum / total);
            }
        }
    }
    out
}

#[test]
fn attending_agrees_with_a_plain_loop_over_odd_shapes() {
    // Sequences, queries, keys, heads, heads of keys, width, whether causal.
    let shapes = [
        (1, 1, 1, 1, 1, 4, false),
        (2, 5, 7, 3, 3, 9, false),
        (1, 97, 130, 2, 1, 40, false),
        (2, 33, 33, 4, 2, 16, true),
        (1, 20, 530, 2, 2, 80, true),
        (1, 3, 1100, 1, 1, 64, false),
    ];
    for level in Level::available() {
        for (sequences, queries, keys, heads, shared, head_width, is_causal) in shapes {
            let (stride, key_stride) = (heads * head_width + 3, 2 * shared * head_width);
            let q = noise(sequences * queries * stride, 1);
            // Large scores, so that the softmax has something to do.
            let kv: Vec<f32> =
                noise(sequences * keys * key_stride, 2).iter().map(|x| 3.0 * x).collect();
            let settings = Attend { sequences, head_width, scale: 0.7, is_causal };
            let rows =
                |values, rows, stride, first, heads| Vectors { values, rows, stride, first, heads };
            let (qs, kvs) = (q.as_slice(), kv.as_slice());
            let vectors = [
                rows(qs, queries, stride, 2, heads),
                rows(kvs, keys, key_stride, 0, shared),
                rows(kvs, keys, key_stride, shared * head_width, shared),
            ];
            let want = plain_attend(settings, vectors);
            for (precision, tolerance) in ways(level, head_width) {
                let mut out = vec![0f32; want.len()];
                let what = format!("{level:?} {precision:?} {queries} {keys} {head_width}");
                if precision == Precision::Exact {
                    attend(level, settings, vectors, &mut out);
                    assert_close(&out, &want, 2e-5, &what);
                    // In rounds, between which it is asked whether to stop, it is the same.
                    let mut again = vec![0f32; want.len()];
                    attend_until(level, settings, vectors, &mut again, Some(&|| false));
                    assert_eq!(again, out, "{what}");
                    let untouched = vec![7f32; want.len()];
                    again.copy_from_slice(&untouched);
                    attend_until(level, settings, vectors, &mut again, Some(&|| true));
                    assert_eq!(again, untouched, "{what}");
                    continue;
                }
                let narrow = |x: &[f32]| x.iter().map(|x| bf16::from_f32(*x)).collect::<Vec<_>>();
                let (q, kv) = (narrow(&q), narrow(&kv));
                let rows = |values, rows, stride, first, heads| Vectors {
                    values,
                    rows,
                    stride,
                    first,
                    heads,
                };
                let vectors = [
                    rows(q.as_slice(), queries, stride, 2, heads),
                    rows(kv.as_slice(), keys, key_stride, 0, shared),
                    rows(kv.as_slice(), keys, key_stride, shared * head_width, shared),
                ];
                attend(level, settings, vectors, &mut out);
                assert_close(&out, &want, tolerance, &what);
            }
        }
    }
}

#[test]
fn what_is_added_to_scores_counts_per_head_and_place_whatever_the_block() {
    // Sequences, rows of the grid, columns, heads, width.
    for (sequences, rows, columns, heads, head_width) in
        [(1, 1, 1, 1, 4), (3, 7, 7, 2, 9), (2, 14, 14, 3, 32), (1, 12, 25, 2, 40)]
    {
        let (places, stride) = (rows * columns, 3 * heads * head_width);
        let qkv = noise(sequences * places * stride, 1);
        let part = |part: usize| Vectors {
            values: qkv.as_slice(),
            rows: places,
            stride,
            first: part * heads * head_width,
            heads,
        };
        let vectors = [part(0), part(1), part(2)];
        let settings = Attend { sequences, head_width, scale: 0.3, is_causal: false };
        let table: Vec<f32> = noise(heads * places * places, 2).iter().map(|x| 4.0 * x).collect();
        let each = rows + columns;
        let terms: Vec<f32> =
            noise(sequences * places * heads * each, 3).iter().map(|x| 3.0 * x).collect();
        let by_table = |_: usize, query: usize, head: usize, key: usize| {
            table[(head * places + key) * places + query]
        };
        let by_grid = |sequence: usize, query: usize, head: usize, key: usize| {
            let own = &terms[((sequence * places + query) * heads + head) * each..][..each];
            own[key / columns] + own[rows + key % columns]
        };
        let wanted =
            [plain_biased(settings, vectors, &by_table), plain_biased(settings, vectors, &by_grid)];
        for level in Level::available() {
            for (bias, want) in [
                (ScoreBias::Table(&table), &wanted[0]),
                (ScoreBias::Grid { columns, terms: &terms }, &wanted[1]),
            ] {
                let mut out = vec![0f32; want.len()];
                attend_biased(level, settings, vectors, Some(bias), &mut out, None);
                assert_close(&out, want, 2e-5, &format!("{level:?} {rows} {columns} {head_width}"));
            }
        }
    }
}
