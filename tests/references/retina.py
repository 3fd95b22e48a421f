"""The retina a second time, from the formulas: loops over cells, places and time."""
import math

import torch


def gaussian(offset: float, width: float, reach: int) -> float:
    total = sum(math.exp(-((o / width) ** 2) / 2) for o in range(-reach, reach + 1))
    return math.exp(-((offset / width) ** 2) / 2) / total


def biphasic(peak: float, length: int) -> list[float]:
    """From now back into the past."""
    def bump(ago, at):
        return (ago / at) ** 3 * math.exp(3 - 3 * ago / at)

    raw = [bump(ago, peak) - 0.6 * bump(ago, 2 * peak) for ago in range(length)]
    norm = math.sqrt(sum(value * value for value in raw))
    return [value / norm for value in raw]


def spatial(frame: list, row: int, column: int, width: float, size: int) -> float:
    return sum(gaussian(r - row, width, size) * gaussian(c - column, width, size) * frame[r][c]
               for r in range(size) for c in range(size))


def bipolar(window: list, size: int, late: int, spreads: tuple, threshold: float) -> list:
    """Activity [type][row][column] `late` frames before the window's end; types ON, OFF of the fast, then the slow."""
    found = []
    for peak, spread in zip((2.5, 5.0), spreads):
        weights = biphasic(peak, len(window) - 1)
        mixed = [[sum(weight * window[len(window) - 1 - late - ago][r][c] for ago, weight in enumerate(weights))
                  for c in range(size)] for r in range(size)]
        summed = [[(spatial(mixed, r, c, 1.0, size) - 0.8 * spatial(mixed, r, c, 2.5, size)) / spread
                   for c in range(size)] for r in range(size)]
        for sign in (1, -1):
            found.append([[max(0.0, sign * value - threshold) for value in line] for line in summed])
    return found


def ganglion_rate(window: list, size: int, cell: dict, spreads: tuple) -> float:
    """The rate of a cell: its kind's weights, its place, its scales."""
    now, before = (bipolar(window, size, late, spreads, 0.5) for late in (0, 1))
    row, column = cell["place"]
    types, amacrine, pooled = cell["kind"]
    drive = sum(weight * spatial(now[t], row, column, pooled, size) for t, weight in enumerate(types))
    for speed, weight in enumerate(amacrine):
        both = [[before[2 * speed][r][c] + before[2 * speed + 1][r][c] for c in range(size)] for r in range(size)]
        drive -= weight * spatial(both, row, column, 4.0, size)
    z = 2.0 * (drive - cell["offset"]) / cell["spread"]
    return cell["gain"] * (math.log1p(math.exp(-abs(z))) + max(z, 0.0))


def surprisal(rates: list[list[float]]) -> list[float]:
    """Half the squared Mahalanobis distance of each row, by Gaussian elimination."""
    count, cells = len(rates), len(rates[0])
    mean = [sum(row[c] for row in rates) / count for c in range(cells)]
    away = [[row[c] - mean[c] for c in range(cells)] for row in rates]
    covariance = [[sum(row[i] * row[j] for row in away) / (count - 1) for j in range(cells)] for i in range(cells)]
    found = []
    for row in away:
        rows = [line + [value] for line, value in zip([list(line) for line in covariance], row)]
        for i in range(cells):
            pivot = max(range(i, cells), key=lambda k: abs(rows[k][i]))
            rows[i], rows[pivot] = rows[pivot], rows[i]
            for k in range(i + 1, cells):
                factor = rows[k][i] / rows[i][i]
                rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i])]
        solution = [0.0] * cells
        for i in reversed(range(cells)):
            solution[i] = (rows[i][cells] - sum(rows[i][j] * solution[j] for j in range(i + 1, cells))) / rows[i][i]
        found.append(sum(a * b for a, b in zip(row, solution)) / 2)
    return found


def collapsed_kernel(kernels: list[torch.Tensor]) -> torch.Tensor:
    """The kernel of 3 × 3 convolutions one after another: the sum over all ways through them."""
    whole = kernels[0].double()
    for kernel in kernels[1:]:
        out, between, side = kernel.shape[0], whole.shape[1], whole.shape[2] + 2
        grown = torch.zeros(out, between, side, side, dtype=torch.float64)
        for o in range(out):
            for m in range(kernel.shape[1]):
                for r in range(3):
                    for c in range(3):
                        grown[o, :, r:r + side - 2, c:c + side - 2] += kernel[o, m, r, c].double() * whole[m]
        whole = grown
    return whole


def pearson(first: list[float], second: list[float]) -> float:
    means = [sum(part) / len(part) for part in (first, second)]
    a, b = ([value - mean for value in part] for part, mean in zip((first, second), means))
    norm = math.sqrt(sum(v * v for v in a) * sum(v * v for v in b))
    return sum(v * w for v, w in zip(a, b)) / norm if norm else 0.0
