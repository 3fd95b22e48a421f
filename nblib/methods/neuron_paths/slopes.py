"""Slopes of the probability along a path's neurons: by full passes of any model, or carried along through a known ViT.

`RecomputedSlopes` and `CarriedSlopes` have the same methods and give the same numbers. Both hold P partial paths, each
of one image, and know the layer that comes next; τ tokens are looked at, n neurons are in that layer, and every slope
is a mean over the m points between 0 and 1 to which the path's neurons are scaled.
"""
from collections.abc import Callable

import torch
import torch.autograd.forward_ad as forward
from torch import Tensor

from nblib.engine import forward_mode, logits_of, precise, unpacked
from nblib.hooks import edit
from nblib.methods.neuron_paths.batches import Batch
from nblib.models.vit import has_hooks, has_vit_parts, vit_parts


def of_neuron(values: Tensor, chosen: Tensor) -> Tensor:
    """Return one neuron's values (R, τ, 1) for each row of (R, τ, n); chosen (R,)."""
    return values.gather(2, _in_all_tokens(values, chosen))


def _in_all_tokens(values: Tensor, chosen: Tensor) -> Tensor:
    """Return chosen (R,) as an index (R, τ, 1) into values (R, τ, n)."""
    return chosen[:, None, None].expand(-1, values.shape[1], 1)


