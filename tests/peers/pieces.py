"""Times single pieces of the models in PyTorch and OpenVINO, on the processor.

    python pieces.py --engine torch --precision bf16
    python pieces.py --engine openvino --precision f32 --piece conv3-320

Prints one line of JSON for each piece. `seconds` is the whole call, as a user of the engine sees it. OpenVINO puts
inputs into its own layout and type and back, which within a model happens only at its ends: `kernel_seconds` is the
time of the nodes without these reorders and conversions, by OpenVINO's own clock, and `gflop_per_second` is reckoned
from it. PyTorch packs weights on every call, within a model as here, so there is nothing to take off.
"""

import statistics
import sys

import measure


def pieces():
    """Returns the pieces: name -> (module, shapes of the inputs, floating-point operations)."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Product(nn.Module):
        def forward(self, a, b):
            return a @ b

    class Attention(nn.Module):
        def forward(self, q, k, v):
            return functional.scaled_dot_product_attention(q, k, v)

    class NormSilu(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.norm = nn.GroupNorm(32, channels)

        def forward(self, x):
            return functional.silu(self.norm(x))

    class Geglu(nn.Module):
        def __init__(self, width, inner):
            super().__init__()
            self.linear = nn.Linear(width, inner)

        def forward(self, x):
            hidden, gate = self.linear(x).chunk(2, dim=-1)
            return hidden * functional.gelu(gate)

    def conv(channels, side):
        module = nn.Conv2d(channels, channels, 3, padding=1)
        return module, [(2, channels, side, side)], 2 * 2 * side * side * channels * channels * 9

    def attention(tokens, width):
        return Attention(), [(2, 8, tokens, width)] * 3, 2 * 2 * 2 * 8 * tokens * tokens * width

    linear = nn.Linear(2048, 2048, bias=False)
    return {
        # Two tensors that the engine has not seen before, and the same with one of them as a weight.
        "matmul-2048": (Product(), [(2048, 2048)] * 2, 2 * 2048**3),
        "linear-2048": (linear, [(2048, 2048)], 2 * 2048**3),
        "conv3-320": conv(320, 64),
        "conv3-640": conv(640, 32),
        "conv3-1280": conv(1280, 16),
        "conv3-1280-8": conv(1280, 8),
        "attention-4096x40": attention(4096, 40),
        "attention-1024x80": attention(1024, 80),
        # Not a matter of arithmetic: no operations are counted.
        "norm-silu-320": (NormSilu(320), [(2, 320, 64, 64)], None),
        "geglu-320": (Geglu(320, 2560), [(2, 4096, 320)], 2 * 2 * 4096 * 320 * 2560),
    }


NAMES = [
    "matmul-2048",
    "linear-2048",
    "conv3-320",
    "conv3-640",
    "conv3-1280",
    "conv3-1280-8",
    "attention-4096x40",
    "attention-1024x80",
    "norm-silu-320",
    "geglu-320",
]

# Nodes that only bring data from one layout or type into another.
MOVES = {"Reorder", "Convert", "Input", "Output", "Const", "Transpose"}


def draw(shapes):
    """Draws the inputs of a piece from the seed."""
    import torch

    generator = torch.Generator().manual_seed(measure.SEED)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def run_torch(module, given, options):
    """Measures PyTorch: returns the seconds of the runs, nothing for the kernels, and what was executed."""
    import torch

    torch.set_num_threads(options.threads)
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[options.precision]
    module, given = module.to(dtype), [tensor.to(dtype) for tensor in given]
    with torch.inference_mode():
        _, seconds = measure.timed(lambda: module(*given), options.runs)
    return seconds, None, torch.backends.cpu.get_cpu_capability()


def run_openvino(module, given, options):
    """Measures OpenVINO: returns the seconds of the runs, those of the kernels, and what was executed."""
    import openvino
    import torch

    import openvino_engine

    with torch.no_grad():
        model = openvino.convert_model(module, example_input=tuple(given))
    model.reshape({port: list(tensor.shape) for port, tensor in zip(model.inputs, given)})
    compiled = openvino_engine.compile_model(model, options.precision, options.threads, count_time=True)
    request = compiled.create_infer_request()
    arrays = {index: tensor.numpy() for index, tensor in enumerate(given)}
    means = []

    def call():
        request.infer(arrays, share_inputs=True, share_outputs=True)
        nodes = [node for node in request.profiling_info if node.node_type not in MOVES]
        means.append(sum(node.real_time.total_seconds() for node in nodes))

    _, seconds = measure.timed(call, options.runs)
    # OpenVINO gives the mean over all calls so far; the first call was not timed.
    kernels = [now * (n + 1) - before * n for n, (before, now) in enumerate(zip(means, means[1:]), start=1)]
    return seconds, kernels, openvino_engine.executes(compiled)


def main():
    parser = measure.arguments(__doc__.splitlines()[0])
    measure.add_engine(parser)
    parser.add_argument("--piece", choices=NAMES, action="append", help="only these; may be given more than once")
    options = parser.parse_args()
    measure.prepare_process(options.threads, options.isa)

    import warnings

    import torch

    warnings.simplefilter("ignore")
    torch.manual_seed(measure.SEED)
    made = pieces()
    if list(made) != NAMES:
        sys.exit("the list of names and the pieces differ")
    measured = {"torch": run_torch, "openvino": run_openvino}[options.engine]
    for name in options.piece or NAMES:
        module, shapes, flop = made[name]
        seconds, kernels, executes = measured(module.eval(), draw(shapes), options)
        fields = dict(work=name, engine=options.engine, precision=options.precision)
        fields |= dict(isa=options.isa, threads=options.threads, flop=flop, executes=executes)
        if kernels:
            fields["kernel_seconds"] = statistics.median(kernels)
        if flop:
            fields["gflop_per_second"] = round(flop / statistics.median(kernels or seconds) / 1e9, 1)
        measure.report(fields, seconds)


if __name__ == "__main__":
    main()
