"""Reads the songs and chorales and writes token streams to the work folder.

Songs are compressed MusicXML: the singing voice is voice 0, the piano's right hand 1, its left
hand 2.  Chorales have voices 0 to 3.  Bars that repeat a sign are read once.  Songs are held out
by their composer's name; chorales keep the canonical split.
"""

import argparse
import io
import json
import re
import random
import sys
import zipfile
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "common")]

from decoder import Config  # noqa: E402
from tokens import BAR_TICKS, ID, METRES, TICKS, bar_ticks, bar_tokens, bars_of, conditions, transposed, vocabulary  # noqa: E402

CONTEXT = 768
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SLOW_TO_FAST = [  # what is written above the staff, in quarters a minute
    ("grave|largo|sehr langsam|très lent", 46), ("adagio|langsam|lent|lento|slow", 60), ("larghetto|getragen|sostenuto", 66),
    ("andantino", 88), ("andante|gehend|ruhig|mässig langsam", 76), ("moderato|mässig|mäßig|modéré", 100),
    ("allegretto|bewegt|etwas bewegt", 112), ("vivace|lebhaft|vif", 144), ("presto|sehr schnell|sehr rasch", 172),
    ("allegro|schnell|rasch|fast", 132), ("con moto|nicht zu schnell", 104),
]


def tempo_of(root):
    for s in root.iter("sound"):
        if s.get("tempo"):
            bpm = float(s.get("tempo"))
            if 20 <= bpm <= 300:
                return bpm
    text = " ".join(w.text or "" for w in root.iter("words"))[:400].lower()
    hits = [(text.find(m.group(0)), bpm) for words, bpm in SLOW_TO_FAST for m in [re.search(rf"\b({words})", text)] if m]
    return min(hits)[1] if hits else None


def parse(xml):
    """[piece] of one score: a new piece where the metre changes for good."""
    root = ET.fromstring(xml)
    names = {p.get("id"): (p.findtext("part-name") or "").lower() for p in root.iter("score-part")}
    parts = root.findall("part")
    pianos = [p for p in parts if p.findall(".//staves") or "piano" in names.get(p.get("id"), "") or "klavier" in names.get(p.get("id"), "")]
    if not pianos or len(parts) > 4:
        return []
    voices = [p for p in parts if p is not pianos[-1]][:1]
    events, metres = [], []
    for part, base in [(p, 0) for p in voices] + [(pianos[-1], 1)]:
        div, now, metre, shift = 1, Fraction(0), (4, 4), 0
        held = {}
        for number, measure in enumerate(part.findall("measure")):
            start, at, end, last = now, now, now, now
            for e in measure:
                if e.tag == "attributes":
                    div = int(e.findtext("divisions") or div)
                    if e.find("transpose") is not None:
                        shift = int(e.findtext("transpose/chromatic") or 0)
                    if e.find("time") is not None and e.findtext("time/beats", "").isdigit():
                        metre = (int(e.findtext("time/beats")), int(e.findtext("time/beat-type")))
                elif e.tag == "backup":
                    at -= Fraction(int(e.findtext("duration")), div)
                elif e.tag == "forward":
                    at += Fraction(int(e.findtext("duration")), div)
                elif e.tag == "note" and e.find("grace") is None and e.find("cue") is None:
                    d = Fraction(int(e.findtext("duration") or 0), div)
                    s = last if e.find("chord") is not None else at
                    if e.find("chord") is None:
                        last, at = at, at + d
                    if e.find("pitch") is not None:
                        pitch = 12 * (int(e.findtext("pitch/octave")) + 1) + STEPS[e.findtext("pitch/step")] + int(float(e.findtext("pitch/alter") or 0)) + shift
                        v = base + (int(e.findtext("staff") or 1) - 1 if base else 0)
                        ties = {t.get("type") for t in e.findall("tie")}
                        key = (v, pitch)
                        if "stop" in ties and key in held:
                            events[held[key]][1] += d
                        else:
                            events.append([s, d, pitch, min(v, 2)])
                            held[key] = len(events) - 1
                        if "start" not in ties:
                            held.pop(key, None)
                end = max(end, at)
            length = Fraction(4 * metre[0], metre[1])
            if base == 1:
                metres.append((metre, end - start))
            # A pickup is as long as it is written; every other bar is as long as its metre says.
            now = end if (number == 0 and 0 < end - start < length) else start + length
    if not metres:
        return []
    pickup = metres[0][1] if 0 < metres[0][1] < Fraction(4 * metres[0][0][0], metres[0][0][1]) else Fraction(0)
    pieces, at = [], Fraction(0)
    tempo = tempo_of(root)
    if pickup:
        # The pickup becomes the end of a bar that begins with silence.
        at = pickup - Fraction(4 * metres[0][0][0], metres[0][0][1])
    i = 0
    while i < len(metres):
        j, metre = i, metres[i][0]
        while j < len(metres) and metres[j][0] == metre:
            j += 1
        length = Fraction(4 * metre[0], metre[1])
        stop = at + length * (j - i)
        if j - i >= 6 and metre in METRES and length * TICKS <= BAR_TICKS:
            notes = []
            for s, d, p, v in events:
                if at <= s < stop and d > 0:
                    notes.append((round((s - at) * TICKS), max(1, round(d * TICKS)), p, v))
            if len(notes) > 30:
                kind = "song" if any(n[3] == 0 for n in notes) else "piano"
                pieces.append({"kind": kind, "metre": metre, "bars": j - i, "notes": notes, "tempo": tempo, "ends": j == len(metres)})
        at, i = stop, j
    return pieces


