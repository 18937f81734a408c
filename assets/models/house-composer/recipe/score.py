"""Scores the shipped file: likelihood of the canonical chorales, copied runs and adherence of pieces.

    python score.py --work WORK --data DATA [--pieces FOLDER]

Likelihood: nats per voice and sixteenth of Jsb16thSeparated.json. A chorale's grid is written as
events, durations that the vocabulary lacks as notes struck again (the grid cannot tell them apart),
so the value is an upper bound for the grid's. Told are only “chorale” and 4/4; bar lines and their
counts are predicted and paid for. FOLDER holds pieces as JSON, as `atelier compose --json` gives them.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "common")]

from decoder import Config, read_gguf  # noqa: E402
from tokens import DURATIONS, ID, find_key, left_token  # noqa: E402

SIXTEENTHS = [d for d in DURATIONS if d % 3 == 0]
SCALES = {"major": {0, 2, 4, 5, 7, 9, 11}, "minor": {0, 2, 3, 5, 7, 8, 9, 10, 11}}


def events(grid):
    """Tokens of a chorale behind its conditions."""
    bars = [[] for _ in range(-(-len(grid) // 16))]
    for v in range(4):
        i = 0
        while i < len(grid):
            j = i
            while j < len(grid) and grid[j][v] == grid[i][v]:
                j += 1
            at, left = i, (j - i) * 3
            while grid[i][v] >= 0 and left:
                d = max(x for x in SIXTEENTHS if x <= left)
                bars[at // 16].append((at % 16 * 3, v, int(grid[i][v]), d))
                at, left = at + d // 3, left - d
            i = j
    out = []
    for i, bar in enumerate(bars):
        out.append(left_token(len(bars) - 1 - i))
        pos = -1
        for p, v, pitch, d in sorted(bar):
            if p != pos:
                out.append(ID[f"POS_{p}"])
                pos = p
            out += [ID[f"NOTE_{v}_{pitch}"], ID[f"DUR_{d}"]]
    return out + [ID["END"]]


@torch.no_grad()
def nats(model, c, ids):
    """Nats of a document; what is longer than the context is read in windows that overlap by half."""
    head = [ID["KIND_chorale"], ID["METRE_4_4"]]
    total, at = 0.0, 0
    while at < len(ids):
        back = 0 if at == 0 else c.context // 2
        room = c.context - len(head) - back
        part = head + ids[at - back : at + room]
        x = torch.tensor([part])
        logp = model.logits(x[:, :-1])[0].float().log_softmax(-1)
        scored = x[0, 1:]
        start = len(head) + back - 1
        total -= logp[torch.arange(start, len(scored)), scored[start:]].sum().item()
        at += room
    return total


def chorales(model, c, data):
    sets = json.loads((data / "music" / "Jsb16thSeparated.json").read_text())
    out = {}
    for name in ("valid", "test"):
        per_piece, total, count, tokens = [], 0.0, 0, 0
        for grid in sets[name]:
            ids = events(grid)
            n = nats(model, c, ids)
            total, count, tokens = total + n, count + 4 * len(grid), tokens + len(ids)
            per_piece.append(n / (4 * len(grid)))
        out[name] = {"nats_per_voice_and_sixteenth": round(total / count, 4), "mean_over_pieces": round(sum(per_piece) / len(per_piece), 4),
                     "nats_per_quarter": round(total / count * 16, 3), "nats_per_token": round(total / tokens, 4), "pieces": len(sets[name])}
    return out


def voices_of(piece):
    return [sorted((n["start_ticks"], n["pitch"], n["duration_ticks"]) for n in t["notes"]) for t in piece["tracks"]
            if t["instrument"] != "drums"]


def runs(pitches, n=8):
    """Runs of n notes as intervals, so that a transposed copy is a copy."""
    steps = [b - a for a, b in zip(pitches, pitches[1:])]
    return {tuple(steps[i : i + n - 1]) for i in range(len(steps) - n + 2)}


def line(notes):
    """The highest note of every moment."""
    top = {}
    for start, pitch, _ in notes:
        top[start] = max(pitch, top.get(start, 0))
    return [top[s] for s in sorted(top)]


def adherence(folder, work):
    seen = set()
    stored = json.loads((work / "pieces.json").read_text())
    for piece in stored["train"]:
        for v in range(4):
            seen |= runs(line([(s, p, d) for s, d, p, w in piece["notes"] if w == v]))
    held = []
    for piece in stored["valid"]:
        for v in range(3):
            r = [x for x in runs(line([(s, p, d) for s, d, p, w in piece["notes"] if w == v])) if len(set(x)) > 2]
            held += [x in seen for x in r]
    sums = {k: [] for k in ("notes_in_key", "key_found", "copied_runs", "tempo", "metre", "instruments", "length_error", "repeated_bars")}
    for path in sorted(folder.glob("*.json")):
        d = json.loads(path.read_text())
        asked, piece = d["asked"], d["score"]
        voices = voices_of(piece)
        notes = [n for v in voices for n in v]
        if asked.get("key"):
            tonic, mode = asked["key"]["tonic"], asked["key"]["mode"]
            sums["notes_in_key"].append(sum((p - tonic) % 12 in SCALES[mode] for _, p, _ in notes) / len(notes))
            sums["key_found"].append(find_key([(s, x, p, 0) for s, p, x in notes]) == (tonic, mode))
        for v in voices:
            sums["copied_runs"] += [r in seen for r in runs(line(v)) if len(set(r)) > 2]
        if asked.get("tempo_bpm"):
            sums["tempo"].append(abs(piece["tempo_bpm"] / asked["tempo_bpm"] - 1) < 0.02)
        if asked.get("metre"):
            sums["metre"].append(piece["metre"] == asked["metre"])
        if asked.get("instruments"):
            sums["instruments"].append(set(asked["instruments"]) == {t["instrument"] for t in piece["tracks"]})
        sums["length_error"].append(abs(d["seconds"] / asked["duration_secs"] - 1))
        bar = piece["ticks_per_quarter"] * 4 * piece["metre"]["beats"] // piece["metre"]["unit"]
        bars = {}
        for s, p, x in notes:
            bars.setdefault(s // bar, []).append((s % bar, p, x))
        shapes = [tuple(sorted(b)) for b in bars.values()]
        sums["repeated_bars"].append(1 - len(set(shapes)) / len(shapes))
    out = {k: round(sum(v) / len(v), 4) for k, v in sums.items() if v}
    out["pieces"] = len(sums["length_error"])
    out["copied_runs_of_held_out_songs"] = round(sum(held) / max(1, len(held)), 4)
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--model", type=Path, default=HERE.parent / "model.gguf")
    p.add_argument("--pieces", type=Path)
    a = p.parse_args()
    torch.set_num_threads(1)
    c = Config.load(a.work / "config.json")
    file = HERE.parent / "scores.json"
    scores = json.loads(file.read_text()) if file.exists() else {}
    if "chorales" not in scores:
        scores["chorales"] = chorales(read_gguf(str(a.model), c), c, a.data)
    if a.pieces:
        scores["adherence"] = adherence(a.pieces, a.work)
    assert all(math.isfinite(v["nats_per_token"]) for v in scores["chorales"].values())
    file.write_text(json.dumps(scores, indent=1) + "\n")
    print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()
