"""Writes cuts.json: what transformers makes of a hard list of texts when the tokens and pairs of GPT-2 stand behind the
pre-tokenizers of other families, by the name that a GGUF file gives to each (`tokenizer.ggml.pre`).

    python make_cuts.py FOLDER_OF_VOCABULARIES

The expressions come from transformers' own table for GGUF files; families that are not in it are put together as their
`tokenizer.json` says. Nothing is downloaded.
"""

import json
import sys
import unicodedata
from pathlib import Path

import gguf
import tokenizers
import transformers
from make_tokens import TEXTS
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS as SPLITS

MORE = [
    "We'll see it'S DON'T i'Ve", "1234567 12 345 ١٢٣٤٥ 一二三 ½ Ⅷ 4²", "snake_case camelCase HTTPServer XMLHttpRequest42",
    "a/b//c\n/d \n\n\n e\r\n\r\nf", "tab\tand  two   three    four", "line\n\n  indented\n\ttabbed \n", "x=1;y+=2;if(a&&b){c--}",
    "“quotes” — dashes… «guillemets»", "ÀÉÎ ÕÜ àéî ĄĆĘ ǅ ǆ ʰ ª º", "e\u0301 o\u0308 \u1100\u1161\u11a8 \u0fb2\u0f71\u0f80 \uac00\u11a8",
    "中文，English混排123。句子！", "ひらがなカタカナ漢字ー", "한글한글 한글", "ÿ\u0300\u0301 n\u0303o", "price: $5.00 (€4,50) ¥600 ₿1",
    "ა ქართული ᲐᲑ", "\u00a0nbsp\u00a0\u2003em", "   ", "end with spaces   ", "\n", " \n", "a\u2028b\u0085c",
    "@user #tag user@example.org", "don’t l’été aujourd’hui", "𝟙𝟚𝟛 ①②③ Ⅳ", "-1e-5 0x1F 0b101 1_000",
]
CJK = "[一-龥ࠀ-一가-퟿]+"


def isolated(expression):
    return pre_tokenizers.Split(Regex(expression), behavior="isolated")


def by_split(name):
    return [isolated(SPLITS[name]), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]


def ways():
    for name in ["llama-bpe", "tekken", "gpt-4o", "dbrx", "smaug-bpe", "falcon3", "pixtral", "megrez"]:
        yield name, None, by_split(name)
    for name in ["qwen2", "deepseek-r1-qwen"]:
        yield name, normalizers.NFC(), by_split(name)
    digits = pre_tokenizers.Digits(individual_digits=True)
    yield "smollm", None, [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    cuts = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK]
    yield "deepseek-coder", None, [*map(isolated, cuts), digits, plain]
    numbers = pre_tokenizers.Digits(individual_digits=False)
    yield "deepseek-llm", None, [*map(isolated, [r"[\r\n]", letters(), MARKS, r"\s+$", CJK]), numbers, plain]


def letters():
    """Letters with case, which DeepSeek-LLM lists one by one: without Georgian and mathematical ones."""
    left_out = [*range(0x10D0, 0x1100), *range(0x1D400, 0x1D800)]
    cased = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) in ("Lu", "Ll", "Lt") and c not in left_out]
    return rf"\s?[{''.join(cased)}]+"


MARKS = r"\s?[!-/:-~！-／：-～‘-‟　-。]+"


def main():
    reader = gguf.GGUFReader(Path(sys.argv[1]) / "gpt-2.gguf")
    tokens, merges = (reader.fields[f"tokenizer.ggml.{n}"].contents() for n in ("tokens", "merges"))
    vocabulary, pairs = {t: i for i, t in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges]
    texts = TEXTS + MORE
    out = {
        "made_by": "tests/golden/language/make_cuts.py",
        "versions": {m.__name__: m.__version__ for m in (transformers, tokenizers)},
        "texts": texts,
    }
    for name, normalizer, steps in ways():
        model = Tokenizer(models.BPE(vocabulary, pairs))
        model.pre_tokenizer = pre_tokenizers.Sequence(steps)
        if normalizer:
            model.normalizer = normalizer
        fast = transformers.PreTrainedTokenizerFast(tokenizer_object=model)
        out[name] = [fast.encode(text, add_special_tokens=False) for text in texts]
    lines = [f"{json.dumps(k)}: " + ("[\n" + ",\n".join(json.dumps(x) for x in v) + "\n]" if isinstance(v, list)
                                     else json.dumps(v)) for k, v in out.items()]
    (Path(__file__).parent / "cuts.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