def songs(data):
    out = []
    with zipfile.ZipFile(data / "music" / "openscore_lieder_mxl.zip") as z:
        for name in sorted(n for n in z.namelist() if n.endswith(".mxl")):
            with zipfile.ZipFile(io.BytesIO(z.read(name))) as y:
                inner = [k for k in y.namelist() if k.endswith((".xml", ".musicxml")) and "META" not in k]
                try:
                    pieces = parse(y.read(inner[0]))
                except (ET.ParseError, ValueError, TypeError, ZeroDivisionError) as error:
                    print("skipped", name, error)
                    continue
            composer = name.split("/")[1]
            out += [{**p, "source": name, "composer": composer} for p in pieces]
    return out


def chorales(data):
    """Canonical split -> pieces; a sixteenth is three ticks, equal pitches in a row are one note."""
    sets = json.loads((data / "music" / "Jsb16thSeparated.json").read_text())
    out = {}
    for part, pieces in sets.items():
        out[part] = []
        for number, steps in enumerate(pieces):
            notes = []
            for v in range(4):
                i = 0
                while i < len(steps):
                    p, j = steps[i][v], i
                    while j < len(steps) and steps[j][v] == p:
                        j += 1
                    if p >= 0:
                        notes.append((i * 3, (j - i) * 3, int(p), v))
                    i = j
            out[part].append({"kind": "chorale", "metre": (4, 4), "bars": -(-len(steps) // 16), "notes": notes, "tempo": 80, "ends": True, "source": f"jsb-{part}-{number}"})
    return out


def documents(piece, r, drop=0.15):
    """Token lists of a piece: from random bars on, each as long as fits."""
    bars = bars_of(piece)
    size = bar_ticks(piece["metre"])
    tokens = [bar_tokens(b, len(bars) - 1 - i if piece["ends"] else max(4, len(bars) - 1 - i)) for i, b in enumerate(bars)]
    out, first = [], 0
    while first < len(bars):
        ids, last = [], first
        while last < len(bars) and len(ids) + len(tokens[last]) < CONTEXT - 8:
            ids += tokens[last]
            last += 1
        if last == first:
            first += 1
            continue
        inside = [n for n in piece["notes"] if first * size <= n[0] < last * size]
        if len(inside) >= 8:
            done = last == len(bars) and piece["ends"]
            head = conditions(piece, inside, last - first, lambda: r.random() < drop)
            out.append(head + ids + ([ID["END"]] if done else []))
        # The next document begins somewhere within this one, so that pieces begin anywhere.
        first = last if last == len(bars) else first + max(1, (last - first) * 2 // 3)
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--work", type=Path, required=True)
    p.add_argument("--keys", type=int, default=5, help="transpositions of each piece")
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    r = random.Random(3)
    lieder, jsb = songs(a.data), chorales(a.data)
    names = sorted({s["composer"] for s in lieder})
    r.shuffle(names)
    held = set(names[: len(names) // 15])
    train = [s for s in lieder if s["composer"] not in held] + jsb["train"] * 3
    valid = [s for s in lieder if s["composer"] in held]
    print(len(lieder), "pieces of songs,", len(valid), "held out;", sum(len(x["notes"]) for x in lieder), "notes")
    streams = {}
    for name, items, keys in (("train", train, a.keys), ("valid", valid + jsb["valid"], 1)):
        docs = []
        for piece in items:
            for by in r.sample(range(-5, 7), keys) if keys > 1 else [0]:
                docs += documents(transposed(piece, by), r)
        r.shuffle(docs)
        starts = np.cumsum([0] + [len(d) for d in docs[:-1]])
        np.save(a.work / f"{name}.npy", np.concatenate([np.array(d, np.int16) for d in docs]))
        np.save(a.work / f"{name}-starts.npy", starts)
        streams[name] = sum(map(len, docs))
    print("tokens", streams, "vocabulary", len(vocabulary()))
    with open(a.work / "pieces.json", "w") as f:
        json.dump({"train": train, "valid": valid, "jsb": jsb}, f)
    vocab = -(-len(vocabulary()) // 32) * 32
    Config(vocab=vocab, context=CONTEXT, width=256, blocks=6, heads=8, mlp=640).save(a.work / "config.json")


if __name__ == "__main__":
    main()
