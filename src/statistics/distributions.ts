/**
 * Distribution functions, to a relative error of about 1e-12: normal, binomial, chi-square, and the statistic of the
 * two-sample Kolmogorov–Smirnov test. Tails are summed directly, so that small p-values keep their digits.
 */

const SQRT_2_PI = Math.sqrt(2 * Math.PI);
/** Above this, the continued fraction of erfc converges faster than the series of erf. */
const FRACTION_FROM = 2.5;
const FRACTION_STEPS = 80;
/** Path counts of at most this many points, about 0.1 s, are exact; beyond, the limit distribution is close enough. */
const MAX_EXACT_POINTS = 2e7;

/** P(Z ≤ z) of a standard normal Z. */
export function normalCdf(z: number): number {
  return z < 0 ? upperTail(-z) : 1 - upperTail(z);
}

/** P(Z > z) for z ≥ 0. */
function upperTail(z: number): number {
  const x = z / Math.SQRT2;
  if (x >= FRACTION_FROM) {
    let fraction = x;
    for (let k = FRACTION_STEPS; k > 0; k--) fraction = x + k / 2 / fraction;
    return Math.exp(-x * x) / fraction / Math.sqrt(Math.PI) / 2;
  }
  let term = z;
  let sum = z;
  for (let k = 3; term > sum * 1e-17; k += 2) {
    term *= (z * z) / k;
    sum += term;
  }
  return 0.5 - (Math.exp((-z * z) / 2) / SQRT_2_PI) * sum;
}

/** The z with `normalCdf(z)` = p, for p from 0 to 1. */
export function normalQuantile(p: number): number {
  if (p <= 0) return Number.NEGATIVE_INFINITY;
  if (p >= 1) return Number.POSITIVE_INFINITY;
  if (p > 0.5) return -normalQuantile(1 - p);
  // Abramowitz and Stegun 26.2.23, with an error below 4.5e-4, then Halley's method.
  const t = Math.sqrt(-2 * Math.log(p));
  let z = (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
  for (let i = 0; i < 3; i++) {
    const step = ((normalCdf(z) - p) * SQRT_2_PI) / Math.exp((-z * z) / 2);
    z -= step / (1 + (z * step) / 2);
  }
  return z;
}

/**
 * The t of Student's distribution that is exceeded as often as `z` is by a standard normal variable; for 9 or more degrees of
 * freedom to 0.5 % (Wallace, "Bounds on normal approximations to Student's and the chi-square distributions", 1959).
 */
export function studentOfNormal(z: number, degrees: number): number {
  const scaled = (z * (8 * degrees + 3)) / (8 * degrees + 1);
  return Math.sign(z) * Math.sqrt(degrees * Math.expm1((scaled * scaled) / degrees));
}

/** The inverse of `studentOfNormal`. */
export function normalOfStudent(t: number, degrees: number): number {
  const scaled = Math.sqrt(degrees * Math.log1p((t * t) / degrees));
  return (Math.sign(t) * scaled * (8 * degrees + 1)) / (8 * degrees + 3);
}

/** P(X = k) of a binomial X, by Loader's saddle-point expansion ("Fast and accurate computation of binomial probabilities", 2000). */
export function binomialProbability(k: number, n: number, p: number): number {
  if (k < 0 || k > n) return 0;
  if (p === 0) return k === 0 ? 1 : 0;
  if (p === 1) return k === n ? 1 : 0;
  if (k === 0) return Math.exp(n * Math.log1p(-p));
  if (k === n) return Math.exp(n * Math.log(p));
  const exponent =
    stirlingError(n) - stirlingError(k) - stirlingError(n - k) - deviance(k, n * p) - deviance(n - k, n * (1 - p));
  return Math.exp(exponent) * Math.sqrt(n / (2 * Math.PI * k * (n - k)));
}

/** log n! minus Stirling's formula. */
function stirlingError(n: number): number {
  if (n < 16) {
    let factorial = 0;
    for (let i = 2; i <= n; i++) factorial += Math.log(i);
    return factorial - (n + 0.5) * Math.log(n) + n - Math.log(SQRT_2_PI);
  }
  const square = n * n;
  return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / square) / square) / square) / square) / n;
}

/** x log(x / mean) + mean − x, without cancellation near the mean. */
function deviance(x: number, mean: number): number {
  if (Math.abs(x - mean) >= 0.1 * (x + mean)) return x * Math.log(x / mean) + mean - x;
  const ratio = (x - mean) / (x + mean);
  let sum = (x - mean) * ratio;
  let power = 2 * x * ratio;
  for (let k = 3; ; k += 2) {
    power *= ratio * ratio;
    const next = sum + power / k;
    if (next === sum) return sum;
    sum = next;
  }
}

/** P(X ≤ k) of a binomial X, for k below the mean, where terms decrease. */
export function binomialLowerTail(k: number, n: number, p: number): number {
  let term = binomialProbability(k, n, p);
  let sum = term;
  for (let i = k; i > 0 && term > sum * 1e-17; i--) {
    term *= (i / (n - i + 1)) * ((1 - p) / p);
    sum += term;
  }
  return Math.min(1, sum);
}

/** P(X > x) of a chi-square X with an integer number of degrees of freedom, by the finite sums for even and odd numbers. */
export function chiSquareUpperTail(x: number, degrees: number): number {
  if (x <= 0) return 1;
  const half = x / 2;
  const isOdd = degrees % 2 === 1;
  let sum = isOdd ? 2 * upperTail(Math.sqrt(x)) : 0;
  // Terms half^i e^-half / Γ(i + 1), at i = 0, 1, 2 … or 1/2, 3/2 …
  let logTerm = isOdd ? -half + Math.log(half) / 2 - Math.log(Math.PI / 4) / 2 : -half;
  for (let i = isOdd ? 0.5 : 0; i < degrees / 2; i++) {
    sum += Math.exp(logTerm);
    logTerm += Math.log(half / (i + 1));
  }
  return Math.min(1, sum);
}

/**
 * P(D ≥ d) of the two-sided two-sample Kolmogorov–Smirnov statistic D, for samples of n and m values without ties.
 *
 * `distance`: d · n · m, an integer. Exact for at most 2e7 pairs of values: the share of the lattice paths from (0, 0) to
 * (n, m) that reach the distance. Kolmogorov's limit distribution beyond.
 */
export function kolmogorovUpperTail(distance: number, n: number, m: number): number {
  if (distance <= 0) return 1;
  if (n * m > MAX_EXACT_POINTS) return kolmogorovLimit((distance / n / m) * Math.sqrt((n * m) / (n + m)));
  const share = new Float64Array(m + 1);
  for (let i = 0; i <= n; i++) {
    for (let j = 0; j <= m; j++) {
      const isReached = Math.abs(i * m - j * n) >= distance;
      const before = j === 0 ? 0 : (share[j - 1] as number);
      share[j] = isReached ? 1 : i + j === 0 ? 0 : (i * (share[j] as number) + j * before) / (i + j);
    }
  }
  return share[m] as number;
}

/** P(K > x) = 2 Σ (−1)^(k − 1) exp(−2 k² x²). */
function kolmogorovLimit(x: number): number {
  // The series converges slowly near 0, where the probability is 1 to 16 digits.
  if (x < 0.2) return 1;
  let sum = 0;
  for (let k = 1; k <= 50; k++) sum += (k % 2 === 1 ? 2 : -2) * Math.exp(-2 * k * k * x * x);
  return Math.min(1, Math.max(0, sum));
}
