"""What a path is chosen by: each criterion says how good every neuron of the next layer is for every path so far."""
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.autograd.forward_ad as forward
from torch import Tensor

from nblib.engine import exactly, forward_mode, logits_of, precise, unpacked
from nblib.hooks import capture, edit
from nblib.methods.neuron_paths.batches import Batch, drawn
from nblib.methods.neuron_paths.scores import knowledge
from nblib.methods.neuron_paths.slopes import block_of_each_layer, slopes_for
from nblib.models.vit import vit_parts


@dataclass(frozen=True)
class Options:
    """What a search was told beside its batch; each criterion reads what it needs.

    Attributes:
        candidates: of joint attribution, "layer_scaled" or "layer_clean".
        rerank: of joint attribution, how many of a layer's candidates get their exact score, 0 for none.
        start: of mean gradient and influence pattern, the baseline images (N, C, H, W).
        seed: of random paths.
        numbers: of random paths, the place of each image among all that were given, (N,).
    """

    candidates: str
    rerank: int
    start: Tensor
    seed: int
    numbers: Tensor


class Criterion(Protocol):
    """What a search asks. It holds P partial paths, each of one image; n neurons are in the next layer."""

    def scores(self) -> Tensor:
        """Return how good each neuron of the next layer would be for each path, (P, n), the larger the better."""

    def extend(self, parents: Tensor, chosen: Tensor) -> None:
        """Go on with paths `parents` (Q,) to which neurons `chosen` (Q,) of the next layer are added."""

    def final(self, parents: Tensor, chosen: Tensor) -> Tensor:
        """Return the criterion (Q,) of complete paths, before `extend` adds the last layer."""


class JointAttribution:
    """P1's score: (sum of the path's activations) × (its mean sum of slopes), in each token.

    Candidates are screened all at once; the best `rerank` of them, if any, then get their exact score.
    """

    def __init__(self, batch: Batch, candidates: str, rerank: int):
        self.batch, self.candidates, self.rerank = batch, candidates, rerank
        self.paths = slopes_for(batch)
        self.number = 0
        self.activation = batch.zeros(*batch.clean[0].shape[:2])  # of each path, summed over its layers, (P, τ)

    def scores(self) -> Tensor:
        of_layer, of_path = self.paths.slopes(self.candidates)
        values = precise(self.batch.clean[self.number][self.paths.image])  # (P, τ, n)
        screened = ((self.activation[:, :, None] + values) * (of_path[:, :, None] + of_layer)).sum(1)
        if not self.rerank:
            return screened
        best = screened.topk(self.rerank).indices  # (P, rerank)
        parents = torch.arange(len(best), device=best.device).repeat_interleave(self.rerank)
        exact = self.final(parents, best.flatten()).view_as(best)
        return torch.full_like(screened, -torch.inf).scatter(1, best, exact)

    def final(self, parents: Tensor, chosen: Tensor) -> Tensor:
        return (self._activation(parents, chosen) * self.paths.joint_slopes(parents, chosen)).sum(1)

    def extend(self, parents: Tensor, chosen: Tensor) -> None:
        self.activation = self._activation(parents, chosen)
        self.paths.extend(parents, chosen)
        self.number += 1

    def _activation(self, parents: Tensor, chosen: Tensor) -> Tensor:
        """Return the summed activations (Q, τ) of paths that are one neuron longer."""
        new = self.batch.clean[self.number][self.paths.image[parents], :, chosen]  # (Q, τ), no copy of whole layers
        return self.activation[parents] + precise(new)


class LayerByLayer:
    """A value of each neuron by itself, (N, n) a layer, whatever the path before it; a path has the sum."""

    def __init__(self, batch: Batch, values: list[Tensor]):
        self.values, self.number = values, 0
        self.image = batch.everyone
        self.total = batch.zeros(len(batch.images))

    def scores(self) -> Tensor:
        return self.total[:, None] + self.values[self.number][self.image]

    def final(self, parents: Tensor, chosen: Tensor) -> Tensor:
        return self.total[parents] + self.values[self.number][self.image[parents], chosen]

    def extend(self, parents: Tensor, chosen: Tensor) -> None:
        self.total, self.image = self.final(parents, chosen), self.image[parents]
        self.number += 1


class InfluencePattern:
    r"""Equation 9: the mean over the way from a baseline image of the product of slopes from neuron to neuron.

    The first factor is the slope of the first layer's neuron along :math:`x-x_0`. Each next one is the slope with
    respect to the neuron before it, in forward mode, with all other neurons of that layer held fixed; the pattern ends
    at the last layer's neuron. With several tokens the neuron before moves in all of them, and the slopes of the next
    are summed.
    """

    def __init__(self, batch: Batch, start: Tensor):
        self.batch, self.start, self.number = batch, start, 0
        self.image = batch.everyone
        self.product = batch.zeros(len(self.image), len(batch.points)) + 1  # of each path at each point, (P, m)
        self.before = None  # the neuron of each path in the layer before, (P,)

    def scores(self) -> Tensor:
        self.slopes = self._slopes()  # (P, m, n)
        with exactly(self.product):
            return torch.einsum("s,ps,psn->pn", self.batch.weights, self.product, self.slopes)

    def final(self, parents: Tensor, chosen: Tensor) -> Tensor:
        with exactly(self.product):
            return self._product(parents, chosen) @ self.batch.weights

    def extend(self, parents: Tensor, chosen: Tensor) -> None:
        self.product, self.image = self._product(parents, chosen), self.image[parents]
        self.before = chosen
        self.number += 1

    def _product(self, parents: Tensor, chosen: Tensor) -> Tensor:
        """Return the products of slopes (Q, m) of paths that are one neuron longer."""
        new = self.slopes[parents].gather(2, chosen[:, None, None].expand(-1, self.product.shape[1], 1)).squeeze(2)
        return self.product[parents] * new

    def _slopes(self) -> Tensor:
        """Return the slopes of the next layer's neurons at each point, (P, m, n)."""
        batch, layer = self.batch, self.batch.layers[self.number]
        found = []
        for path, step in batch.pieces(len(self.image)):
            with forward_mode():
                x, way = on_the_way(batch, self.start, self.image[path], step)
                if self.number:
                    edits = {batch.layers[self.number - 1]: self._moved(self.before[path])}
                else:
                    x, edits = forward.make_dual(x, way), {}
                with edit(batch.model, edits), capture(batch.model, [layer]) as tensors:
                    logits_of(batch.model, x)
                _, tangent = unpacked(tensors[layer])
            found.append(precise(tangent[:, batch.tokens]).sum(1))
        return torch.cat(found).unflatten(0, (len(self.image), -1))

    def _moved(self, chosen: Tensor) -> Callable[[Tensor], Tensor]:
        """Return an edit that lets the chosen neuron of each row, (R,), move at unit speed in the tokens looked at."""

        def move(neurons: Tensor) -> Tensor:
            speed = torch.zeros_like(neurons)
            speed[torch.arange(len(chosen), device=chosen.device), self.batch.tokens, chosen] = 1
            return forward.make_dual(neurons, speed)

        return move


