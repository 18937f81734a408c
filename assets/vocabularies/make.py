"""Writes clip-merges.txt.gz: the byte pairs of CLIP's vocabulary, in their order.

    pip download --no-deps open_clip_torch==3.3.0
    unzip open_clip_torch-3.3.0-py3-none-any.whl open_clip/bpe_simple_vocab_16e6.txt.gz
    python make.py open_clip/bpe_simple_vocab_16e6.txt.gz

The source lists 262,144 pairs below one line of heading; CLIP uses the first 48,894, which with 256 bytes,
256 bytes at the end of a word and two marks make 49,408 tokens. The crate instant-clip-tokenizer 0.1.0 (MIT)
carries the same source, byte for byte, but does not give it out.
"""

import gzip
import pathlib
import sys

PAIRS = 49408 - 512 - 2

lines = gzip.decompress(pathlib.Path(sys.argv[1]).read_bytes()).decode().split("\n")[1 : 1 + PAIRS]
assert len(lines) == 48894 and all(len(line.split()) == 2 for line in lines)
file = pathlib.Path(__file__).with_name("clip-merges.txt.gz")
file.write_bytes(gzip.compress("\n".join(lines).encode(), 9, mtime=0))
print(f"{len(lines)} pairs, {file.stat().st_size} bytes")
