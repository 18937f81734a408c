//! `atelier bench peers`: how to run the same work in other programs.

use super::super::Console;

/// What to type, with what it does.
const STEPS: [&str; 16] = [
    "The same shapes with random weights in PyTorch (diffusers), OpenVINO and llama.cpp, from the scripts in tests/peers.",
    "Close everything else first: a busy machine changes the ratios too, not only the times.",
    "",
    "  cd tests/peers",
    "  python -m venv venv",
    "  CMAKE_ARGS=\"-DGGML_NATIVE=ON\" venv/bin/pip install -r requirements.txt",
    "",
    "All of it in alternation with Atelier, and a table (20 to 45 minutes, 5 GB of converted models in target/peers):",
    "  cargo build --release --workspace",
    "  venv/bin/python run.py --atelier ../../target/release/atelier --output table.md --log answers.jsonl",
    "",
    "One at a time, beside `atelier bench unet|vae|clip|llm --json`:",
    "  venv/bin/python sd15.py --work unet --engine openvino --precision bf16",
    "  venv/bin/python sd15.py --work vae --engine torch --precision f32 --channels-last",
    "  venv/bin/python write_gguf.py q8_0.gguf --quant q8_0 && venv/bin/python llama.py q8_0.gguf",
    "The table of the last such run stands in engine/README.md.",
];

/// Prints it.
pub fn tell(console: &mut Console) {
    for step in STEPS {
        console.line(step);
    }
}
