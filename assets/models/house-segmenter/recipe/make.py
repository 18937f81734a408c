"""Makes the house segmenter from the data, all of it, with one command.

    python make.py --data DATA --work WORK                 # about an hour of two CPU cores
    python make.py --data DATA --work WORK --more 30       # takes a finished network further

Every stage leaves its result in the work folder and is skipped, or taken up again, when it is
there; a stopped run is continued by the same command.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]


def run(script, *words):
    """Runs one script of the recipe."""
    print("==", script, *words, flush=True)
    subprocess.run([sys.executable, str(HERE / script), *map(str, words)], check=True)


def main():
    """Runs all stages."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, default=ROOT / ".." / "shared" / "data")
    p.add_argument("--work", type=Path, default=HERE / "work")
    p.add_argument("--out", type=Path, default=HERE.parent)
    p.add_argument("--golden", type=Path, default=ROOT / "tests/golden/house-segmenter")
    p.add_argument("--minutes", type=float, default=50)
    p.add_argument("--more", type=float, default=0, help="minutes to train a finished network further, at full size")
    p.add_argument("--pictures", type=int, default=300, help="how many of each set are scored")
    p.add_argument("--drawn", type=int, default=32, help="how many pictures of the house picture model are scored")
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    io = ("--data", a.data, "--work", a.work)
    done = a.work / "trained.done"
    if not done.exists():
        run("train.py", *io, "--minutes", a.minutes)
        done.touch()
    if a.more:
        run("train.py", *io, "--minutes", a.more, "--full", 1)
    run("export.py", "--work", a.work, "--out", a.out)
    run("golden.py", "--model", a.out, "--out", a.golden)
    run("score.py", *io, "--model", a.out, "--n", a.pictures, "--drawn", a.drawn)


if __name__ == "__main__":
    main()
