//! What a pickle describes, as data: nothing here can be called.

use std::rc::Rc;

use crate::weights::element::Element;

/// Points to a [`Node`] among those that a pickle made.
pub(super) type Handle = u32;

/// Holds one value of a pickle.
///
/// Values point to each other by number, so a value that is named twice is held once, one that
/// holds itself is no leak, and none is too deep to be dropped.
#[derive(Debug)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 64 bits, little-endian, as it stands in the file.
    Long(Box<[u8]>),
    Float(f64),
    Text(Box<str>),
    /// Raw bytes; only their number is told.
    Bytes(usize),
    Tuple(Box<[Handle]>),
    List(Vec<Handle>),
    Dict(Vec<(Handle, Handle)>),
    Global(Global),
    /// What some other class would have made.
    /// In a box, as the next but one, so that the many small values stay small.
    Object(Box<Object>),
    Storage(Storage),
    Tensor(Box<TensorView>),
}

/// Names a class or a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Global {
    /// `torch._utils._rebuild_tensor` and `_v2`.
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`, which names the form of its numbers.
    RebuildTensorTyped,
    /// `torch._utils._rebuild_parameter`, also with state.
    RebuildParameter,
    OrderedDict,
    /// `torch.Size`.
    Size,
    /// `torch.FloatStorage` and its like; bytes where the class names no form.
    Storage(Element),
    Element(Element),
    /// Anything else, by module and name.
    Foreign(Rc<str>),
}

impl Global {
    /// Returns one of the few names that mean something here.
    pub(super) fn known(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_tensor_v3") => Some(Self::RebuildTensorTyped),
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                Some(Self::RebuildParameter)
            }
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch", "Size") => Some(Self::Size),
            ("torch" | "torch.storage", "UntypedStorage" | "TypedStorage" | "_UntypedStorage") => {
                Some(Self::Storage(Element::U8))
            }
            ("torch" | "torch.cuda", _) => {
                let storage = name.strip_suffix("Storage").and_then(storage_element);
                storage.map(Self::Storage).or_else(|| Element::of_torch(name).map(Self::Element))
            }
            _ => None,
        }
    }
}

fn storage_element(name: &str) -> Option<Element> {
    Some(match name {
        "Double" => Element::F64,
        "Float" => Element::F32,
        "Half" => Element::F16,
        "BFloat16" => Element::BF16,
        "Long" => Element::I64,
        "Int" => Element::I32,
        "Short" => Element::I16,
        "Char" => Element::I8,
        "Byte" => Element::U8,
        "Bool" => Element::Bool,
        "ComplexFloat" => Element::Complex64,
        "ComplexDouble" => Element::Complex128,
        _ => return None,
    })
}

/// Holds what a foreign class was given; it stays as it is.
#[derive(Debug, Default)]
pub(super) struct Object {
    pub(super) arguments: Vec<Handle>,
    pub(super) values: Vec<Handle>,
    pub(super) entries: Vec<(Handle, Handle)>,
    pub(super) state: Option<Handle>,
}

/// Names numbers that stand elsewhere in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    pub(super) key: Rc<str>,
    pub(super) element: Element,
    /// How many elements it has.
    pub(super) count: u64,
    /// Where it begins within the storage of this key, in elements: old files cut one storage in
    /// pieces.
    pub(super) first: u64,
}

/// Says which numbers of a storage make a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorView {
    pub(super) storage: Storage,
    pub(super) element: Element,
    /// In elements, from the beginning of the storage.
    pub(super) offset: u64,
    pub(super) shape: Vec<usize>,
    /// In elements.
    pub(super) strides: Vec<u64>,
}

impl TensorView {
    /// Returns the first byte and the number of bytes of the storage that the tensor lies in; `None`
    /// where it is not within its storage.
    pub(super) fn span(&self) -> Option<(u64, u64)> {
        let size = self.element.block().0;
        if self.shape.contains(&0) {
            return Some((0, 0));
        }
        let mut last = self.offset;
        for (side, stride) in self.shape.iter().zip(&self.strides) {
            last = last.checked_add((*side as u64 - 1).checked_mul(*stride)?)?;
        }
        let end = last.checked_add(1)?.checked_mul(size)?;
        let held = self.storage.count.checked_mul(self.storage.element.block().0)?;
        (end <= held).then_some(())?;
        let start = self.offset * size;
        let first = self.storage.first.checked_mul(self.storage.element.block().0)?;
        Some((first.checked_add(start)?, end - start))
    }

    /// Tells whether the numbers stand in one row, in order.
    pub(super) fn is_row_major(&self) -> bool {
        let mut expected = 1_u64;
        for (side, stride) in self.shape.iter().zip(&self.strides).rev() {
            // The stride of a single index is never walked.
            if *side != 1 && *stride != expected {
                return false;
            }
            expected = expected.saturating_mul(*side as u64);
        }
        true
    }

    /// Puts the numbers of [`TensorView::span`] in one row.
    pub(super) fn gather(&self, span: Vec<u8>) -> Vec<u8> {
        if self.is_row_major() || self.shape.contains(&0) {
            return span;
        }
        let size = self.element.block().0 as usize;
        let count: usize = self.shape.iter().product();
        let mut out = Vec::with_capacity(count * size);
        let mut index = vec![0_usize; self.shape.len()];
        let mut at = 0_usize;
        for _ in 0..count {
            out.extend_from_slice(&span[at * size..(at + 1) * size]);
            for axis in (0..self.shape.len()).rev() {
                let stride = self.strides[axis] as usize;
                index[axis] += 1;
                at += stride;
                if index[axis] < self.shape[axis] {
                    break;
                }
                at -= stride * self.shape[axis];
                index[axis] = 0;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn view(offset: u64, shape: &[usize], strides: &[u64]) -> TensorView {
        let storage = Storage { key: "0".into(), element: Element::U8, count: 24, first: 0 };
        let (shape, strides) = (shape.to_vec(), strides.to_vec());
        TensorView { storage, element: Element::U8, offset, shape, strides }
    }

    /// Reads a tensor of the bytes 0 to 23.
    fn read(view: &TensorView) -> Vec<u8> {
        let (start, count) = view.span().unwrap();
        view.gather((start as u8..(start + count) as u8).collect())
    }

    #[test]
    fn strides_are_walked_in_row_major_order() {
        assert_eq!(read(&view(0, &[2, 3], &[3, 1])), [0, 1, 2, 3, 4, 5]);
        assert_eq!(read(&view(0, &[3, 2], &[1, 3])), [0, 3, 1, 4, 2, 5]);
        assert_eq!(read(&view(5, &[2, 2], &[10, 2])), [5, 7, 15, 17]);
        assert_eq!(read(&view(4, &[2, 1, 2], &[0, 99, 1])), [4, 5, 4, 5]);
        assert_eq!(read(&view(23, &[], &[])), [23]);
        assert!(read(&view(99, &[0, 7], &[1, 1])).is_empty());
        assert_eq!(read(&view(0, &[2, 3, 4], &[1, 2, 6]))[..5], [0, 6, 12, 18, 2]);
    }

    #[test]
    fn only_what_lies_within_the_storage_has_a_span() {
        assert_eq!(view(20, &[2, 2], &[2, 1]).span(), Some((20, 4)));
        assert_eq!(view(21, &[2, 2], &[2, 1]).span(), None);
        assert_eq!(view(u64::MAX, &[1], &[1]).span(), None);
        assert_eq!(view(0, &[2], &[u64::MAX]).span(), None);
        assert_eq!(view(0, &[usize::MAX, usize::MAX], &[u64::MAX, 1]).span(), None);
    }

    #[test]
    fn numbers_of_another_form_than_their_storage_are_counted_in_their_own_size() {
        let wide = TensorView { element: Element::F32, ..view(2, &[4], &[1]) };
        assert_eq!(wide.span(), Some((8, 16)));
        assert_eq!(TensorView { offset: 3, ..wide }.span(), None);
    }

    #[test]
    fn only_names_that_describe_tensors_are_known() {
        assert_eq!(Global::known("torch", "HalfStorage"), Some(Global::Storage(Element::F16)));
        assert_eq!(Global::known("torch", "bfloat16"), Some(Global::Element(Element::BF16)));
        for (module, name) in [("os", "system"), ("torch", "load"), ("torch._utils", "eval")] {
            assert_eq!(Global::known(module, name), None);
        }
    }
}
