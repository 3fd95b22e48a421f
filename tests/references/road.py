"""Noisy linear imputation from its equation: one image, one equation for each removed pixel, a dense solve."""
import numpy


def filled(image: numpy.ndarray, keep: numpy.ndarray) -> numpy.ndarray:
    """Return an image (C, H, W) whose removed pixels, False in keep (H, W), are weighted means of their neighbours."""
    height, width = keep.shape
    removed = [(i, j) for i in range(height) for j in range(width) if not keep[i, j]]
    number = {place: n for n, place in enumerate(removed)}
    matrix, right = numpy.zeros((len(removed), len(removed))), numpy.zeros((len(removed), len(image)))
    for (i, j), n in number.items():
        for k in range(max(i - 1, 0), min(i + 2, height)):
            for m in range(max(j - 1, 0), min(j + 2, width)):
                if (k, m) == (i, j):
                    continue
                weight = 1 / 6 if k == i or m == j else 1 / 12
                matrix[n, n] += weight
                if keep[k, m]:
                    right[n] += weight * image[:, k, m]
                else:
                    matrix[n, number[k, m]] -= weight
    result = image.copy()
    for place, value in zip(removed, numpy.linalg.solve(matrix, right), strict=True):
        result[:, place[0], place[1]] = value
    return result
