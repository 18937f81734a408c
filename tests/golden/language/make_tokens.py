"""Writes tokens.json: what transformers (GPT-2) and SentencePiece (llama) make of a hard list of texts in many scripts,
with the vocabularies of real GGUF files.

    python make_tokens.py FOLDER_OF_VOCABULARIES

The reference tokenizers are built from the tokens, pairs and scores in the files alone, so nothing is downloaded.
"""

import json
import sys
import tempfile
from pathlib import Path

import gguf
import sentencepiece
import tokenizers
import transformers
from sentencepiece import sentencepiece_model_pb2 as pb
from tokenizers import Tokenizer, models, pre_tokenizers

TEXTS = [
    "", " ", "   ", "\t", "\n", "\n\n", " \n \t \r\n", "a", " a", "  a  b   c ", "Hello, world!", "don't we'll I'M they'RE",
    "3.14159 + 2^10 = 1,027.14159", "x_i ≤ ∑_{k=1}^n α_k·β², ∀ε>0", "https://example.org/a?b=c&d=%20#e",
    "fn main() {\n    println!(\"{}\", 1 << 3);\n}\n", "Führer, naïve café, Ærøskøbing, łódź, İstanbul, ẞ",
    "cafe\u0301 is not café", "нещо на Български и по-русски", "Ελληνικά: καλημέρα κόσμε", "עברית וגם العربية مع تَشْكِيل",
    "हिन्दी में क्षत्रिय और தமிழ் எழுத்து", "กขค ไทยไม่มีช่องว่าง", "កាន់តែពិសេសអាចខលចេញ", "我想在apple工作1314151天～，狐狸在雪地里。",
    "日本語のテキスト、カタカナとｶﾀｶﾅ", "한국어 텍스트와 조합형 \u1112\u1161\u11ab", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𓀀 𐍈 🜁",
    "🚀 (normal) 😶‍🌫️ (joined) 👩🏽‍🚀 🇨🇳🇺🇸 ✅", "zero\u200bwidth\u00a0no-break\u3000wide\u2028line", "▁ looks like a space",
    "<|endoftext|> and </s> and <s> and [INST]", "!!!!!!??....''''``````\"\"\"\"", "  leading and trailing  ", "\u0000\u0001\u007f",
]


def gpt2(reader):
    tokens, merges = (reader.fields[f"tokenizer.ggml.{n}"].contents() for n in ("tokens", "merges"))
    model = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges]))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=model)
    return lambda text: fast.encode(text, add_special_tokens=False)


def llama(reader):
    tokens, scores, kinds = (reader.fields[f"tokenizer.ggml.{n}"].contents() for n in ("tokens", "scores", "token_type"))
    proto = pb.ModelProto()
    for token, score, kind in zip(tokens, scores, kinds):
        proto.pieces.add(piece=token, score=score, type=kind)
    proto.trainer_spec.model_type = pb.TrainerSpec.BPE
    proto.trainer_spec.byte_fallback = True
    proto.trainer_spec.vocab_size = len(tokens)
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = True
    proto.normalizer_spec.remove_extra_whitespaces = False
    with tempfile.NamedTemporaryFile(suffix=".model") as file:
        file.write(proto.SerializeToString())
        file.flush()
        model = sentencepiece.SentencePieceProcessor(model_file=file.name)
    return model.encode


def main():
    folder = Path(sys.argv[1])
    out = {
        "made_by": "tests/golden/language/make_tokens.py",
        "versions": {m.__name__: m.__version__ for m in (transformers, tokenizers, sentencepiece)},
        "texts": TEXTS,
    }
    for name, make in (("gpt-2", gpt2), ("llama-spm", llama)):
        encode = make(gguf.GGUFReader(folder / f"{name}.gguf"))
        out[name] = [encode(text) for text in TEXTS]
    lines = [f"{json.dumps(k)}: " + ("[\n" + ",\n".join(json.dumps(x) for x in v) + "\n]" if isinstance(v, list)
                                     else json.dumps(v)) for k, v in out.items()]
    (Path(__file__).parent / "tokens.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
