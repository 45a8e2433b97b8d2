"""Intervals, tests and drift measures of SciPy and statsmodels, for intervals.test.ts, comparison.test.ts and drift.test.ts.

    python3 -m venv venv && venv/bin/pip install -r requirements-intervals.txt
    venv/bin/python make-intervals.py

Writes goldens/intervals.json. The generator of random numbers and the resampling are written here a second time, so that SciPy
computes BCa intervals from the same resamples.
"""
import hashlib
import json
import struct
from pathlib import Path

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

MASK = 0xFFFFFFFF
goldens = {}
rng = np.random.default_rng(20261127)


def rounded(values):
    return [float(f"{value:.6g}") for value in values]


class Xoshiro128:
    """xoshiro128** 1.1, after the C code of Blackman and Vigna."""

    def __init__(self, seed):
        self.s = list(struct.unpack("<4I", hashlib.sha256(seed.encode()).digest()[:16]))

    def next(self):
        s = self.s
        rotl = lambda x, k: ((x << k) | (x >> (32 - k))) & MASK
        result = (rotl((s[1] * 5) & MASK, 7) * 9) & MASK
        t = (s[1] << 9) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotl(s[3], 11)
        return result

    def below(self, count):
        while True:
            drawn = self.next()
            if drawn < 2**32 - 2**32 % count:
                return drawn % count


def wilson():
    for count in [1, 2, 10, 37, 1000, 100000]:
        for successes in sorted({0, 1, count // 3, count - 1, count}):
            for level in [0.8, 0.95, 0.999]:
                low, high = proportion_confint(successes, count, alpha=1 - level, method="wilson")
                yield [successes, count, level, float(low), float(high)]


def normal():
    for p in [1e-300, 1e-12, 1e-5, 0.001, 0.025, 0.1, 0.3, 0.4999, 0.5, 0.7, 0.975, 0.9999]:
        z = float(stats.norm.ppf(p))
        yield [p, z, float(stats.norm.cdf(z))]


def student():
    for degrees in [9, 20, 99, 10000]:
        for p in [0.001, 0.025, 0.05, 0.2, 0.9]:
            yield [degrees, float(stats.norm.ppf(p)), float(stats.t.ppf(p, degrees))]


def binomial():
    for k, n, p in [(0, 5, 0.3), (2, 9, 0.5), (3, 30, 0.2), (40, 100, 0.5), (480, 1000, 0.5), (4900, 10000, 0.5),
                    (12, 10000, 0.002), (90, 100, 0.95), (499000, 1000000, 0.5), (0, 400, 0.5), (100, 400, 0.5)]:
        yield [k, n, p, float(stats.binomtest(k, n, p, alternative="less").pvalue)]


def paired():
    """McNemar's exact test, and Tango's interval by maximizing the likelihood numerically."""

    def score(difference, n, b, c):
        # P(only the holder is right) that maximizes the likelihood if the difference is given.
        low, high = max(0, -difference), (1 - difference) / 2
        def loss(q):
            return -(b * np.log(max(q + difference, 1e-300)) + c * np.log(max(q, 1e-300))
                     + (n - b - c) * np.log(max(1 - 2 * q - difference, 1e-300)))
        q = optimize.minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-14}).x
        q = min([low, high, q], key=loss)
        return (b - c - n * difference) / np.sqrt(n * (2 * q + difference * (1 - difference)))

    for n, b, c in [(21, 1, 7), (44, 9, 1), (100, 5, 5), (100, 0, 3), (100, 0, 0), (160, 40, 20), (1000, 31, 12), (1000, 2, 0),
                    (10000, 420, 460), (30, 30, 0)]:
        table = [[n - b - c, b], [c, 0]]
        z = stats.norm.ppf(0.975)
        estimate = (b - c) / n
        low = optimize.brentq(lambda d: score(d, n, b, c) - z, -1 + 1e-9, estimate - 1e-9, xtol=1e-13) if estimate > -1 else -1
        high = optimize.brentq(lambda d: score(d, n, b, c) + z, estimate + 1e-9, 1 - 1e-9, xtol=1e-13) if estimate < 1 else 1
        yield [n, b, c, float(mcnemar(table, exact=True).pvalue), float(low), float(high)]


def resamples(seed, count, groups, times):
    """Indices of the items of each resample: as resampling.ts, groups in the order in which they first occur."""
    random = Xoshiro128(seed)
    names = list(dict.fromkeys(groups)) if groups else range(count)
    members = {name: [i for i, g in enumerate(groups) if g == name] for name in names} if groups else None
    for _ in range(times):
        drawn = [random.below(len(names)) for _ in names]
        yield np.array([i for g in drawn for i in members[names[g]]] if groups else drawn)


STATISTICS = {
    "mean": lambda x, y: np.mean(x),
    "median": lambda x, y: np.median(x),
    "deviation": lambda x, y: np.std(x),
    "ratio": lambda x, y: np.sum(x) / np.sum(y),
    "correlation": lambda x, y: np.corrcoef(x, y)[0, 1],
}


