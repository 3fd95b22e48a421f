"""CRAFT: what directions a layer uses for a class, where they are in an image, and how much they matter to a logit."""
import warnings
from collections.abc import Callable, Sequence

import numpy
import torch
from torch import Tensor, nn
from torch.nn import functional

from nblib.checks import expect_int, expect_kind, expect_number, expect_one_of, expect_tensor
from nblib.engine import (
    Head,
    channel_axis_of,
    check_inputs,
    chunks,
    exactly,
    expect_finite,
    logit_after,
    nonnegative_output,
    pools_first,
    precise,
    refuse_repeated,
    slope_if_affine,
)
from nblib.hooks import find
from nblib.methods.concepts.crops import Crop, cut
from nblib.methods.concepts.importance import exact_indices, mask_response, total_indices, varied_activations
from nblib.methods.concepts.nonnegative import express, factorize

SAMPLED = {"sobol": ("sobol", 512), "published": ("halton", 32)}  # the estimators that sample: design and samples
PROBES = 4  # images on which it is found out what follows the layer


class Craft:
    r"""Concepts of a layer: directions W, nowhere negative, of which the mean activations A of crops are made.

    .. math:: A\approx UW,\qquad A\ (P\times C),\quad U\ (P\times r)\ge0,\quad W\ (r\times C)\ge0

    Args:
        model: in evaluation mode, (N, C, H, W) → logits (N, K).
        layer: a layer that runs once, with an output (N, C, h, w) that is nowhere negative, as after a ReLU. One of
            (N, h, w, C) is taken as it is too, where what made it tells the channels (see `nblib.engine.channel_axis`).
        crop: the side of a crop as a share of the image's, in (0, 1]; crops are four fifths of their side apart.
        n_concepts: r, from 1 up.
        seed: fixes the factorisation and the points of the "sobol" estimator.
        chunk_size: as in `nblib.methods.concepts`, like `images` and `label` in what follows.

    Attributes:
        bank: W, (r, C), after `fit`. The order of concepts has no meaning; `match_concepts` pairs those of two fits.
        crop_coefficients: U, (P, r), after `fit`; crop number p is at place p // N of image p % N.
        boxes: (P / N, 4), after `fit`: the top, left, bottom and right of each place, in pixels.
        reconstruction_error: :math:`\|A-UW\|/\|A\|`, after `fit`.

    Raises:
        KeyError: a layer that is not there, with the nearest names.
        ValueError: an option out of its range.

    Source: Fel et al. (2023); P2, appendix C, where crops are 64 of 224 pixels. As in P2, concepts are not split
    recursively.
    """

    def __init__(self, model: nn.Module, layer: str, *, crop: float = 0.29, n_concepts: int = 10, seed: int = 0,
                 chunk_size: int | None = None):
        find(model, layer)
        self.model, self.layer, self.chunk_size = model, layer, chunk_size
        self.crop, self.n_concepts = expect_number("crop", crop, 0, 1), expect_int("n_concepts", n_concepts, 1)
        self.seed = expect_int("seed", seed, 0, 2**32 - 1)
        if chunk_size is not None:
            expect_int("chunk_size", chunk_size, 1)
        self.bank: Tensor | None = None

    @torch.no_grad()
    def fit(self, images: Tensor) -> "Craft":
        r"""Find the concepts of images, for example of those that the model takes for one class; return itself.

        Each crop is enlarged to the image's size, bilinearly, sent up to the layer, and its activations are averaged
        over places: one row of A, which `factorize` makes a product.

        Raises:
            ValueError: a model in training mode; images that are not finite; crops without a pixel; a layer of another
                shape, with negative values, or that runs several times; more concepts than crops or channels.
        """
        check_inputs(self.model, images)
        refuse_repeated(self.model, self.layer, images[:1])
        self.axis = channel_axis_of(self.model, self.layer, images[:1])
        crops, boxes = cut(images, self.crop)
        across = crops.shape[3]

        def enlarged(place: Tensor, image: Tensor) -> Tensor:
            rows = crops[image, :, place // across, place % across]
            return functional.interpolate(rows, size=images.shape[2:], mode="bilinear", align_corners=False)

        pieces = chunks(images, len(boxes), self.chunk_size)
        outputs = (self._output(enlarged(place, image)) for place, image in pieces)
        pooled = torch.cat([precise(output).mean((2, 3)) for output in outputs])
        self.crop_coefficients, self.bank = factorize(pooled, self.n_concepts, seed=self.seed)
        self.boxes = boxes
        with exactly(pooled):
            residual = pooled - self.crop_coefficients @ self.bank
        self.reconstruction_error = (residual.norm() / pooled.norm()).item()
        return self

    def crops_of(self, concept: int, count: int = 10) -> list[Crop]:
        """Return up to `count` crops of the images of `fit` with the largest coefficients of a concept, largest first.

        Crops that have nothing of the concept are left out. `images[crop.image, :, top:bottom, left:right]` shows one.
        """
        self._refuse_unfitted()
        own = self.crop_coefficients[:, expect_int("concept", concept, 0, self.n_concepts - 1)]
        best = own.argsort(descending=True, stable=True)[: expect_int("count", count, 1)]
        images, boxes = len(own) // len(self.boxes), self.boxes.tolist()
        return [Crop(p % images, tuple(boxes[p // images]), own[p].item()) for p in best.tolist() if own[p] > 0]

    @torch.no_grad()
    def coefficients(self, images: Tensor) -> Tensor:
        r"""How much of each concept is at each place, :math:`u=\arg\min_{u\ge0}\|A-uW\|^2` for every place by itself.

        The images may be any, not only those of `fit`.

        Returns:
            (N, r, h, w), ≥ 0, the exact optimum.

        Raises:
            RuntimeError: before `fit`.
            ValueError: as `fit`.

        Source: P2's code, where scikit-learn's descent ends at 200 rounds.
        """
        self._refuse_unfitted()
        check_inputs(self.model, images)
        pieces = chunks(images, 1, self.chunk_size)
        outputs = (self._output(images[image]) for _, image in pieces)
        return torch.cat([express(output, self.bank) for output in outputs])

    def _output(self, rows: Tensor) -> Tensor:
        """Return the layer's output for rows of pixels, its channels first."""
        return nonnegative_output(self.model, self.layer, rows, self.axis)

    def maps(self, images: Tensor) -> Tensor:
        """Where each concept is in the image: `coefficients`, enlarged bilinearly to (N, r, H, W).

        `above_percentile` keeps what P2's authors show.
        """
        return functional.interpolate(self.coefficients(images), size=images.shape[2:], mode="bilinear")

    def contributions(self, images: Tensor, label: int) -> Tensor:
        r"""What each concept adds to a logit that is affine in the layer's activation.

        .. math:: f(A)=b+\langle g,A\rangle=b+\sum_rs_r+\langle g,A-uW\rangle,\qquad
            s_r=\sum_{\text{places}}u_r\,(W_r\cdot g)

        Affine are average pooling with a linear layer, where :math:`s_r=\bar u_r\,(W_r\cdot w_c)`, and a linear layer
        on all places. It is tried, not assumed: the gradient at one activation has to predict the logit at many others.

        Returns:
            (N, r), in logits: above zero speaks for the class, below zero against it.

        Raises:
            RuntimeError: before `fit`.
            ValueError: as `fit`; no such class; a layer that does not cut the network; a logit that is not affine;
                images in half precision, whose rounding would hide that.
        """
        head, coefficients, varied = self._opened(images, label)
        slope = slope_if_affine(head, varied)
        if slope is None:
            raise ValueError(
                f"logit {label} is not affine in the output of layer {self.layer!r}, so contributions and estimator "
                "'exact' do not apply: use estimator='sobol', or the last layer before average pooling and a linear one"
            )
        with exactly(slope):
            return torch.einsum("nrhw,rhw->nr", coefficients, torch.einsum("rc,chw->rhw", self.bank, slope))

    def importance(self, images: Tensor, label: int, *, estimator: str = "exact", samples: int | None = None) -> Tensor:
        """Return the mean over images of `image_importance`, (r,); images without an index are counted in a warning.

        Arguments, errors and source: as in `image_importance`. All NaN if no image has an index.
        """
        indices = self.image_importance(images, label, estimator=estimator, samples=samples)
        without = int(indices.isnan().any(1).sum())
        if without:
            warnings.warn(f"in {without} of {len(indices)} images no concept moves logit {label}; the mean is over the "
                          "others", stacklevel=2)
        return indices.nanmean(0)

    def image_importance(
        self, images: Tensor, label: int, *, estimator: str = "exact", samples: int | None = None
    ) -> Tensor:
        r"""Total Sobol indices of a logit under masks of the concepts, :math:`f(m)=h\big((u\odot m)W\big)_c`.

        Each concept is turned down at all places by its own mask, uniform in [0, 1]; its index is the share of the
        variance of f that would be left if all other masks were known.

        Args:
            estimator: "exact", :math:`s_r^2/\sum_qs_q^2` of the `contributions`; "sobol", Jansen's estimate from
                scrambled Sobol' points, for any network that the layer cuts; "published", Jansen's estimate from Halton
                points that are not scrambled: too small, by a factor that depends on the number of the concept.
            samples: n of "sobol" (None: 512; a power of two from 32 up) and of "published" (None: 32). One image costs
                n (r + 1) passes of what follows the layer, or next to nothing if that begins with average pooling.

        Returns:
            (N, r), from 0 up; NaN for an image in which no concept moves the logit.

        Raises:
            RuntimeError: before `fit`.
            ValueError: as `contributions`, which only "exact" needs to be affine; an unknown estimator; samples that do
                not fit.

        Source: P2's code for "published", where the mean over images is the importance; "exact" is ours.
        """
        expect_one_of("estimator", estimator, ("exact", *SAMPLED))
        if estimator == "exact":
            if samples is not None:
                raise ValueError(f"samples={samples!r} was given, estimator 'exact' has none; 'sobol' has")
            return exact_indices(self.contributions(images, label))
        head, coefficients, _ = self._opened(images, label)

        def responses(masks: Tensor) -> Tensor:  # (M, N)
            return mask_response(head, coefficients, self.bank, masks, chunk_size=self.chunk_size)

        design, usual = SAMPLED[estimator]
        samples = usual if samples is None else samples
        indices = total_indices(responses, self.n_concepts, design=design, samples=samples, seed=self.seed)
        return indices.T.to(coefficients)

    def _opened(self, images: Tensor, label: int) -> tuple[Head, Tensor, Tensor]:
        """Return what follows the layer, coefficients, and activations to try it on: their means if it begins so."""
        coefficients = self.coefficients(images)
        if torch.finfo(coefficients.dtype).bits < 32:
            raise ValueError(f"images of {coefficients.dtype} were given; what concepts do to a logit is lost in its "
                             "rounding: give the model and the images in float32 or float64")
        few = torch.linspace(0, len(images) - 1, min(len(images), PROBES)).long().to(images.device)
        head, activations = logit_after(self.model, self.layer, images[few], label, chunk_size=self.chunk_size)
        varied = varied_activations(activations, coefficients[few], self.bank)
        if pools_first(head, varied):
            coefficients, varied = (tensor.mean((2, 3), keepdim=True) for tensor in (coefficients, varied))
        return head, coefficients, varied

    def _refuse_unfitted(self) -> None:
        """Refuse to speak of concepts before there are any."""
        if self.bank is None:
            raise RuntimeError("there are no concepts yet: call fit(images) first")


def switch_off(craft: Craft, concepts: int | Sequence[int]) -> Callable[[Tensor], Tensor]:
    r"""An intervention that takes concepts out of a layer, :math:`A\mapsto A-\sum_{r\in\text{concepts}}u_rW_r`.

    What the other concepts make up stays, and what no concept explains, :math:`A-uW`. Nothing is clipped, so where a
    concept overshoots, an activation may fall below zero; in return a logit that is affine in the activation drops by
    exactly :math:`\sum s_r`, the `contributions`.

    Args:
        craft: fitted.
        concepts: one number, or several, from 0 to r − 1.

    Returns:
        A function of activations as the layer has them, for `edit(model, {craft.layer: switch_off(craft, 3)})`.

    Raises:
        RuntimeError: before `fit`.
        ValueError: no such concept.
    """
    expect_kind("craft", craft, Craft)
    craft._refuse_unfitted()
    several = concepts if isinstance(concepts, (list, tuple, range)) else [concepts]
    chosen = [expect_int("concept", concept, 0, craft.n_concepts - 1) for concept in dict.fromkeys(several)]

    def without(output: Tensor) -> Tensor:
        activations = precise(output).movedim(craft.axis, 1)
        weights = express(activations, craft.bank)[:, chosen]
        with exactly(output):
            taken = torch.einsum("nrhw,rc->nchw", weights, craft.bank[chosen].to(activations))
        return (activations - taken).movedim(1, craft.axis).to(output.dtype)

    return without


def above_percentile(maps: Tensor, percentile: float = 90) -> Tensor:
    r"""Keep each concept's largest values and set the rest to zero, as P2's authors do before they show a map.

    Args:
        maps: (N, r, ...), coefficients or maps.
        percentile: 0 to 100; for each concept over all images and places.

    Returns:
        The same shape. The authors do it to `coefficients` and enlarge afterwards.

    Raises:
        ValueError: fewer than three dimensions, no values or some that are not finite, or a percentile out of range.

    Source: P2's code.
    """
    expect_number("percentile", percentile, 0, 100)
    if expect_tensor("maps", maps).ndim < 3 or not maps.numel():
        raise ValueError(f"maps of shape {tuple(maps.shape)} were given, expected (N, r, ...), not empty")
    expect_finite("maps of images", maps)
    by_concept = maps.detach().transpose(0, 1).flatten(1)  # (r, N · places)
    known = precise(by_concept).cpu().numpy()  # numpy has no bfloat16
    edge = numpy.percentile(known, percentile, axis=1)  # torch.quantile stops at 16 million values
    edge = torch.from_numpy(edge).to(maps).view(-1, *[1] * (maps.ndim - 2))
    return torch.where(maps >= edge, maps, 0.0)
