//! Runs a kernel on the slices of contiguous f32 tensors on the processor.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

/// A kernel with its name and the shape of its output.
struct Map<F>(&'static str, Shape, F);

impl<F> Map<F> {
    /// Makes the output, filled by `fill`.
    fn output(&self, fill: impl FnOnce(&F, &mut [f32])) -> (CpuStorage, Shape) {
        let mut out = vec![0f32; self.1.elem_count()];
        fill(&self.2, &mut out);
        (CpuStorage::F32(out), self.1.clone())
    }
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let values = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("a kernel needs contiguous tensors"),
    }
}

impl<F: Fn(&[f32], &mut [f32])> CustomOp1 for Map<F> {
    fn name(&self) -> &'static str {
        self.0
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(s, l)?;
        Ok(self.output(|f, out| f(x, out)))
    }
}

impl<F: Fn([&[f32]; 2], &mut [f32])> CustomOp2 for Map<F> {
    fn name(&self) -> &'static str {
        self.0
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = [slice(s1, l1)?, slice(s2, l2)?];
        Ok(self.output(|f, out| f(x, out)))
    }
}

impl<F: Fn([&[f32]; 3], &mut [f32])> CustomOp3 for Map<F> {
    fn name(&self) -> &'static str {
        self.0
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = [slice(s1, l1)?, slice(s2, l2)?, slice(s3, l3)?];
        Ok(self.output(|f, out| f(x, out)))
    }
}

/// Makes a tensor of `shape` from one tensor. Has no backward pass.
pub(super) fn map1(
    name: &'static str,
    x: &Tensor,
    shape: impl Into<Shape>,
    f: impl Fn(&[f32], &mut [f32]),
) -> Result<Tensor> {
    x.apply_op1_no_bwd(&Map(name, shape.into(), f))
}

/// Makes a tensor of `shape` from two tensors. Has no backward pass.
pub(super) fn map2(
    name: &'static str,
    x: [&Tensor; 2],
    shape: impl Into<Shape>,
    f: impl Fn([&[f32]; 2], &mut [f32]),
) -> Result<Tensor> {
    x[0].apply_op2_no_bwd(x[1], &Map(name, shape.into(), f))
}

/// Makes a tensor of `shape` from three tensors. Has no backward pass.
pub(super) fn map3(
    name: &'static str,
    x: [&Tensor; 3],
    shape: impl Into<Shape>,
    f: impl Fn([&[f32]; 3], &mut [f32]),
) -> Result<Tensor> {
    x[0].apply_op3_no_bwd(x[1], x[2], &Map(name, shape.into(), f))
}
