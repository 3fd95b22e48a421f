"""Explainers that look at other images first, or go through chosen units: concepts, contributions, modes, pathways."""
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nblib.engine import channel_axis_of, expect_layers
from nblib.hooks import capture, output_shapes
from nblib.methods import neural_pathways
from nblib.methods.concepts import Craft
from nblib.methods.contributions import contribution_map, contributions, excitation_inhibition
from nblib.methods.modes import fit_modes
from nblib.methods.neuron_paths import find_paths
from nblib.methods.saliency import last_spatial_layer
from nblib.models.vit import has_vit_parts, neuron_layers, vit_parts
from nblib.targets import class_logit

MODE_STEPS = 600  # of the autoencoder's training: a few hundred images, a layer's channels
SOBOL_SAMPLES = 32  # for a head that is not affine


def concepts(model: nn.Module, pool: Tensor, n_concepts: int, seed: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return CRAFT's maps of concepts, added up with each concept's importance for the class explained."""
    layer = last_spatial_layer(model, pool)
    channels = output_shapes(model, pool[:1].clone())[layer][channel_axis_of(model, layer, pool[:1])]
    craft = Craft(model, layer, n_concepts=min(n_concepts, channels), seed=seed).fit(pool)

    def explain(images: Tensor, labels: Tensor) -> Tensor:
        found = craft.maps(images)
        weights = found.new_zeros(found.shape[:2])
        for label in labels.unique():
            mine = labels == label
            try:
                weights[mine] = craft.image_importance(images[mine], label.item())
            except ValueError:  # the logit is not affine in the layer
                weights[mine] = craft.image_importance(images[mine], label.item(), estimator="sobol",
                                                       samples=SOBOL_SAMPLES)
        return (weights.nan_to_num()[:, :, None, None] * found).sum(1)

    return explain


def late_layer(model: nn.Module, images: Tensor) -> str:
    """Return the layer at which contributions are taken: the last with places, or a ViT's last block but one."""
    if has_vit_parts(model):
        return neuron_layers(model)[-2].rsplit(".", 2)[0]  # in the last, only the class token matters
    return last_spatial_layer(model, images)


def positive_contributions(model: nn.Module, pool: Tensor, steps: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the maps of pixels that act through the units of a late layer that speak for the class."""
    layer = late_layer(model, pool)

    def explain(images: Tensor, labels: Tensor) -> Tensor:
        # slopes at x: along the way, a unit that is dark at both ends would have a sign by rounding alone
        return contribution_map(model, images, layer, None, target=class_logit(labels), method="activation_gradient",
                                sign="positive", steps=steps).sum(1).abs()

    return explain


def leading_mode(model: nn.Module, pool: Tensor, n_modes: int, steps: int,
                 seed: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the maps of pixels that act through the channels of each image's leading mode.

    Modes are of the positive channel sums of the pool's contributions to the class predicted. An image's leading mode
    is the one with the largest part in its reconstruction, loading times length.
    """
    layer = late_layer(model, pool)

    def positive_sums(images: Tensor, target) -> Tensor:
        found = contributions(model, images, [layer], target=target, steps=steps)[layer]
        axis = channel_axis_of(model, layer, images[:1]) if found.ndim == 4 else None
        return excitation_inhibition(found, channel_axis=axis)[0]

    modes = fit_modes(positive_sums(pool, None), n_modes=n_modes, steps=MODE_STEPS, seed=seed)
    lengths = modes.dictionary.norm(dim=1)

    def explain(images: Tensor, labels: Tensor) -> Tensor:
        leading = (modes.load(positive_sums(images, class_logit(labels))) * lengths).argmax(1)
        found = torch.empty_like(images[:, 0])
        for mode in leading.unique():
            mine = leading == mode
            found[mine] = contribution_map(model, images[mine], layer, modes.dictionary[mode],
                                           target=class_logit(labels[mine]), method="integrated_gradients",
                                           steps=steps).sum(1).abs()
        return found

    return explain


def pathway(model: nn.Module, pool: Tensor, sparsity: float, kind: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the gradient, or Grad-CAM, of the network along the pathway of activation times gradient (NeuronMCT)."""
    if has_vit_parts(model):
        raise ValueError("a vision transformer's units are not ReLUs on places; its neuron path stands in their place")
    layers = unit_layers(model, pool[:1])

    def explain(images: Tensor, labels: Tensor) -> Tensor:
        target = class_logit(labels)
        scores = neural_pathways.unit_scores(model, images, layers, method="taylor", target=target)
        chosen = neural_pathways.select(neural_pathways.magnitude(scores), sparsity)
        if kind == "gradient":
            return neural_pathways.pathway_gradient(model, images, chosen, target=target).abs().sum(1)
        spatial = [layer for layer, mask in chosen.items() if mask.ndim == 4 and mask[0, 0].numel() > 1][-1]
        return neural_pathways.pathway_grad_cam(model, images, chosen, target=target, layer=spatial).relu()

    return explain


def unit_layers(model: nn.Module, image: Tensor) -> list[str]:
    """Return the layers of pathways: ReLU modules, or where these are functions or run twice, what is never negative.

    Raises:
        ValueError: a network with neither.
    """
    try:
        return neural_pathways.relu_layers(model, image)
    except ValueError as error:
        reason = error
    names = [name for name, shape in output_shapes(model, image.clone()).items() if name and len(shape) == 4]
    with torch.no_grad(), capture(model, names) as seen:
        model(image.clone())
    found: list[str] = []
    for name in names:
        value = seen[name]
        if (value < 0).any() or value[0, 0].numel() < 2 or any(torch.equal(value, seen[other]) for other in found):
            continue  # a block and the last layer in it are one place
        try:
            found += expect_layers(model, [name], image)
        except ValueError:  # it runs several times
            continue
    if not found:
        raise reason
    return found


def neuron_path(model: nn.Module, steps: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the maps of pixels that act through a ViT's neuron path, one neuron a block, at x."""
    if not has_vit_parts(model):
        raise ValueError("its neurons are those of a vision transformer's blocks, which this network has not")
    layers = neuron_layers(model)
    tokens = "cls" if vit_parts(model).reads_class_token else "patches"

    def explain(images: Tensor, labels: Tensor) -> Tensor:
        neurons = find_paths(model, images, labels, layers, steps=steps, tokens=tokens).neurons[:, :, 0]
        total = torch.zeros_like(images)
        for number, layer in enumerate(layers):
            for neuron in neurons[:, number].unique():
                mine = neurons[:, number] == neuron
                total[mine] += contribution_map(model, images[mine], layer, [neuron.item()],
                                                target=class_logit(labels[mine]))
        return total.sum(1).abs()

    return explain
