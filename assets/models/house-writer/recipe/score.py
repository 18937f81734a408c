"""Scores the shipped model on stories and prompts that training never saw: scores.json, samples.md.

Everything is made from the exported 8-bit weights.  Bits per byte are of the text of held-out
stories, given the title, with the whole context; beside them stand interpolated Kneser-Ney 5-grams
of the same training text over the same tokens and over bytes.
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "common")]

from golden import open_model  # noqa: E402
from known import Known  # noqa: E402
from prepare import END, STORY, subject  # noqa: E402

BITS = 12  # of a symbol in a packed n-gram; five fit 64 bits


class KneserNey:
    """Interpolated Kneser-Ney of one discount over a stream of symbols."""

    def __init__(self, stream, order=5, discount=0.75, vocab=1 << BITS):
        self.order, self.d, self.vocab, self.tables = order, discount, vocab, []
        keys, counts = np.unique(self.pack(stream, order), return_counts=True)
        for n in range(order, 0, -1):
            context, first, kinds = np.unique(keys >> BITS, return_index=True, return_counts=True)
            self.tables.append((keys, counts, context, np.add.reduceat(counts, first), kinds))
            # Below the longest order it counts in how many places an n-gram ends.
            keys, counts = np.unique(keys & ((1 << BITS * (n - 1)) - 1), return_counts=True)

    @staticmethod
    def pack(stream, n):
        s = np.concatenate([np.zeros(n - 1, np.int64), np.asarray(stream, np.int64)])
        return sum(s[i : len(s) - n + 1 + i] << (BITS * (n - 1 - i)) for i in range(n))

    def bits(self, stream):
        """Bits of every symbol of a stream."""
        p = np.full(len(stream), 1 / self.vocab)
        for n, (keys, counts, context, total, kinds) in zip(range(1, self.order + 1), self.tables[::-1]):
            x = self.pack(stream, n)
            i = np.minimum(np.searchsorted(keys, x), len(keys) - 1)
            c = np.where(keys[i] == x, counts[i], 0)
            h = x >> BITS
            j = np.minimum(np.searchsorted(context, h), len(context) - 1)
            seen = context[j] == h
            here = np.maximum(c - self.d, 0) / total[j] + self.d * kinds[j] / total[j] * p
            p = np.where(seen, here, p)
        return -np.log2(p)


def baseline(train, valid, encode, end, vocab):
    """Bits per byte of the stories' text in a 5-gram model; (title, summary, text) each."""
    def stream(items):
        out, mask = [], []
        for title, _, text in items:
            head, body = encode(title + "\n\n"), encode(text)
            out += [end, *head, *body]
            mask += [False] * (1 + len(head)) + [True] * len(body)
        return np.array(out), np.array(mask)

    model = KneserNey(stream(train)[0], vocab=vocab)
    s, mask = stream(valid)
    return float(model.bits(s)[mask].sum() / sum(len(t.encode()) for _, _, t in valid))


@torch.no_grad()
def bits_per_byte(model, tok, stories):
    """Of the stories' text; windows overlap by half, so that most tokens see much."""
    n, bits, size = model.c.context, 0.0, 0
    for title, _, text in stories:
        head = [STORY] + tok.encode(title + "\n\n").ids
        ids = head + tok.encode(text).ids
        size += len(text.encode())
        done = len(head)
        start = 0
        while done < len(ids):
            part = torch.tensor([ids[start : start + n]])
            loss = F.cross_entropy(model.logits(part)[0, :-1].float(), part[0, 1:], reduction="none")
            bits += float(loss[done - start - 1 :].sum()) / float(np.log(2))
            done = start + part.shape[1]
            start = done - n // 2
    return float(bits) / size


@torch.no_grad()
def write_many(model, heads, n, seed, temperature=0.8, top_k=40):
    """Writes up to n tokens after every head, all at once."""
    g = torch.Generator().manual_seed(seed)
    rows = [list(h) for h in heads]
    live = list(range(len(rows)))
    for _ in range(n):
        longest = max(len(rows[i]) for i in live)
        x = torch.tensor([rows[i] + [0] * (longest - len(rows[i])) for i in live])
        at = torch.tensor([len(rows[i]) - 1 for i in live])
        states = model(x)[torch.arange(len(live)), at]
        v, k = ((states @ model.tok.T).float() / temperature).topk(top_k)
        pick = k.gather(1, torch.multinomial(v.softmax(-1), 1, generator=g))[:, 0].tolist()
        for i, t in zip(live, pick):
            rows[i].append(t)
        live = [i for i in live if rows[i][-1] != END]
        if not live:
            break
    return [[t for t in r[len(h) :] if t != END] for r, h in zip(rows, heads)]


def runs(text, n=8):
    w = re.findall(r"[\w']+", text.lower())
    return [" ".join(w[i : i + n]) for i in range(len(w) - n + 1)]


