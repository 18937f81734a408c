"""Makes the house writer's training text, its vocabulary and token streams in the work folder.

Documents are of these kinds, each ended by <|end|>:

    <|story|>title \\n\\n story                     a story, continued from its title or anywhere
    <|user|>request<|assistant|>story              a request made from a story's title or summary
    <|expand|>short prompt<|to|>long prompt        in the scene language of the house picture model
    <|surprise|>long prompt

Stories are held out by story, and expansions by thing and background together.
"""

import argparse
import json
import random
import re
import sys
import zipfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "common"), str(HERE.parents[1] / "house-picture" / "recipe")]

from decoder import Config  # noqa: E402

CONTROL = ["<|end|>", "<|story|>", "<|user|>", "<|assistant|>", "<|expand|>", "<|to|>", "<|surprise|>", "<|pad|>"]
END, STORY, USER, ASSISTANT, EXPAND, TO, SURPRISE, PAD = range(8)
VOCAB, CONTEXT = 4096, 512

REQUESTS = [
    "Tell a story about {}.", "Tell me a story about {}.", "Write a story about {}.", "Please tell a story about {}.",
    "A story about {}, please.", "Can you tell me a story about {}?", "I would like a story about {}.", "Write a short story about {}.",
]
TITLED = ["Tell me the story “{}”.", "Write a story called {}.", "A story with the title {}.", "Tell a story called “{}”."]


