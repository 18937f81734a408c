//! Lists of tensors with their shapes.

/// Gathers tensors in PyTorch's order.
#[derive(Default)]
pub(super) struct List {
    pub(super) tensors: Vec<(String, Vec<usize>)>,
}

impl List {
    fn weight(&mut self, name: &str, shape: &[usize]) {
        self.tensors.push((format!("{name}.weight"), shape.to_vec()));
    }

    fn bias(&mut self, name: &str, width: usize) {
        self.tensors.push((format!("{name}.bias"), vec![width]));
    }

    /// Adds one tensor without a bias.
    pub(super) fn plain(&mut self, name: &str, shape: &[usize]) {
        self.weight(name, shape);
    }

    pub(super) fn linear(&mut self, name: &str, to: usize, from: usize) {
        self.weight(name, &[to, from]);
        self.bias(name, to);
    }

    pub(super) fn conv(&mut self, name: &str, to: usize, from: usize, side: usize) {
        self.weight(name, &[to, from, side, side]);
        self.bias(name, to);
    }

    pub(super) fn norm(&mut self, name: &str, width: usize) {
        self.weight(name, &[width]);
        self.bias(name, width);
    }

    /// Adds two convolutions with their norms; `time` is the width of the embedding of the time
    /// step that is added between them, if any.
    pub(super) fn resnet(&mut self, name: &str, from: usize, to: usize, time: Option<usize>) {
        self.norm(&format!("{name}.norm1"), from);
        self.conv(&format!("{name}.conv1"), to, from, 3);
        if let Some(time) = time {
            self.linear(&format!("{name}.time_emb_proj"), to, time);
        }
        self.norm(&format!("{name}.norm2"), to);
        self.conv(&format!("{name}.conv2"), to, to, 3);
        if from != to {
            self.conv(&format!("{name}.conv_shortcut"), to, from, 1);
        }
    }

    /// Adds an attention over `from` features.
    pub(super) fn attention(&mut self, name: &str, width: usize, from: usize) {
        self.plain(&format!("{name}.to_q"), &[width, width]);
        self.plain(&format!("{name}.to_k"), &[width, from]);
        self.plain(&format!("{name}.to_v"), &[width, from]);
        self.linear(&format!("{name}.to_out.0"), width, width);
    }
}
