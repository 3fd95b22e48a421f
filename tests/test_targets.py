"""Targets against their formulas, in any copy and order of images, and what they refuse."""
import math

import pytest
import torch

from nblib import targets


def some_logits(count=4, classes=5, seed=0):
    return torch.randn(count, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LABELS = torch.tensor([4, 0, 2, 2])
FORMULAS = {
    "class_logit": (targets.class_logit(LABELS), lambda z, y: z[y]),
    "class_probability": (targets.class_probability(LABELS), lambda z, y: math.exp(z[y]) / sum(map(math.exp, z))),
    "max_logit": (targets.max_logit(), lambda z, y: max(z)),
    "top_k_sum": (targets.top_k_sum(3), lambda z, y: sum(sorted(z)[-3:])),
    "entropy": (
        targets.entropy(),
        lambda z, y: math.log(sum(map(math.exp, z))) - sum(v * math.exp(v) for v in z) / sum(map(math.exp, z)),
    ),
    "contrast": (targets.contrast(), lambda z, y: sorted(z)[-1] - sorted(z)[-2]),
    "contrast of two": (targets.contrast(LABELS, 1), lambda z, y: z[y] - z[1]),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_target_equals_its_formula(name):
    target, formula = FORMULAS[name]
    logits = some_logits()
    expected = [formula(row, label) for row, label in zip(logits.tolist(), LABELS.tolist())]
    torch.testing.assert_close(target(logits), torch.tensor(expected, dtype=torch.float64))


def test_surprisal_equals_the_gaussian_formula():
    mean, root = some_logits(1)[0], some_logits(5, seed=1)
    covariance = root @ root.T + torch.eye(5)
    responses = some_logits(seed=2)
    away = responses - mean
    expected = torch.einsum("ni,ij,nj->n", away, covariance.inverse(), away) / 2
    torch.testing.assert_close(targets.surprisal(mean, covariance)(responses), expected)
    assert targets.surprisal(mean, covariance)(mean.unsqueeze(0)).item() == 0


def test_one_label_serves_all_images():
    logits = some_logits()
    assert torch.equal(targets.class_logit(3)(logits), logits[:, 3])


@pytest.mark.parametrize("name", FORMULAS)
def test_evaluate_gives_each_row_the_target_of_its_image(name):
    target, _ = FORMULAS[name]
    index = torch.tensor([2, 0, 3, 2, 2, 1, 0])  # any order, any number of times
    rows = some_logits(7, seed=3)
    expected = []
    for row, image in zip(rows, index.tolist()):
        whole = some_logits(seed=9)
        whole[image] = row
        expected.append(target(whole)[image])
    values = targets.evaluate(target, rows, index, 4)
    torch.testing.assert_close(values, torch.stack(expected))
    assert targets.evaluate(target, rows[:0], index[:0], 4).shape == (0,)


@pytest.mark.parametrize("name", FORMULAS)
def test_evaluate_passes_the_gradient_to_its_rows(name):
    target, _ = FORMULAS[name]
    logits = some_logits().requires_grad_()
    index = torch.tensor([3, 1, 0, 2])
    expected = torch.autograd.grad(target(logits).sum(), logits)[0]
    values = targets.evaluate(target, logits[index], index, 4)
    torch.testing.assert_close(torch.autograd.grad(values.sum(), logits)[0], expected)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: targets.class_logit(torch.tensor([0, 1, 5, 0])), "label 5 was given, the model has 5 classes: 0 to 4"),
        (lambda: targets.class_logit(-1), "label -1 was given"),
        (lambda: targets.class_logit(torch.tensor([0, 1])), "labels of shape \\(2,\\) were given, expected one"),
        (lambda: targets.class_probability(torch.rand(4)), "labels of type torch.float32"),
        (lambda: targets.class_probability(LABELS[:, None]), "labels of shape \\(4, 1\\)"),
        (lambda: targets.top_k_sum(0), "k=0 was given, expected a whole number from 1 to 5"),
        (lambda: targets.top_k_sum(6), "k=6 was given"),
        (lambda: targets.contrast(1), "no class or two"),
        (lambda: targets.contrast(1, 7), "label 7"),
        (lambda: targets.surprisal(torch.zeros(5), torch.zeros(4, 4)), "expected \\(K,\\) and \\(K, K\\)"),
        (lambda: targets.surprisal(torch.zeros(5), -torch.eye(5)), "not positive definite"),
        (lambda: targets.surprisal(torch.zeros(3), torch.eye(3)), "responses of 5 units were given, the mean has 3"),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()(some_logits())


@pytest.mark.parametrize("target, given", [(lambda z: z, "shape \\(4, 5\\)"), (lambda z: z.sum(), "shape \\(\\)"),
                                           (lambda z: 3.0, "float")])
def test_a_target_of_another_shape_is_refused(target, given):
    with pytest.raises(ValueError, match=f"the target returned {given}, expected a tensor \\(4,\\)"):
        targets.evaluate(target, some_logits(), torch.arange(4), 4)
