"""The imputation of ROAD against a dense solve and against what must hold."""
import numpy
import pytest
import torch

from nblib.metrics import impute, kept_pixels
from tests.references.road import filled

KINDS = ("noise", "smooth", "relu", "block", "nearly all")


def holes(kind: str, size: tuple[int, int], share: float, seed: int = 0) -> torch.Tensor:
    """Return a mask (H, W), False at the removed pixels: scattered, in blobs, with ties, one block, all but a few."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, 1, *size, generator=generator, dtype=torch.float64)
    if kind == "smooth":
        coarse = torch.rand(1, 1, 4, 4, generator=generator, dtype=torch.float64)
        noise = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")
    if kind == "relu":
        noise = noise.relu()
    keep = torch.ones(size, dtype=torch.bool)
    if kind == "block":
        keep[size[0] // 4 : -2, 2 : size[1] // 2 + 3] = False
    elif kind == "nearly all":
        keep[:] = False
        keep[0, 0] = keep[-1, size[1] // 2] = True
    else:
        keep = kept_pixels(noise[0], [100 * share])[0, 0]
    return keep


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(17, 23), (32, 32)])
def test_imputation_equals_a_dense_solve(kind, size):
    images = torch.rand(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    keep = torch.stack([holes(kind, size, 0.6), holes(kind, size, 0.9, seed=2)])
    for tolerance in (1e-3, 1e-8):
        found = impute(images, keep, noise=0.0, tolerance=tolerance)
        for image, mask, ours in zip(images, keep, found, strict=True):
            error = numpy.abs(filled(image.numpy(), mask.numpy()) - ours.numpy()).max()
            assert error <= tolerance, error
    single = impute(images.float(), keep, noise=0.0)
    assert single.dtype == torch.float32
    assert (single - found).abs().max() <= 1e-3


@pytest.mark.parametrize("size", [(96, 17), (8, 90), (1, 40), (41, 41)])
def test_the_tolerance_holds_in_strips_and_around_single_pixels(size):
    images = torch.rand(3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).expand(5, -1, -1, -1)
    keep = torch.zeros(5, *size, dtype=torch.bool)
    keep[0, size[0] // 2, size[1] // 3 : size[1] // 3 + 2] = True  # two pixels beside each other
    keep[1, :, size[1] // 2] = True  # a column, with most of the image far from it
    keep[2, 0, 0] = keep[2, -1, -1] = True
    keep[3, :: 9, :: 9] = True
    keep[4] = torch.rand(size, generator=torch.Generator().manual_seed(3)) < 0.02
    keep[4, 0, 0] = True
    exact = numpy.stack([filled(image.numpy(), mask.numpy()) for image, mask in zip(images, keep, strict=True)])
    for tolerance in (1e-2, 1e-3, 1e-6):
        assert numpy.abs(impute(images, keep, noise=0.0, tolerance=tolerance).numpy() - exact).max() <= tolerance
        single = impute(images.float(), keep, noise=0.0, tolerance=tolerance)
        assert numpy.abs(single.numpy() - exact).max() <= tolerance


@pytest.mark.parametrize("scale, shift", [(255.0, 0.0), (1e-6, 0.0), (1e6, -3e6)])
def test_imputation_follows_the_range_of_the_images(scale, shift):
    images = torch.rand(2, 3, 20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    keep = torch.stack([holes("noise", (20, 20), 0.7), holes("block", (20, 20), 0)])
    expected = scale * impute(images, keep, noise=0.0) + shift
    found = impute(scale * images + shift, keep, noise=0.0)
    assert ((found - expected).abs() <= 1e-6 * scale).all()


def test_removed_pixels_leave_no_trace_and_the_noise_is_the_same_for_all_images():
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(7))
    keep = holes("smooth", (16, 16), 0.5).expand(2, -1, -1)
    other = torch.where(keep.unsqueeze(1), images, 1e3 * torch.rand(2, 3, 16, 16))
    assert torch.equal(impute(images, keep), impute(other, keep))
    noise = impute(images.double(), keep) - impute(images.double(), keep, noise=0.0)
    assert torch.allclose(noise[0], noise[1], atol=1e-12)
    assert impute(images.half(), keep).dtype == torch.float16


def test_what_is_not_solved_is_said():
    keep = torch.stack([holes("block", (24, 24), 0), torch.ones(24, 24, dtype=torch.bool)])
    images = torch.rand(2, 3, 24, 24)
    images[0] += 3e38  # finite, while their sum is not
    with pytest.raises(RuntimeError, match="1 of 2 images"):
        impute(images, keep)


def test_kept_pixels_stay_and_a_constant_image_stays_constant():
    keep = holes("noise", (16, 16), 0.7).expand(2, -1, -1)
    images = torch.rand(2, 3, 16, 16)
    found = impute(images, keep)
    at = keep.unsqueeze(1).expand_as(images)
    assert torch.equal(found[at], images[at]) and not torch.equal(found, images)
    assert torch.allclose(impute(torch.full_like(images, 0.3), keep, noise=0.0), torch.tensor(0.3), atol=1e-6)


def test_an_affine_image_comes_back_where_no_neighbour_is_missing():
    rows, columns = torch.meshgrid(torch.arange(20.0), torch.arange(24.0), indexing="ij")
    image = ((2 * rows - 3 * columns) / 100).double().expand(1, 1, -1, -1)
    keep = torch.rand(20, 24, generator=torch.Generator().manual_seed(3)) > 0.7
    keep[0], keep[-1], keep[:, 0], keep[:, -1] = True, True, True, True
    assert torch.allclose(impute(image, keep[None], noise=0.0, tolerance=1e-9), image, atol=1e-7)


def test_values_lie_between_the_kept_ones():
    images = torch.rand(3, 3, 24, 24, generator=torch.Generator().manual_seed(4))
    keep = torch.stack([holes(kind, (24, 24), 0.8) for kind in ("noise", "smooth", "nearly all")])
    found = impute(images, keep, noise=0.0)
    for image, mask, ours in zip(images, keep, found, strict=True):
        assert (ours.amin((1, 2)) >= image[:, mask].amin(1) - 1e-3).all()
        assert (ours.amax((1, 2)) <= image[:, mask].amax(1) + 1e-3).all()


def test_an_image_does_not_depend_on_its_batch_order_or_chunk(device):
    images = torch.rand(5, 3, 20, 20, generator=torch.Generator().manual_seed(5)).to(device)
    keep = [holes("noise", (20, 20), 0.1 + 0.2 * n, seed=n) for n in range(4)] + [holes("block", (20, 20), 0)]
    keep = torch.stack(keep).to(device)
    together = impute(images, keep, seed=7)
    alone = torch.cat([impute(images[n : n + 1], keep[n : n + 1], seed=7) for n in range(5)])
    backwards = impute(images.flip(0), keep.flip(0), seed=7).flip(0)
    pieces = impute(images, keep, seed=7, chunk_size=2)
    for other in (alone, backwards, pieces):
        assert torch.allclose(together, other, atol=2e-6)
    assert not torch.allclose(together, impute(images, keep, seed=8), atol=1e-3)


def test_noise_has_the_given_size():
    images, keep = torch.rand(1, 3, 64, 64), holes("noise", (64, 64), 0.5)[None]
    added = impute(images, keep, noise=0.05) - impute(images, keep, noise=0.0)
    assert abs(added[:, :, ~keep[0]].std() - 0.05) < 0.003 and not added[:, :, keep[0]].any()


@pytest.mark.parametrize("change, message", [
    (lambda x, k: (x[0], k), "N, C, H, W"), (lambda x, k: (x, k[:, :5]), "keep"), (lambda x, k: (x, k.float()), "bool"),
    (lambda x, k: (x, torch.zeros_like(k)), "at least one"), (lambda x, k: (x.log() * 0, k), "finite"),
    (lambda x, k: ((x * 255).byte(), k), "float"),
])
def test_imputation_refuses(change, message):
    images, keep = torch.rand(2, 3, 8, 8), torch.rand(2, 8, 8) > 0.5
    images[0, 0, 0, 0] = 0.0
    with pytest.raises(ValueError, match=message):
        impute(*change(images, keep))


@pytest.mark.parametrize("size", [(224, 224), (9, 9), (2, 30), (1, 9), (1, 100), (4, 60)])
def test_the_tolerance_holds_at_the_border(size):
    """A removed corner answers to its residual 2.4 times as strongly as a pixel inside, the end of a row six times."""
    generator = torch.Generator().manual_seed(8)
    images = torch.rand(6, 1, *size, dtype=torch.float64, generator=generator)
    keep = torch.ones(6, *size, dtype=torch.bool)
    keep[:3, 0, 0] = False
    keep[1, -1, -1] = False
    keep[3:] = torch.rand(3, *size, generator=generator) > min(0.5, 300 / (size[0] * size[1]))
    keep[3:, 0, size[1] // 2] = True
    for scale in (1e-4, 1e-2, 1.0):  # how far the hole's own value is from the mean that the solver starts with
        near = 0.5 + scale * (images - 0.5)
        near[:, :, -1, size[1] // 2], near[:, :, 0, size[1] // 2] = 0.0, 1.0
        exact = numpy.stack([filled(image.numpy(), mask.numpy()) for image, mask in zip(near, keep, strict=True)])
        for tolerance in (0.3, 0.03, 1e-3):
            found = impute(near, keep, noise=0.0, tolerance=tolerance).numpy()
            assert numpy.abs(found - exact).max() <= tolerance
