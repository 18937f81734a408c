"""Measures the signals of engine/src/audio/analysis_tests.rs with pyloudnorm, an independent meter.

pip install -r requirements.txt; python make.py
"""

import numpy as np
import pyloudnorm

for rate in (44_100, 48_000, 96_000):
    t = np.arange(rate * 12) / rate
    level = np.array([0.5, 0.02, 0.2, 0.0])[(t // 3).astype(int) % 4]
    left = 0.6 * np.sin(2 * np.pi * 80 * t) + 0.4 * np.sin(2 * np.pi * 2500 * t)
    right = 0.7 * np.sin(2 * np.pi * 330 * t) + 0.3 * np.sin(2 * np.pi * 6000 * t)
    signal = np.stack([level * left, level * right], axis=1).astype(np.float32)
    print(rate, pyloudnorm.Meter(rate).integrated_loudness(signal))
