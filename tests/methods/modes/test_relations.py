"""Correlations with classes from the sums of classes, and the channels of a mode."""
import pytest
import torch

from nblib.methods.modes import class_correlation, mode_channels
from tests.references.modes import correlations


@pytest.mark.parametrize("shift", [0.0, 1e3])
def test_class_sums_give_the_whole_product(shift):
    generator = torch.Generator().manual_seed(0)
    loadings = torch.rand(200, 7, generator=generator, dtype=torch.float64) + shift
    labels = torch.randint(5, (200,), generator=generator)
    loadings[:, 2] += (labels == 3)
    r = class_correlation(loadings, labels)
    torch.testing.assert_close(r, torch.from_numpy(correlations(loadings, labels)), atol=1e-9, rtol=0)
    torch.testing.assert_close(class_correlation(3 - 5 * loadings, labels), -r, atol=1e-8, rtol=0)
    assert r[2].argmax() == 3


def test_the_ends_and_what_does_not_vary():
    labels = torch.tensor([0, 1, 3, 0, 1, 3])
    loadings = torch.stack([(labels == 3).float(), -(labels == 3).float(), torch.full((6,), 0.3)], 1)
    r = class_correlation(loadings, labels)
    assert r.shape == (3, 4) and r.dtype == torch.float32
    torch.testing.assert_close(r[:, 3], torch.tensor([1.0, -1.0, 0.0]))
    assert (r[:, 2] == 0).all() and (r[2] == 0).all()  # a class without images, a mode that is constant
    assert torch.equal(class_correlation(loadings, labels, classes=6)[:, :4], r)
    with pytest.raises(ValueError, match="label 3"):
        class_correlation(loadings, labels, classes=3)
    assert (class_correlation(loadings, torch.zeros(6, dtype=torch.long)) == 0).all()


@pytest.mark.parametrize("loadings, labels, message", [
    (torch.ones(4), torch.zeros(4, dtype=torch.long), r"expected \(N, M\)"),
    (torch.ones(0, 3), torch.zeros(0, dtype=torch.long), "not empty"),
    (torch.ones(4, 2), torch.zeros(3, dtype=torch.long), r"expected \(4,\)"),
    (torch.ones(4, 2), torch.zeros(4), "whole numbers"), (torch.ones(4, 2), torch.tensor([0, 1, -1, 0]), "label -1"),
    (torch.tensor([[1.0], [torch.nan]]), torch.zeros(2, dtype=torch.long), r"\[1\] have values that are not finite"),
])
def test_wrong_loadings_and_labels_are_refused(loadings, labels, message):
    with pytest.raises(ValueError, match=message):
        class_correlation(loadings, labels)


def test_the_channels_of_a_mode_are_its_largest():
    mode = torch.tensor([0.1, 0.7, -2.0, 0.7, 0.0])
    assert mode_channels(mode, 0.6).tolist() == [1, 3, 0]
    assert mode_channels(mode, 0).tolist() == [] and sorted(mode_channels(mode, 1).tolist()) == [0, 1, 2, 3, 4]
    assert mode_channels(mode, 0.29).tolist() == [1]
    for wrong, message in ((mode[None], r"expected \(C,\)"), (mode * torch.nan, "not finite")):
        with pytest.raises(ValueError, match=message):
            mode_channels(wrong, 0.5)
    with pytest.raises(ValueError, match="share=1.5"):
        mode_channels(mode, 1.5)
