"""Answers to the exercises on importance: right ones in other words than the page's, and typical wrong ones."""
import numpy as np
import torch

from nblib.exercises.importance import check_brightness, check_own_share


def distances(maps, cover, factors, power=1):
    return [((factor * maps - cover).abs() ** power).mean().item() for factor in factors]


RIGHT = [
    (check_own_share, "one minus the mean map's share",
     lambda a: 1 - a.mean(0).var(unbiased=False) / a.var(unbiased=False)),
    (check_own_share, "by sums, in numpy",
     lambda a: np.sum((a.numpy() - a.numpy().mean(0)) ** 2) / np.sum((a.numpy() - a.numpy().mean()) ** 2)),
    (check_brightness, "by a list", lambda a, c, f: f[int(np.argmin(distances(a, c, f)))]),
    (check_brightness, "image by image, then the mean",
     lambda a, c, f: f[int(torch.stack([(x * a - c).abs().mean((1, 2)).mean() for x in f]).argmin())]),
]

WRONG = [
    (check_own_share, "the mean of each image",
     lambda a: (a - a.mean((1, 2), keepdim=True)).square().mean() / a.var(unbiased=False)),
    (check_own_share, "the mean map's share", lambda a: a.mean(0).var(unbiased=False) / a.var(unbiased=False)),
    (check_own_share, "mean square below", lambda a: (a - a.mean(0)).square().mean() / a.square().mean()),
    (check_own_share, "the root", lambda a: ((a - a.mean(0)).square().mean() / a.var(unbiased=False)).sqrt()),
    (check_own_share, "not divided", lambda a: (a - a.mean(0)).square().mean()),
    (check_brightness, "the largest", lambda a, c, f: f[int(np.argmax(distances(a, c, f)))]),
    (check_brightness, "squares", lambda a, c, f: f[int(np.argmin(distances(a, c, f, 2)))]),
    (check_brightness, "no magnitude", lambda a, c, f: min(f, key=lambda x: (x * a - c).mean().item())),
    (check_brightness, "d itself", lambda a, c, f: min(distances(a, c, f))),
    (check_brightness, "always as it is", lambda a, c, f: 1.0),
]
