"""Makes the house upscaler from the data, all of it, with one command.

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
    p.add_argument("--golden", type=Path, default=ROOT / "tests/golden/house-upscaler")
    p.add_argument("--minutes", type=float, default=45)
    p.add_argument("--more", type=float, default=0, help="minutes to train a finished network further")
    p.add_argument("--small", type=int, default=3000, help="scenes of 256 pixels in the pool")
    p.add_argument("--large", type=int, default=1500, help="windows of larger scenes in the pool")
    p.add_argument("--lpips", type=Path, help="published weights of LPIPS with SqueezeNet, for the scores")
    p.add_argument("--reference", type=Path, help="realesr-animevideov3.pth, to stand beside in the scores")
    a = p.parse_args()
    a.work.mkdir(parents=True, exist_ok=True)
    run("pictures.py", "--data", a.data, "--work", a.work, "--small", a.small, "--large", a.large)
    done = a.work / "trained.done"
    if not done.exists():
        run("train.py", "--work", a.work, "--minutes", a.minutes)
        done.touch()
    if a.more:
        run("train.py", "--work", a.work, "--minutes", a.more)
    run("export.py", "--work", a.work, "--out", a.out)
    run("golden.py", "--model", a.out, "--out", a.golden)
    extra = [w for name in ("lpips", "reference") if getattr(a, name) for w in (f"--{name}", getattr(a, name))]
    run("score.py", "--work", a.work, "--model", a.out, *extra)


if __name__ == "__main__":
    main()
