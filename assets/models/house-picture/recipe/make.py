"""Makes the house picture model from the data, all of it, with one command.

    python make.py                      # about two and a half hours of two CPU cores
    python make.py --painter-minutes 600   # better pictures

Every stage leaves its result in the work folder and is skipped, or taken up again, when it is
there; a stopped run is continued by the same command.  To take a finished transformer further,
give --more MINUTES: the learning rate warms up again and falls to zero at the new end.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]


def run(script, *words):
    print("==", script, *words, flush=True)
    subprocess.run([sys.executable, str(HERE / script), *map(str, words)], check=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, default=ROOT / ".." / "shared" / "data")
    p.add_argument("--work", type=Path, default=HERE / "work")
    p.add_argument("--out", type=Path, default=HERE.parent)
    p.add_argument("--painter-minutes", type=float, default=90)
    p.add_argument("--decoder-minutes", type=float, default=12)
    p.add_argument("--scenes", type=int, default=24000)
    p.add_argument("--judge-scenes", type=int, default=16000)
    p.add_argument("--pictures", type=int, default=1000, help="how many are scored")
    p.add_argument("--more", type=float, default=0, help="minutes to train a finished transformer further")
    p.add_argument("--guidance", type=float, default=1.5)
    p.add_argument("--shift", type=float, default=6.0)
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    io = ("--data", a.data, "--work", a.work)

    def once(mark, stage):
        """Runs a stage unless its mark is there; the mark is set only when it ended well."""
        done = a.work / f"{mark}.done"
        if not done.exists():
            stage()
            done.touch()

    once("scenes", lambda: run("make_scenes.py", *io, "--n", a.scenes, "--others", max(1, a.scenes // 34)))
    once("decoder", lambda: run("train_dec.py", *io, "--minutes", a.decoder_minutes))
    once("judge", lambda: run("judge.py", *io, "--n", a.judge_scenes))
    once("sketch", lambda: run("sketch.py", *io))
    once("painter", lambda: run("train_dit.py", *io, "--minutes", a.painter_minutes))
    if a.more:
        run("train_dit.py", *io, "--minutes", a.more)
    run("export.py", "--work", a.work, "--out", a.out, "--guidance", a.guidance, "--shift", a.shift)
    run("golden.py", "--model", a.out)
    run("score.py", *io, "--model", a.out, "--n", a.pictures)


if __name__ == "__main__":
    main()
