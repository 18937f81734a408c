"""Training by several single-threaded processes that share one set of weights.

On a busy machine a step over two threads waits for the slower one at every layer.  Here each
process runs alone: it copies the shared weights, computes the gradient of a small batch, and adds
it to a shared sum; whoever completes a full batch takes the optimiser's step.  A gradient may be
one step old, which does no harm at these sizes.

Everything lives in flat float32 buffers in shared memory: weights, gradient sum, first and second
moment, running average (EMA).  Matrices named by `muon` get Muon (momentum orthogonalised by five
Newton-Schulz steps), all else AdamW without decay.
"""

import os
import time
from contextlib import contextmanager

import torch
import torch.multiprocessing as mp


def has_bf16(dev):
    """Whether bfloat16 is fast on a device; a processor without it takes many times as long as for float32."""
    return dev == "cuda" or bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())


def autocast(dev):
    """bfloat16 products where they are fast, float32 elsewhere."""
    return torch.autocast(dev, torch.bfloat16, enabled=has_bf16(dev))


def newton_schulz(g):
    """Nearest orthogonal matrices of g [k,rows,cols], approximately, in bfloat16 where that is fast."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16() if has_bf16(g.device.type) else g
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        s = x @ x.transpose(1, 2)
        x = a * x + (b * s + c * (s @ s)) @ x
    return (x.transpose(1, 2) if tall else x).float()


class Shared:
    """The shared buffers; made once by the parent, used by every worker."""

    KEYS = ("weights", "grad", "m", "v", "ema")

    def __init__(self, model, muon):
        """muon(name, tensor) -> 0 for AdamW or the number of matrices stacked in the rows."""
        self.plan, n = [], 0
        adam = []
        for name, p in model.named_parameters():
            k = muon(name, p)
            self.plan.append((name, n, p.numel(), tuple(p.shape), k))
            if not k:
                adam.append((n, n + p.numel()))
            n += p.numel()
        self.adam = adam
        self.buf = {k: torch.zeros(n).share_memory_() for k in self.KEYS}
        for (_, o, c, _, _), p in zip(self.plan, model.parameters()):
            self.buf["weights"][o : o + c] = p.detach().flatten()
        self.buf["ema"].copy_(self.buf["weights"])
        self.lock = mp.Lock()
        self.step = mp.Value("q", 0, lock=False)
        self.count = mp.Value("q", 0, lock=False)
        self.seen = mp.Value("q", 0, lock=False)
        self.stop = mp.Value("b", 0, lock=False)
        self.stats = torch.zeros(8, dtype=torch.float64).share_memory_()

    def state(self):
        return {**{k: self.buf[k].clone() for k in self.KEYS if k != "grad"}, "step": self.step.value, "seen": self.seen.value}

    def load(self, s):
        """Restores a state; a shorter buffer (fewer tokens) must be widened by the caller."""
        for k in self.KEYS:
            if k != "grad":
                self.buf[k].copy_(s[k])
        self.step.value, self.seen.value = s["step"], s["seen"]

    def state_dict(self, which="ema"):
        """The weights as named tensors."""
        return {n: self.buf[which][o : o + c].reshape(s).clone() for n, o, c, s, _ in self.plan}

    def save(self, path, **extra):
        tmp = f"{path}.tmp"
        with self.lock:
            s = self.state()
        torch.save({**s, **extra}, tmp)
        os.replace(tmp, path)


class Worker:
    """One process's own copy of the model, its parameters being views of one flat buffer."""

    def __init__(self, shared, model):
        self.sh = shared
        n = shared.buf["weights"].numel()
        self.w, self.g = torch.empty(n), torch.zeros(n)
        self.model = model
        for (_, o, c, s, _), p in zip(shared.plan, model.parameters()):
            p.data = self.w[o : o + c].view(s)
            p.grad = self.g[o : o + c].view(s)
        self.pull()

    def pull(self):
        self.w.copy_(self.sh.buf["weights"])
        self.g.zero_()

    def push(self, n, batch, lr, muon_lr, ema, stats):
        """Adds this worker's gradient (a mean over n samples); steps when `batch` is reached.

        lr and muon_lr are functions of the step number; stats is added to the shared sums.
        """
        sh = self.sh
        with sh.lock:
            sh.buf["grad"].add_(self.g, alpha=float(n))
            sh.count.value += n
            sh.seen.value += n
            sh.stats[: len(stats)] += torch.tensor(stats, dtype=torch.float64)
            if sh.count.value >= batch:
                self.apply(sh.count.value, lr(sh.step.value), muon_lr(sh.step.value), ema)
                sh.count.value = 0
                sh.step.value += 1

    def apply(self, n, lr, muon_lr, ema, b1=0.9, b2=0.98, mu=0.95):
        b, t = self.sh.buf, self.sh.step.value + 1
        g = b["grad"].div_(n)
        g.mul_(min(1.0, 1.0 / (float(g.norm()) + 1e-6)))
        for o, e in self.sh.adam:
            m, v, gg = b["m"][o:e], b["v"][o:e], g[o:e]
            m.lerp_(gg, 1 - b1)
            v.lerp_(gg * gg, 1 - b2)
            den = (v / (1 - b2**t)).sqrt_().add_(1e-8)
            b["weights"][o:e].addcdiv_(m, den, value=-lr / (1 - b1**t))
        # Equal shapes are stacked, so Newton-Schulz runs as a few large products.
        groups = {}
        for _, o, c, s, k in self.sh.plan:
            if k:
                groups.setdefault((k * 0 + s[0] // k, c // s[0]), []).append((o, c, k))
        for (r, q), items in groups.items():
            m = [b["m"][o : o + c] for o, c, _ in items]
            for x, (o, c, _) in zip(m, items):
                x.mul_(mu).add_(g[o : o + c])
            u = torch.cat([(g[o : o + c] + mu * x).view(k, r, q) for x, (o, c, k) in zip(m, items)])
            u = newton_schulz(u) * max(1.0, r / q) ** 0.5
            i = 0
            for o, c, k in items:
                b["weights"][o : o + c].add_(u[i : i + k].reshape(-1), alpha=-muon_lr)
                i += k
        k = min(ema, (t + 1) / (t + 10))
        b["ema"].lerp_(b["weights"], 1 - k)
        g.zero_()


@contextmanager
def clock(name):
    t = time.time()
    yield
    print(f"{name}: {time.time() - t:.1f} s", flush=True)


def deadline(until, minutes):
    """Seconds since the epoch for "HH:MM" today, or that many minutes from now."""
    if not until:
        return time.time() + 60 * minutes
    now = time.localtime()
    h, m = map(int, until.split(":"))
    return time.mktime((*now[:3], h, m, 0, *now[6:]))


def run(worker, args, shared, workers):
    """Starts the workers; returns their processes.  worker(rank, shared, args) is the loop."""
    ps = [mp.Process(target=worker, args=(r, shared, args), daemon=True) for r in range(workers)]
    for p in ps:
        p.start()
    return ps