def bootstrap():
    for name, statistic in STATISTICS.items():
        for count, seed in [(12, "a"), (60, "b")]:
            x = rounded(rng.exponential(1, count))
            y = rounded(np.array(x) * 0.5 + rng.exponential(1, count))
            ax, ay = np.array(x), np.array(y)
            values = np.array([statistic(ax[i], ay[i]) for i in resamples(seed, count, None, 400)])
            given = type("Given", (), {"bootstrap_distribution": values})()
            result = stats.bootstrap((ax, ay), statistic, n_resamples=0, bootstrap_result=given, paired=True,
                                     vectorized=False, method="BCa", confidence_level=0.9)
            interval = result.confidence_interval
            yield {"statistic": name, "x": x, "y": y, "seed": seed, "groups": None,
                   "low": float(interval.low), "high": float(interval.high)}


def grouped():
    """The mean of items in groups. SciPy resamples groups, of which the statistic adds up sums and counts."""
    groups = [f"g{i}" for i in rng.integers(0, 15, 50)]
    names = list(dict.fromkeys(groups))
    x = rounded(rng.exponential(1, 50))
    sums = np.array([sum(v for v, g in zip(x, groups) if g == name) for name in names])
    counts = np.array([groups.count(name) for name in names])
    ax = np.array(x)
    values = np.array([ax[i].mean() for i in resamples("c", 50, groups, 400)])
    given = type("Given", (), {"bootstrap_distribution": values})()
    result = stats.bootstrap((sums, counts), lambda s, c: np.sum(s) / np.sum(c), n_resamples=0, bootstrap_result=given,
                             paired=True, vectorized=False, method="BCa", confidence_level=0.9)
    interval = result.confidence_interval
    yield {"statistic": "mean", "x": x, "y": x, "seed": "c", "groups": groups,
           "low": float(interval.low), "high": float(interval.high)}


def holm():
    for values in [[0.01, 0.04, 0.03, 0.005], [0.5], [0.2, 0.2, 0.001], [1, 0.9, 0.8], rounded(rng.random(12) ** 3)]:
        yield [values, [float(p) for p in multipletests(values, method="holm")[1]]]


def kolmogorov():
    for n, m, shift in [(5, 5, 0), (7, 12, 0.5), (30, 30, 1), (40, 25, 0), (100, 80, 0.3), (200, 200, 2)]:
        a, b = rounded(rng.normal(0, 1, n)), rounded(rng.normal(shift, 1, m))
        result = stats.ks_2samp(a, b, method="exact")
        yield [a, b, float(result.statistic), float(result.pvalue)]
    # Values that repeat.
    a, b = [float(v) for v in rng.integers(0, 6, 40)], [float(v) for v in rng.integers(1, 7, 30)]
    result = stats.ks_2samp(a, b, method="exact")
    yield [a, b, float(result.statistic), float(result.pvalue)]


def chi_square():
    for a, b in [([10, 20, 30], [12, 18, 40]), ([100, 0, 3, 9], [80, 5, 0, 12]), ([50, 50], [70, 30]), ([5, 0, 5], [500, 0, 400]),
                 (rng.integers(20, 60, 41).tolist(), rng.integers(20, 60, 41).tolist()), ([100, 10], [10, 100])]:
        table = np.array([a, b])
        result = stats.chi2_contingency(table[:, table.sum(axis=0) > 0], correction=False)
        yield [a, b, float(result.statistic), int(result.dof), float(result.pvalue), float(result.expected_freq.min())]


def chi_square_tail():
    for x, degrees in [(0.5, 1), (3.84, 1), (1e-6, 1), (40, 1), (0.1, 2), (10, 3), (80, 20), (700, 500), (430, 501), (60, 1000)]:
        yield [x, degrees, float(stats.chi2.sf(x, degrees))]


def kolmogorov_limit():
    for distance, n, m in [(0.02, 5000, 8000), (0.05, 10000, 10000), (0.01, 6000, 6000)]:
        whole = round(distance * n * m)
        yield [whole, n, m, float(stats.kstwobign.sf(whole / n / m * np.sqrt(n * m / (n + m))))]


for make in [wilson, normal, student, binomial, paired, holm, kolmogorov, chi_square, chi_square_tail, kolmogorov_limit]:
    goldens[make.__name__] = list(make())
goldens["bootstrap"] = [*bootstrap(), *grouped()]
random = Xoshiro128("seed")
goldens["random"] = {"next": [random.next() for _ in range(20)], "below": [[n, [random.below(n) for _ in range(10)]] for n in [1, 3, 10, 2**31 + 1]]}
lines = [f"{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}" for name, value in goldens.items()]
(Path(__file__).parent / "goldens/intervals.json").write_text("{" + ",\n".join(lines) + "}\n")
