//! Runs a kernel on the slices of contiguous tensors on the processor.

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor, WithDType,
};
use half::bf16;

use crate::kernels::{Element, Input, any_values};

/// A kernel's inputs: the numbers of one to three tensors.
pub(super) type Inputs<'a, const N: usize> = [Input<'a>; N];

/// Is a number that kernels write.
pub(super) trait Output: Element + WithDType {
    /// Wraps numbers for the tensor library.
    fn store(values: Vec<Self>) -> CpuStorage;
}

impl Output for f32 {
    fn store(values: Vec<Self>) -> CpuStorage {
        CpuStorage::F32(values)
    }
}

impl Output for bf16 {
    fn store(values: Vec<Self>) -> CpuStorage {
        CpuStorage::BF16(values)
    }
}

/// A kernel with its name and the shape of its output.
struct Map<F, O> {
    name: &'static str,
    shape: Shape,
    run: F,
    output: std::marker::PhantomData<O>,
}

impl<F, O: Output> Map<F, O> {
    /// Makes the output, of which `fill` writes every number.
    fn output(&self, fill: impl FnOnce(&F, &mut [O])) -> (CpuStorage, Shape) {
        let mut out = any_values(self.shape.elem_count());
        fill(&self.run, &mut out);
        (O::store(out), self.shape.clone())
    }
}

fn input<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<Input<'a>> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("a kernel needs contiguous tensors");
    };
    match storage {
        CpuStorage::F32(values) => Ok(Input::F32(&values[start..end])),
        CpuStorage::BF16(values) => Ok(Input::Bf16(&values[start..end])),
        _ => candle_core::bail!("a kernel reads f32 or bf16"),
    }
}

impl<O: Output, F: Fn(Inputs<'_, 1>, &mut [O])> CustomOp1 for Map<F, O> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = [input(s, l)?];
        Ok(self.output(|f, out| f(x, out)))
    }
}

impl<O: Output, F: Fn(Inputs<'_, 2>, &mut [O])> CustomOp2 for Map<F, O> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = [input(s1, l1)?, input(s2, l2)?];
        Ok(self.output(|f, out| f(x, out)))
    }
}

impl<O: Output, F: Fn(Inputs<'_, 3>, &mut [O])> CustomOp3 for Map<F, O> {
    fn name(&self) -> &'static str {
        self.name
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
        let x = [input(s1, l1)?, input(s2, l2)?, input(s3, l3)?];
        Ok(self.output(|f, out| f(x, out)))
    }
}

fn op<O, F>(name: &'static str, shape: impl Into<Shape>, run: F) -> Map<F, O> {
    Map { name, shape: shape.into(), run, output: std::marker::PhantomData }
}

/// Makes a tensor of `shape` from one tensor of f32 or bf16. Has no backward pass.
pub(super) fn run1<O: Output>(
    name: &'static str,
    x: &Tensor,
    shape: impl Into<Shape>,
    f: impl Fn(Inputs<'_, 1>, &mut [O]),
) -> Result<Tensor> {
    x.apply_op1_no_bwd(&op(name, shape, f))
}

/// Makes a tensor of `shape` from two tensors of f32 or bf16. Has no backward pass.
pub(super) fn run2<O: Output>(
    name: &'static str,
    x: [&Tensor; 2],
    shape: impl Into<Shape>,
    f: impl Fn(Inputs<'_, 2>, &mut [O]),
) -> Result<Tensor> {
    x[0].apply_op2_no_bwd(x[1], &op(name, shape, f))
}

/// Makes a tensor of `shape` from three tensors of f32 or bf16. Has no backward pass.
pub(super) fn run3<O: Output>(
    name: &'static str,
    x: [&Tensor; 3],
    shape: impl Into<Shape>,
    f: impl Fn(Inputs<'_, 3>, &mut [O]),
) -> Result<Tensor> {
    x[0].apply_op3_no_bwd(x[1], x[2], &op(name, shape, f))
}

/// Passes on a tensor that is f32, and says so where it is not.
fn wide(x: &Tensor) -> Result<&Tensor> {
    match x.dtype() {
        DType::F32 => Ok(x),
        other => candle_core::bail!("this kernel reads f32, not {other:?}"),
    }
}

/// Returns the numbers of an input that is known to be f32.
pub(super) fn f32s(input: Input<'_>) -> &[f32] {
    match input {
        Input::F32(values) => values,
        Input::Bf16(_) => unreachable!("the tensor was found to be f32"),
    }
}

/// Makes a tensor of `shape` from one of f32. Has no backward pass.
pub(super) fn map1<O: Output>(
    name: &'static str,
    x: &Tensor,
    shape: impl Into<Shape>,
    f: impl Fn(&[f32], &mut [O]),
) -> Result<Tensor> {
    run1(name, wide(x)?, shape, |[x], out| f(f32s(x), out))
}

/// Makes a tensor of `shape` from two of f32. Has no backward pass.
pub(super) fn map2<O: Output>(
    name: &'static str,
    x: [&Tensor; 2],
    shape: impl Into<Shape>,
    f: impl Fn([&[f32]; 2], &mut [O]),
) -> Result<Tensor> {
    run2(name, [wide(x[0])?, wide(x[1])?], shape, |x, out| f(x.map(f32s), out))
}

/// Makes a tensor of `shape` from three of f32. Has no backward pass.
pub(super) fn map3<O: Output>(
    name: &'static str,
    x: [&Tensor; 3],
    shape: impl Into<Shape>,
    f: impl Fn([&[f32]; 3], &mut [O]),
) -> Result<Tensor> {
    run3(name, [wide(x[0])?, wide(x[1])?, wide(x[2])?], shape, |x, out| f(x.map(f32s), out))
}

/// Makes a tensor of bf16 or of f32 by the same expression.
macro_rules! narrow_or_wide {
    ($is_narrow:expr, $of:ident => $make:expr) => {
        if $is_narrow {
            type $of = half::bf16;
            $make
        } else {
            type $of = f32;
            $make
        }
    };
}
pub(super) use narrow_or_wide;
