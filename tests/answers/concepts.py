"""Answers to the exercises on concepts: right ones in other words than the page's, and typical wrong ones."""
import torch

from nblib.exercises.concepts import check_coefficient, check_jansen, check_off, check_purity


def share(maps, part):
    return maps[part].sum() / maps.sum()


RIGHT = [
    (check_coefficient, "through least squares",
     lambda rows, d: torch.linalg.lstsq(d[:, None], rows.T).solution[0].relu()),
    (check_jansen, "sum by sum",
     lambda f, c: torch.stack([((f - row) ** 2).sum() / (2 * len(f) * f.var()) for row in c])),
    (check_purity, "by hand",
     lambda maps, part: (share(maps, part) - part.sum() / part.numel()) / (1 - part.sum() / part.numel())),
    (check_off, "as an outer product", lambda a, u, bank, k: a - torch.outer(u[:, k], bank[k])),
]

WRONG = [
    (check_coefficient, "forgets the length of the direction", lambda rows, d: (rows @ d).relu()),
    (check_coefficient, "normalises the direction only once", lambda rows, d: (rows @ d / d.norm()).relu()),
    (check_coefficient, "lets it be negative", lambda rows, d: rows @ d / (d @ d)),
    (check_jansen, "forgets the two", lambda f, c: (f - c).square().mean(1) / f.var()),
    (check_jansen, "divides the variance by n", lambda f, c: (f - c).square().mean(1) / (2 * f.var(correction=0))),
    (check_jansen, "does not square", lambda f, c: (f - c).abs().mean(1) / (2 * f.var())),
    (check_jansen, "takes the mean over inputs", lambda f, c: (f - c).square().mean() / (2 * f.var())),
    (check_purity, "returns the share", share),
    (check_purity, "forgets what could have been gained", lambda maps, part: share(maps, part) - part.float().mean()),
    (check_purity, "cuts at zero",
     lambda maps, part: ((share(maps, part) - part.float().mean()) / (1 - part.float().mean())).relu()),
    (check_purity, "returns one number an image", lambda maps, part: (maps * part).sum((1, 2)) / maps.sum((1, 2))),
    (check_off, "drops what no concept explains",
     lambda a, u, bank, k: u @ bank - torch.outer(u[:, k], bank[k])),
    (check_off, "keeps the concept alone", lambda a, u, bank, k: torch.outer(u[:, k], bank[k])),
    (check_off, "takes the direction out whole", lambda a, u, bank, k: a - bank[k]),
    (check_off, "sets channels to zero", lambda a, u, bank, k: a * (bank[k] == 0)),
]
