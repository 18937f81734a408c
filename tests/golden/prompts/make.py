"""Writes golden.json: how CLIP's tokenizer and AUTOMATIC1111's web UI read prompts.

    python -m venv venv && venv/bin/pip install -r requirements.txt && venv/bin/python make.py

Ids come from transformers' CLIPTokenizer with the pairs of assets/vocabularies/clip-merges.txt.gz. The rules
of the web UI are written anew below from its wiki and from the behaviour of version 1.10, with its sums in
the same order; BREAK within brackets is left out, where the web UI reads it as a word.

  tokens     [text, ids]
  attention  [text, [[words, weight], …]], where a weight of null is BREAK
  editing    [text, steps, [[last step, text], …]]
  chunks     [text, [[ids, weights], …]], 77 of each
"""

import gzip
import json
import pathlib
import random
import re

import transformers
from transformers import CLIPTokenizer

HERE = pathlib.Path(__file__).parent
START, END, COMMA = 49406, 49407, 267
MOST, BACKTRACK = 75, 20


def load_tokenizer():
    packed = HERE.parents[2] / "assets" / "vocabularies" / "clip-merges.txt.gz"
    merges = [tuple(line.split(" ")) for line in gzip.decompress(packed.read_bytes()).decode().split("\n")]
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in seen] + [chr(256 + n) for n in range(256 - len(seen))]
    words = letters + [letter + "</w>" for letter in letters] + [a + b for a, b in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    assert len(words) == 49408
    return CLIPTokenizer(vocab={word: n for n, word in enumerate(words)}, merges=merges)


TOKENIZER = load_tokenizer()


def encode(text):
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


def attention(text):
    """Weights, as [words, weight]; BREAK has the weight None."""
    pieces, round_open, square_open = [], [], []

    def multiply(start, factor):
        for piece in pieces[start:]:
            if piece[1] is not None:
                piece[1] *= factor

    pattern = r"\\[()\[\]\\]|\\|[(\[]|:\s*([+-]?[.\d]+)\s*\)|[)\]]|[^\\()\[\]:]+|:"
    for match in re.finditer(pattern, text):
        found, number = match.group(0), match.group(1)
        if found[0] == "\\":
            pieces.append([found[1:], 1.0])
        elif found == "(":
            round_open.append(len(pieces))
        elif found == "[":
            square_open.append(len(pieces))
        elif number is not None and round_open:
            multiply(round_open.pop(), float(number))
        elif found == ")" and round_open:
            multiply(round_open.pop(), 1.1)
        elif found == "]" and square_open:
            multiply(square_open.pop(), 1 / 1.1)
        else:
            for n, part in enumerate(re.split(r"\s*\bBREAK\b\s*", found)):
                if n > 0:
                    pieces.append(["BREAK", None])
                pieces.append([part, 1.0])
    for start in round_open:
        multiply(start, 1.1)
    for start in square_open:
        multiply(start, 1 / 1.1)
    joined = []
    for words, weight in pieces:
        if joined and weight is not None and joined[-1][1] == weight:
            joined[-1][0] += words
        else:
            joined.append([words, weight])
    return [piece for piece in joined if piece[0] != ""]


def editing(text, steps):
    """Texts by step. A small parser that tries each reading of a bracket in turn and steps back."""

    def prompt(at, stops):
        """Reads up to one of the stops at this level; returns the tree and the place, or None."""
        tree = []
        while at < len(text) and text[at] not in stops:
            char = text[at]
            if char == "\\" and at + 1 < len(text):
                tree.append(text[at : at + 2])
                at += 2
            elif char == "[":
                result = bracket(at)
                if result is None:
                    return None
                node, at = result
                tree.append(node)
            elif char == "(":
                result = parenthesis(at)
                if result is None:
                    return None
                node, at = result
                tree += node
            elif char in ")]:|":
                return None
            else:
                tree.append(char)
                at += 1
        return tree, at

    def parenthesis(at):
        inner = prompt(at + 1, ":)")
        if inner is None or inner[1] >= len(text):
            return None
        tree, end = inner
        if text[end] == ":":
            rest = prompt(end + 1, ")")
            if rest is None or rest[1] >= len(text):
                return None
            tree, end = tree + [":"] + rest[0], rest[1]
        return ["("] + tree + [")"], end + 1

    def bracket(at):
        first = prompt(at + 1, ":|]")
        if first is None or first[1] >= len(text):
            return None
        parts, end = [first[0]], first[1]
        mark = text[end]
        if mark == "]":
            return ["plain", ["["] + parts[0] + ["]"]], end + 1
        while text[end] == mark:
            if mark == ":":
                number = re.compile(r":\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\]").match(text, end)
                if number is not None and len(parts) <= 2:
                    before, after = parts if len(parts) == 2 else ([], parts[0])
                    when = number.group(1)
                    value = float(when) * steps if "." in when else float(when)
                    return ["switch", before, after, min(steps, int(value))], number.end()
            more = prompt(end + 1, mark + "]")
            if more is None or more[1] >= len(text):
                return None
            parts.append(more[0])
            end = more[1]
        return (["turns", parts], end + 1) if mark == "|" else None

    def whole():
        tree, at = [], 0
        while at < len(text):
            char = text[at]
            result = bracket(at) if char == "[" else None
            if result is not None:
                tree.append(result[0])
                at = result[1]
            elif char == "\\" and at + 1 < len(text):
                tree.append(text[at : at + 2])
                at += 2
            else:
                tree.append(char)
                at += 1
        return tree

    def ends(tree):
        for node in tree:
            if isinstance(node, str):
                continue
            if node[0] == "plain":
                yield from ends(node[1])
            elif node[0] == "switch":
                if node[3] >= 1:
                    yield node[3]
                yield from ends(node[1])
                yield from ends(node[2])
            else:
                yield from range(1, steps + 1)
                for turn in node[1]:
                    yield from ends(turn)

    def at_step(tree, step):
        result = ""
        for node in tree:
            if isinstance(node, str):
                result += node
            elif node[0] == "plain":
                result += at_step(node[1], step)
            elif node[0] == "switch":
                result += at_step(node[1] if step <= node[3] else node[2], step)
            else:
                result += at_step(node[1][(step - 1) % len(node[1])], step)
        return result

    tree = whole()
    return [[end, at_step(tree, end)] for end in sorted({steps, *ends(tree)})]


def chunks(text):
    done, ids, weights, comma = [], [], [], -1

    def close():
        nonlocal ids, weights, comma
        left = MOST - len(ids)
        done.append([[START] + ids + [END] * (left + 1), [1.0] + weights + [1.0] * (left + 1)])
        ids, weights, comma = [], [], -1

    for words, weight in attention(text):
        if weight is None:
            close()
            continue
        for token in encode(words):
            if token == COMMA:
                comma = len(ids)
            elif len(ids) == MOST and comma != -1 and MOST - comma <= BACKTRACK:
                moved = ids[comma + 1 :], weights[comma + 1 :]
                ids, weights = ids[: comma + 1], weights[: comma + 1]
                close()
                ids, weights = list(moved[0]), list(moved[1])
            if len(ids) == MOST:
                close()
            ids.append(token)
            weights.append(weight)
    if ids or not done:
        close()
    return done


PLAIN = """a red fox in the snow
A photo of an astronaut riding a horse on mars
masterpiece, best quality, 1girl, solo, long hair, looking at viewer
portrait of a knight, oil on canvas, by Rembrandt, 4k, 8K UHD, f/1.8, 85mm
cinematic still, volumetric lighting, highly detailed, artstation
it's a dog's life; they're here, I've seen it, I'm fine, he'll go, we'd stay, don't
IT'S A DOG'S LIFE; THEY'RE HERE
rock'n'roll 'quoted' ''double'' it''s
1234567890 3.14159 1,000,000 10^-3 50% $9.99 #1
2024-05-17T12:34:56Z v1.5.2 x86_64 RTX4090 16:9 1/2
&lt;b&gt;bold&lt;/b&gt; &amp; &quot;quoted&quot; &#39; &nbsp; &copy; &eacute;
<b>bold</b> <i>italic</i> <br/> <!-- comment -->
http://example.org/a?b=c&d=e#f user@example.org
C:\\Users\\name\\file.txt and ~/dir/*.png
snake_case camelCase kebab-case SCREAMING_CASE
hello!!! what??? wait... no--yes a/b\\c d|e f&g
(round) [square] {curly} <angle> «guillemets» “quotes” ‘single’
tabs\tand\nnewlines\r\nand   many    spaces
  leading and trailing  
emoji 😀 🦊 ❤️ 👍🏽 👩‍🚀 🏳️‍🌈 🇩🇪 ✨✨✨
😀😀😀😀😀😀😀😀
雪地里的红狐狸
一只戴着帽子的猫，水彩画，高清
日本の桜と富士山、夕焼け
한국의 가을 풍경, 단풍
Привет мир, красная лиса в снегу
Ελληνικά γράμματα και φως
שלום עולם
مرحبا بالعالم
नमस्ते दुनिया
สวัสดีชาวโลก
Ünïcödé çàfé naïve façade Ångström
cafe\u0301 and café, A\u030angstro\u0308m
ﬁ ﬂ ligatures, ½ ¼ ², Ⅳ, ①②③, ℃, ™ ® ©
İstanbul ıI ſ ß ẞ ǅ Σς
math: ∑ ∫ √2 ≈ 1.414, ∀x∈ℝ, a≤b≠c
box ─│┌┐ blocks ░▒▓█ arrows ←↑→↓
zero\u200bwidth joiner\u200d nonbreaking\u00a0space
\ufeffbyte order mark
combining Z\u0351\u036b\u0343 text
currency € £ ¥ ₹ ₿ ¢
donaudampfschifffahrtsgesellschaftskapitänsmütze
supercalifragilisticexpialidocious antidisestablishmentarianism
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
qwertyuiopasdfghjklzxcvbnm zxcvbnmasdfghjklqwertyuiop
AbCdEfGhIjKlMnOpQrStUvWxYz
!@#$%^&*()_+-=[]{}|;':",./<>?`~
...,,,;;;:::!!!???
a,b,c, d ,e , f
one two three four five six seven eight nine ten
the the the the the the the the
x
,
'
's
1
猫
🦊
a1b2c3 1a2b3c ab12cd34
٠١٢٣ ०१२३ 一二三 ⅷ ¾
Mr. O'Brien's dog isn't his wife's; y'all'd've
LLaMA GPT-4 SDXL-1.0 U-Net VAE CLIP ViT-L/14
style of (Van Gogh:1.2), [Monet], starry night
<lora:detail:0.8> trigger word
__colour__ {red|blue} car
a BREAK b AND c
night city, neon, rain; reflections | cyberpunk & noir
"a quoted caption" — with dashes – and … ellipsis
8k, hdr, dslr, bokeh, f1.4, iso100, 1/250s
(((masterpiece))), ((best quality)), [[lowres]]
deep_focus:1.3 raw photo:0.7
\\(escaped\\) \\[brackets\\]""".split("\n")

WEIGHTED = """normal text
an (important) word
(unbalanced
\\(literal\\]
(unnecessary)(parens)
a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).
a [less] b [[even less]] c
(a:1.2)(b:1.2) (c:1.3)
(a:0) (b:-1) (c:+2) (d: 1.5 ) (e:.5) (f:2.)
a:b :1.2) c] d)
((a:1.1) (b:1.2):1.3)
[(a:1.5) b]
(a [b (c:2) d] e)
back\\slash \\\\ \\x
a BREAK b BREAK (c:1.2)
BREAK a
a BREAK
breakfast BREAKFAST UNBREAK break
(mixed [brackets) here]
((((((((((deep))))))))))
()
( )
[]
:
(:1.2)
(a:1.2) , (b , c:1.4), d
雪地里的(红狐狸:1.3)，[远山]
🦊 (fox🦊:1.2)""".split("\n")

EDITED = """test
a [b:3]
a [b: 3]
a [b:3 ]
a [[[b]]:2]
[(a:2):3]
a [b : c : 1] d
a[b:[c:d:2]:1]e
a [unbalanced
a [b:.5] c
((a][:b:c [d:3]
[a|(b:1.1)]
[fe|]male
[fe|||]male
[cat|dog|bird] in a [hat:coat:0.3]
[cat::0.4] dog
[:dog:0.4] cat
[a:b:1.0] [c:d:20] [e:f:0] [g:h:-3]
[a|[b|c]]
[[a|b]:c:2]
[a:[b|c]:0.5]
a \\[b:3\\] [c:d]
[one:two:three:4]
([a:b:2]:1.3)
[(a:1.2):(b:0.8):0.5]
[a b c:d e f:7]
[雪:雨:0.5]的夜
[a:b:1e1]
[a:b: 0.25 ]
x [a:b:5] y [c:d:5] z""".split("\n")

LONG = [
    ", ".join(f"word number {n}" for n in range(40)),
    "word " * 80,
    "word " * 74 + ", tail that goes on for some more words",
    "word " * 60 + ", " + "tail " * 30,
    "word " * 50 + ", " + "tail " * 30,
    "(weighted words that go on, " * 12 + "end:1.3)" + ")" * 11,
    "word " * 75,
    "word " * 75 + ",",
    "word " * 76 + ", more",
    "word " * 75 + "BREAK more words",
    "a BREAK BREAK b",
    "雪地里的红狐狸，" * 20,
    "1girl, " * 60,
    "",
]


def main():
    # Sentences of random pieces of the others.
    rng = random.Random(20261126)
    words = sorted({word for line in PLAIN for word in line.split()})
    mixed = [" ".join(rng.choices(words, k=rng.randint(3, 14))) for _ in range(140)]
    lines = [line.replace("\\n", "\n") for line in PLAIN] + mixed
    golden = {
        "script": "tests/golden/prompts/make.py",
        "versions": f"transformers {transformers.__version__}",
        "seed": 20261126,
        "tokens": [[line, encode(line)] for line in lines],
        "attention": [[line, attention(line)] for line in WEIGHTED],
        "editing": [[line, steps, editing(line, steps)] for line in EDITED for steps in (10, 23)],
        "chunks": [[line, chunks(line)] for line in LONG + WEIGHTED],
    }
    def write(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def rows(value):
        return "[\n" + ",\n".join(map(write, value)) + "]" if isinstance(value, list) else write(value)

    file = HERE / "golden.json"
    file.write_text("{" + ",\n".join(f"{write(name)}:{rows(value)}" for name, value in golden.items()) + "}\n")
    print({name: len(value) for name, value in golden.items() if isinstance(value, list)}, file.stat().st_size)


main()