def copied(texts, seen):
    all_runs = [r for t in texts for r in runs(t)]
    return sum(r in seen for r in all_runs) / max(1, len(all_runs))


def held_out_prompts(lex, n, seed):
    """Short prompts of things in places that never met in training: (prompt, thing's id)."""
    from lexicon import SCENES

    rng = np.random.default_rng(seed)
    en = {s[0]: s[1] for s in SCENES}
    out = []
    while len(out) < n:
        k, (name, said) = int(rng.integers(len(lex.concepts))), list(en.items())[int(rng.integers(len(en)))]
        if (k * 31 + len(name) * 7) % 17:
            continue
        c = lex.concepts[k]
        noun = c["en"][0]
        text = f"{'an' if noun[0] in 'aeiou' else 'a'} {noun} {said}"
        if len(out) % 4 == 3:
            text = "一个" + c["zh"][0]
        if lex.tokens(text)[1] == []:
            out.append((text, lex.ids["concept", noun]))
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--model", type=Path, default=HERE.parent / "model.gguf")
    p.add_argument("--out", type=Path, default=HERE.parent)
    p.add_argument("--prompts", type=int, default=200)
    p.add_argument("--stories", type=int, default=50)
    p.add_argument("--tokens", type=int, default=160, help="of every story that is written")
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    model, tok = open_model(a.model)
    with open(a.work / "stories.json", encoding="utf-8") as f:
        stories = json.load(f)
    train, valid = stories["train"], stories["valid"]
    enc = lambda t: tok.encode(t).ids  # noqa: E731
    t0 = time.time()
    res = {"held_out_stories": len(valid), "training_stories": len(train)}
    res["bits_per_byte"] = round(bits_per_byte(model, tok, valid), 4)
    plain = lambda t: tok.encode(t, add_special_tokens=False).ids  # noqa: E731
    res["bits_per_byte_5gram_tokens"] = round(baseline(train, valid, plain, END, model.c.vocab), 4)
    res["bits_per_byte_5gram_bytes"] = round(baseline(train, valid, lambda t: list(t.encode()), 256, 257), 4)
    print(res, f"{time.time() - t0:.0f} s", flush=True)

    seen = {r for _, _, t in train for r in runs(t)}
    asked = [f"<|user|>Tell a story about {subject(t, s)}.<|assistant|>" for t, s, _ in valid[: a.stories // 2]]
    begun = [(t, re.split(r"(?<=[.!?])\s", x)[0][:200]) for t, _, x in valid[a.stories // 2 : a.stories]]
    heads = [enc(x) for x in asked] + [enc(f"<|story|>{t}\n\n{x}") for t, x in begun]
    made = [tok.decode(x).strip() for x in write_many(model, heads, a.tokens, 1)]
    human = [x[: max(200, len(m))] for (_, _, x), m in zip(valid, made)]
    res["copied_8grams_written"] = round(copied(made, seen), 4)
    res["copied_8grams_held_out"] = round(copied(human, seen), 4)
    print(res, f"{time.time() - t0:.0f} s", flush=True)

    known = Known(tok, END)
    todo = held_out_prompts(known.lex, a.prompts, 3)
    heads = [enc(f"<|expand|>{t}<|to|>") for t, _ in todo]
    free = [tok.decode(x) for x in write_many(model, heads, 48, 2)]
    bound = [known.write(model, h + enc(t), t, i) for i, (h, (t, _)) in enumerate(zip(heads, todo))]
    for name, texts in (("free", free), ("bound", bound)):
        ids = [known.lex.tokens(x) for x in texts]
        res[f"expansions_{name}_known"] = round(float(np.mean([not u and bool(i) for i, u in ids])), 4)
        res[f"expansions_{name}_keep_the_thing"] = round(float(np.mean([k in i for (i, _), (_, k) in zip(ids, todo)])), 4)
        res[f"expansions_{name}_say_more"] = round(
            float(np.mean([len(i) > len(known.lex.tokens(t)[0]) for (i, _), (t, _) in zip(ids, todo)])), 4)
    surprises = [known.write(model, enc("<|surprise|>"), "", 100 + i) for i in range(10)]
    res["seconds"] = round(time.time() - t0)
    print(res)
    (a.out / "scores.json").write_text(json.dumps(res, indent=1) + "\n")
    lines = ["# Samples, not picked", "", "## Stories that were asked for", ""]
    for q, m in list(zip(asked, made))[:10]:
        lines += [f"**{q[8:-13]}** " + " ".join(m.split()), ""]
    lines += ["## Stories that were begun", ""]
    for (t, x), m in list(zip(begun, made[len(asked) :]))[:10]:
        lines += [f"**{t}. {' '.join(x.split())}** " + " ".join(m.split()), ""]
    lines += ["## Prompts that were widened", ""]
    lines += [f"- {t} → {x}" for (t, _), x in zip(todo[:10], bound)]
    lines += ["", "## Surprises", ""] + [f"- {x}" for x in surprises]
    (a.out / "samples.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