def clean(text):
    text = text.replace("’", "'").replace("‘", "'").replace("“", '"').replace("”", '"').replace("\u00a0", " ")
    text = text.replace("@@", "\n")  # stands for a line break in one of the sources
    text = re.sub(r"[ \t]+", " ", text)
    text = re.sub(r" +([,.!?;])", r"\1", re.sub(r"([,;])(?=[A-Za-z])", r"\1 ", text))
    text = re.sub(r" ?\n ?", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def stories(data):
    """[(title, summary, text)], the same text once."""
    out, seen = [], set()
    with open(data / "text" / "stories_en.jsonl", encoding="utf-8") as f:
        for r in map(json.loads, f):
            if "NC" in r["license"]:
                continue  # the weights may be used for anything
            text = clean("\n\n".join(x for x in r["pages"] if x.strip()))
            key = text[:200].lower()
            latin = sum(c.isascii() for c in text) / max(1, len(text))
            if len(text) < 120 or key in seen or latin < 0.97:
                continue
            seen.add(key)
            out.append((clean(r["title"] or ""), clean(r["summary"] or ""), text))
    return out


def book(data, name):
    with zipfile.ZipFile(data / "text" / "gutenberg.zip") as z:
        text = z.read(f"gutenberg/{name}").decode("utf-8", "replace")
    # Lines of a paragraph are joined; the first and last lines are the edition's own.
    paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", text)][2:-1]
    return clean("\n\n".join(p for p in paragraphs if len(p) > 30))


def subject(title, summary):
    """What a story is about, as a person would ask for it."""
    title = title.strip(" .!?")
    if summary and len(summary) < 160:
        first = re.split(r"(?<=[.!?])\s", summary)[0].strip(" .!?")
        m = re.match(r"(?:This is )?(?:an?|the) (?:\w+ ){0,3}?(?:story|tale|book|poem) (?:about|of|on) (.+)", first, re.I)
        if m:
            return m.group(1)
    return title[0].lower() + title[1:] if title.split(" ")[0] in ("The", "A", "An", "My") else title


def scene_pairs(data, work, n, seed):
    """Pairs (short prompt, long prompt) from the composer of scenes; no sprites are needed."""
    from lexicon import COLOURS, SCENES, Lexicon
    from scenes import Composer

    comp = object.__new__(Composer)
    comp.lex = Lexicon()
    rng = np.random.default_rng(seed)
    r = random.Random(seed)
    concepts = comp.lex.concepts
    names = [s[0] for s in SCENES]
    pairs = []
    while len(pairs) < n:
        zh = r.random() < 0.3
        two = r.random() < 0.2
        objs = [{"concept": int(rng.integers(len(concepts))), "colour": -1} for _ in range(2 if two else 1)]
        if two and objs[0]["concept"] == objs[1]["concept"]:
            continue
        count = 1 if two or r.random() < 0.92 else r.choice([2, 3])
        base = {"objects": objs, "count": count, "style": "3d", "background": "", "shape": (256, 256),
                "relation": r.choice(["and", "left", "right", "above", "on", "behind", "front"]) if two else "",
                "size": "", "light": "", "said_style": False}
        for o in objs:
            if r.random() < 0.3:
                o["colour"] = r.randrange(len(COLOURS))
        if r.random() < 0.2:
            base["background"] = r.choice(names)
        full = json.loads(json.dumps(base))
        if full["objects"][0]["colour"] < 0 and r.random() < 0.35:
            full["objects"][0]["colour"] = r.randrange(len(COLOURS))
        if not full["background"]:
            full["background"] = r.choice(names) if r.random() < 0.9 else r.choice(COLOURS)[0] + " background"
        if not two and count == 1 and r.random() < 0.25:
            full["size"] = r.choice(["small", "big"])
        if r.random() < 0.2:
            full["light"] = r.choice(["dark", "bright"])
        full["style"] = r.choice(["3d", "flat"])
        # Some things never meet some places here, so that the pairing can be tested.
        if (objs[0]["concept"] * 31 + len(full["background"]) * 7) % 17 == 0:
            continue
        short = style_free(comp, base, r, zh)
        long = styled(comp, full, r, zh)
        pairs.append((short, long))
    return pairs


def said(comp, scene, r, zh):
    """One caption with the composer's own grammar."""
    return comp._zh(scene, r) if zh else comp._en(scene, r)


STYLE_WORDS = ("3d", "flat", "render", "illustration", "风格", "3D", "扁平", "立体", "插画")


def style_free(comp, scene, r, zh):
    while True:
        text = said(comp, scene, r, zh)
        if not any(w in text for w in STYLE_WORDS):
            if not zh and r.random() < 0.5:
                text = re.sub(r"^(a|an) ", "", text)
            return text


def styled(comp, scene, r, zh):
    for _ in range(20):
        text = said(comp, scene, r, zh)
        if any(w in text for w in STYLE_WORDS) or r.random() < 0.25:
            return text
    return text


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--pairs", type=int, default=40000)
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    r = random.Random(3)
    all_stories = stories(a.data)
    r.shuffle(all_stories)
    cut = len(all_stories) // 20
    valid, train = all_stories[:cut], all_stories[cut:]
    extra = [book(a.data, "carroll-alice.txt")]
    pairs = scene_pairs(a.data, a.work, a.pairs, 5)
    print(len(train), "stories,", len(valid), "held out,", sum(len(t) for _, _, t in train), "characters")

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tok.decoder = decoders.ByteLevel()
    corpus = [t for _, _, t in train] + [x for q in pairs[:12000] for x in q] + [f"{t}\n{s}" for t, s, _ in train]
    tok.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=CONTROL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tok.save(str(a.work / "tokenizer.json"))
    enc = lambda t: tok.encode(t).ids  # noqa: E731

    def story_docs(items, r):
        docs = []
        for title, summary, text in items:
            body = enc(text)
            docs.append([STORY] + enc(title + "\n\n") + body + [END])
            ask = r.choice(REQUESTS).format(subject(title, summary)) if r.random() < 0.8 else r.choice(TITLED).format(title)
            docs.append([USER] + enc(ask) + [ASSISTANT] + body + [END])
            if len(body) > 200:
                # A conversation goes on: the person asks for more, the story continues.
                cut = r.randrange(60, len(body) - 80)
                docs.append([USER] + enc(ask) + [ASSISTANT] + body[:cut] + [END, USER]
                            + enc(r.choice(["Go on.", "Continue.", "What happened next?", "And then?", "Please go on."]))
                            + [ASSISTANT] + body[cut:] + [END])
        return docs

    docs = story_docs(train, r)
    for text in extra:
        docs.append([STORY] + enc(text) + [END])
    scene = [[EXPAND] + enc(s) + [TO] + enc(l) + [END] if r.random() < 0.8 else [SURPRISE] + enc(l) + [END] for s, l in pairs]
    size = sum(map(len, docs))
    # Scenes are short; they come in bundles, so that a window holds either stories or scenes.
    bundles = [sum(scene[i : i + 12], []) for i in range(0, len(scene), 12)]
    docs += bundles
    r.shuffle(docs)
    print("tokens of stories", size, "of scenes", sum(map(len, scene)))
    for name, items in (("train", docs), ("valid", story_docs(valid, random.Random(4)))):
        starts = np.cumsum([0] + [len(d) for d in items[:-1]])
        np.save(a.work / f"{name}.npy", np.concatenate([np.array(d, np.int16) for d in items]))
        if name == "train":
            np.save(a.work / "train-starts.npy", starts)
    json.dump({"valid": valid, "train": train}, open(a.work / "stories.json", "w"))
    json.dump(pairs[-2000:], open(a.work / "pairs.json", "w"), ensure_ascii=False)
    Config(vocab=VOCAB, context=CONTEXT).save(a.work / "config.json")


if __name__ == "__main__":
    main()