def _scaled(values: Tensor, chosen: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Scale the chosen neuron of each row of (R, τ, n) to a share (R,); return all, and the neuron alone, a leaf."""
    neuron = (of_neuron(values, chosen) * shares[:, None, None].to(values)).requires_grad_()
    return values.scatter(2, _in_all_tokens(values, chosen), neuron), neuron


def clamp(tokens: slice, values: Tensor) -> Callable[[Tensor], Tensor]:
    """Return an edit that puts values (R, τ, n) into the tokens that are looked at."""

    def put(neurons: Tensor) -> Tensor:
        neurons[:, tokens] = values
        return neurons

    return put


def path_edits(batch: Batch, image: Tensor, neurons: Tensor, shares: Tensor) -> tuple[dict, list[Tensor]]:
    """Return the edits that clamp the layers of paths, and what is left of their neurons, (R, τ, 1) a layer, leaves.

    For R rows: image (R,), neurons (R, l) of the first l layers, and the shares (R,) of their clean values.
    """
    edits, leaves = {}, []
    for layer, clean, chosen in zip(batch.layers, batch.clean, neurons.unbind(1)):
        values, leaf = _scaled(clean[image], chosen, shares)
        edits[layer] = clamp(batch.tokens, values)
        leaves.append(leaf)
    return edits, leaves


def path_slopes(batch: Batch, image: Tensor, neurons: Tensor) -> Tensor:
    r"""Return :math:`\int_0^1\partial F/\partial w^l_\tau\,d\alpha` of paths' neurons, (P, τ, l).

    image (P,), neurons (P, l) of the first l layers.
    """
    total = batch.zeros(len(neurons), batch.clean[0].shape[1], neurons.shape[1])
    for path, step in batch.pieces(len(neurons)):
        edits, leaves = path_edits(batch, image[path], neurons[path], batch.points[step])
        with edit(batch.model, edits):
            values = batch.probability(logits_of(batch.model, batch.images[image[path]]), image[path])
        slopes = torch.cat(torch.autograd.grad(values.sum(), leaves, materialize_grads=True), 2)
        total.index_add_(0, path, batch.weights[step, None, None] * slopes)
    return total


class RecomputedSlopes:
    """Slopes for any model and any tokens: each time a full pass, with the layers of the path clamped by hooks."""

    def __init__(self, batch: Batch):
        self.batch = batch
        self.image = batch.everyone  # of each path, (P,)
        self.neurons = self.image.new_zeros(len(self.image), 0)  # of each path so far, (P, l)

    def slopes(self, candidates: str) -> tuple[Tensor, Tensor]:
        """Return the slopes of all neurons of the next layer, (P, τ, n), and the path's sum of slopes there, (P, τ).

        candidates: "layer_scaled" scales the whole layer along with the path; "layer_clean" leaves it as it is.
        """
        batch, number = self.batch, self.neurons.shape[1]
        clean = batch.clean[number]
        of_layer = batch.zeros(len(self.image), *clean.shape[1:])
        of_path = batch.zeros(len(self.image), clean.shape[1])
        for path, step in batch.pieces(len(self.image)):
            image, shares = self.image[path], batch.points[step]
            edits, leaves = path_edits(batch, image, self.neurons[path], shares)
            whole = _candidates(clean[image], shares, candidates)
            edits[batch.layers[number]] = clamp(batch.tokens, whole)
            with edit(batch.model, edits):
                values = batch.probability(logits_of(batch.model, batch.images[image]), image)
            gradient, *rest = torch.autograd.grad(values.sum(), [whole, *leaves], materialize_grads=True)
            of_layer.index_add_(0, path, batch.weights[step, None, None] * gradient)
            for slope in rest:
                of_path.index_add_(0, path, batch.weights[step, None] * slope.squeeze(2))
        return of_layer, of_path

    def joint_slopes(self, parents: Tensor, chosen: Tensor) -> Tensor:
        """Return the sums of slopes (Q, τ) of paths `parents` (Q,), with neurons `chosen` (Q,) of the next layer."""
        return path_slopes(self.batch, self.image[parents], self._longer(parents, chosen)).sum(2)

    def extend(self, parents: Tensor, chosen: Tensor) -> None:
        """Go on with paths `parents` (Q,) to which neurons `chosen` (Q,) of the next layer are added."""
        self.image, self.neurons = self.image[parents], self._longer(parents, chosen)

    def _longer(self, parents: Tensor, chosen: Tensor) -> Tensor:
        """Return the neurons (Q, l + 1) of paths that are one layer longer."""
        return torch.cat([self.neurons[parents], chosen[:, None]], 1)


def _candidates(clean: Tensor, shares: Tensor, candidates: str) -> Tensor:
    """Return the values (R, τ, n) that a whole layer has while its neurons are candidates, a leaf; shares (R,)."""
    scaled = clean * shares[:, None, None].to(clean) if candidates == "layer_scaled" else clean.clone()
    return scaled.requires_grad_()


class CarriedSlopes:
    r"""Slopes for the class token of a known ViT: what does not change from layer to layer is computed once.

    The state in front of the next layer's neurons, with the path scaled to each of the m points, stays the same once
    the path is chosen, and of the path's slopes only the sum is needed: the derivative along +1 on every neuron of it.
    Both are carried forward, the state :math:`h` and its tangent :math:`\dot h`, through each block once. The next
    layer's slopes come from one backward pass to its block's output, whose adjoint :math:`\lambda` gives the path's
    sum as well: :math:`\sum_l\partial F/\partial w^l=\langle\lambda,\dot h\rangle`. In the last block only the
    class token asks.
    """

    def __init__(self, batch: Batch, places: list[int]):
        self.batch, self.parts, self.places = batch, vit_parts(batch.model), places  # the block of each layer
        self.number = 0  # of the next layer
        self.image = batch.everyone  # of each path, (P,)
        self.copies = 1  # points at which a path has a state of its own: one as long as nothing is scaled, then m
        with torch.no_grad():
            states = [self._enter(self.parts.embed(some), 0, self.places[0]) for some in batch.images.split(batch.rows)]
        self.state = torch.cat(states)  # (P · copies, T or 1, D), see `_enter`
        self.tangent = torch.zeros_like(self.state)

    def slopes(self, candidates: str) -> tuple[Tensor, Tensor]:
        """Return what `RecomputedSlopes.slopes` does, (P, 1, n) and (P, 1)."""
        batch, clean = self.batch, self.batch.clean[self.number]
        of_layer, of_path = batch.zeros(len(self.image), *clean.shape[1:]), batch.zeros(len(self.image), 1)
        for path, step in batch.pieces(len(self.image)):
            image, row = self.image[path], self._row(path, step)
            neurons = _candidates(clean[image], batch.points[step], candidates)
            output = self._written(self.state[row], neurons)
            values = batch.probability(self._logits(output), image)
            gradient, adjoint = torch.autograd.grad(values.sum(), [neurons, output])
            along = (precise(adjoint) * precise(self.tangent[row])).sum((1, 2))
            of_layer.index_add_(0, path, batch.weights[step, None, None] * gradient)
            of_path.index_add_(0, path, (batch.weights[step] * along)[:, None])
        return of_layer, of_path

    def joint_slopes(self, parents: Tensor, chosen: Tensor) -> Tensor:
        """Return what `RecomputedSlopes.joint_slopes` does, (Q, 1)."""
        batch = self.batch
        total = batch.zeros(len(parents), 1)
        for path, step in batch.pieces(len(parents)):
            image = self.image[parents[path]]

            def probability(state: Tensor, neurons: Tensor, image: Tensor = image) -> Tensor:
                return batch.probability(self._logits(self._written(state, neurons)), image)

            _, slope = self._pushed(probability, parents[path], chosen[path], step)
            total.index_add_(0, path, (batch.weights[step] * slope)[:, None])
        return total

    def extend(self, parents: Tensor, chosen: Tensor) -> None:
        """Do what `RecomputedSlopes.extend` does, and take the states on to the next layer."""
        if self.number + 1 < len(self.places):
            start, place = self.places[self.number], self.places[self.number + 1]

            def advance(state: Tensor, neurons: Tensor) -> Tensor:
                return self._enter(self._written(state, neurons), start + 1, place)

            pieces = [self._pushed(advance, parents[path], chosen[path], step)
                      for path, step in self.batch.pieces(len(parents))]
            self.state, self.tangent = (torch.cat(tensors) for tensors in zip(*pieces))
            self.copies = len(self.batch.points)
        self.image = self.image[parents]
        self.number += 1

    def _row(self, path: Tensor, step: Tensor) -> Tensor:
        """Return where the states of paths (R,) at steps (R,) lie."""
        return path * self.copies + step % self.copies

    def _pushed(self, function: Callable, parents: Tensor, chosen: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """Push states and neurons through a function of both, with each row's chosen neuron added to the path."""
        row, clean = self._row(parents, step), self.batch.clean[self.number][self.image[parents]]
        neurons = _scaled(clean, chosen, self.batch.points[step])[0].detach()
        one = torch.zeros_like(clean).scatter(2, _in_all_tokens(clean, chosen), 1.0)
        with forward_mode():
            moving = forward.make_dual(self.state[row], self.tangent[row]), forward.make_dual(neurons, one)
            return unpacked(function(*moving))

    def _is_last(self, place: int) -> bool:
        """Say whether a block is the last, in which only the class token matters."""
        return place == len(self.parts.blocks) - 1

    def _enter(self, x: Tensor, start: int, place: int) -> Tensor:
        """Run tokens in front of block `start` to where only the class token's neurons of block `place` are missing."""
        for block in self.parts.blocks[start:place]:
            x = block(x)
        block = self.parts.blocks[place]
        middle = block.attention(x, first=self._is_last(place))
        return torch.cat([middle[:, :1], block.mlp(middle[:, 1:])], 1) if middle.shape[1] > 1 else middle

    def _written(self, state: Tensor, neurons: Tensor) -> Tensor:
        """Add what the class token's neurons (R, 1, n) write, which completes their block's output."""
        first = self.parts.blocks[self.places[self.number]].mlp_out(state[:, :1], neurons)
        return torch.cat([first, state[:, 1:]], 1)

    def _logits(self, x: Tensor) -> Tensor:
        """Return the logits of tokens behind the block of the next layer."""
        for place in range(self.places[self.number] + 1, len(self.parts.blocks)):
            x = self.parts.blocks[place](x, first=self._is_last(place))
        return self.parts.head(x)


def block_of_each_layer(batch: Batch) -> list[int] | None:
    """Return the number of each layer's block, one that no other layer has, or None where a ViT's parts will not do."""
    if not has_vit_parts(batch.model) or has_hooks(batch.model):
        return None
    places = {name: number for number, block in enumerate(vit_parts(batch.model).blocks) for name in block.names}
    found = [places.get(layer) for layer in batch.layers]
    return found if None not in found and len(set(found)) == len(found) else None


def slopes_for(batch: Batch) -> RecomputedSlopes | CarriedSlopes:
    """Return the slopes of paths that are still empty, by the quickest way that the model and the tokens allow."""
    places = block_of_each_layer(batch) if batch.tokens == slice(0, 1) else None
    return RecomputedSlopes(batch) if places is None else CarriedSlopes(batch, places)