class CarriedInfluencePattern(InfluencePattern):
    """The same for a known ViT. Nothing is clamped, so the tokens are carried along, and a slope takes one block."""

    def __init__(self, batch: Batch, start: Tensor, places: list[int]):
        super().__init__(batch, start)
        self.blocks, self.places = vit_parts(batch.model).blocks, places  # places: the block of each layer
        # of each path and point, the tokens behind the attention of a layer's block, (P, m, T, D): that of the last
        # layer of the paths, and that of the next one
        self.state = self.reached = None

    def extend(self, parents: Tensor, chosen: Tensor) -> None:
        super().extend(parents, chosen)
        self.state = self.reached[parents]

    def _slopes(self) -> Tensor:
        batch, place = self.batch, self.places[self.number]
        found, reached = [], []
        for path, step in batch.pieces(len(self.image)):
            with forward_mode():
                x, behind = self._moving(path, step)
                for block in self.blocks[behind:place]:
                    x = block(x)
                x = self.blocks[place].attention(x)
                tangent = forward.unpack_dual(self.blocks[place].neurons(x[:, batch.tokens])).tangent
                reached.append(forward.unpack_dual(x).primal)
            found.append(precise(tangent).sum(1))
        self.reached = torch.cat(reached).unflatten(0, (len(self.image), -1))
        return torch.cat(found).unflatten(0, (len(self.image), -1))

    def _moving(self, path: Tensor, step: Tensor) -> tuple[Tensor, int]:
        """Return the tokens of rows (R,) that move at unit speed, and the block in front of which they are."""
        if self.number == 0:
            x = forward.make_dual(*on_the_way(self.batch, self.start, self.image[path], step))
            return vit_parts(self.batch.model).embed(x), 0
        before = self.places[self.number - 1]
        block, x = self.blocks[before], self.state[path, step]
        return block.mlp_out(x, self._moved(self.before[path])(block.neurons(x))), before + 1


def on_the_way(batch: Batch, start: Tensor, image: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Return images (R, C, H, W) on the way from their baseline images, and that whole way; image and step (R,)."""
    way = batch.images[image] - start[image]
    return start[image] + batch.points[step, None, None, None].to(way) * way, way


def influence_pattern(batch: Batch, start: Tensor) -> InfluencePattern:
    """Return the criterion of equation 9, by the quickest way that the model allows."""
    places = block_of_each_layer(batch)
    return InfluencePattern(batch, start) if places is None else CarriedInfluencePattern(batch, start, places)


def activation(batch: Batch) -> list[Tensor]:
    """Return the clean activation of each neuron, summed over tokens, (N, n) a layer: P1's equations 7 and 8."""
    return [precise(clean).sum(1) for clean in batch.clean]


def mean_gradient(batch: Batch, start: Tensor) -> list[Tensor]:
    """Return the mean slope of each neuron on the way from a baseline image, summed over tokens, (N, n) a layer.

    This is what the authors' code computes under the name of influence pattern; nothing is clamped in it.
    """
    totals = [batch.zeros(len(clean), clean.shape[2]) for clean in batch.clean]
    for image, step in batch.pieces(len(batch.images)):
        x, _ = on_the_way(batch, start, image, step)
        with capture(batch.model, batch.layers) as tensors:
            values = batch.probability(logits_of(batch.model, x.requires_grad_()), image)
        neurons = [tensors[layer] for layer in batch.layers]
        for total, slope in zip(totals, torch.autograd.grad(values.sum(), neurons, materialize_grads=True)):
            total.index_add_(0, image, batch.weights[step, None] * precise(slope[:, batch.tokens]).sum(1))
    return totals


CRITERIA: dict[str, Callable[[Batch, Options], Criterion]] = {
    "joint_attribution": lambda batch, given: JointAttribution(batch, given.candidates, given.rerank),
    "activation": lambda batch, given: LayerByLayer(batch, activation(batch)),
    "mean_gradient": lambda batch, given: LayerByLayer(batch, mean_gradient(batch, given.start)),
    "influence_pattern": lambda batch, given: influence_pattern(batch, given.start),
    "integrated_gradients": lambda batch, given: LayerByLayer(batch, knowledge(batch)),
    "random": lambda batch, given: LayerByLayer(batch, drawn("random paths", given.seed, given.numbers, batch.clean)),
}
