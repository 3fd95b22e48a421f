"""What concepts need: classes that exist, and a layer with places, nowhere negative, that cuts the network."""
from collections.abc import Mapping

import torch
from torch import nn

from nblib.data import Images
from nblib.methods.concepts import Craft
from nblib.methods.pruning import magnitude_mask
from nblib.methods.saliency import last_spatial_layer

HAS_TO_TRAIN = True  # its networks are pruned ones


def expect(values: Mapping[str, object], images: Images, model: nn.Module) -> None:
    """Refuse classes, a layer, a number of concepts or an estimator that do not fit the data set and the network."""
    classes, last = values["concept_classes"], len(images.classes) - 1
    for label in classes:
        if label > last:
            raise ValueError(f"concept_classes: {label} was given; {values['dataset']} has {last + 1} classes, "
                             f"expected some of 0 to {last}, such as -p concept_classes '[0]'")
    if len(set(classes)) < len(classes):
        raise ValueError(f"concept_classes: {classes} was given, expected each class once")
    magnitude_mask(model, 0.5)  # the networks are pruning's
    picture = images.images
    layer = values["layer"] or last_spatial_layer(model, picture)
    noise = torch.rand(2, *picture.shape[1:], generator=torch.Generator().manual_seed(0))
    tried = torch.cat([picture, noise])
    craft = Craft(model, layer, crop=1.0, n_concepts=1).fit(tried)
    channels = craft.bank.shape[1]
    if values["n_concepts"] > channels:
        raise ValueError(f"n_concepts: {values['n_concepts']} was given; layer {layer!r} has {channels} channels, "
                         "expected at most as many concepts")
    options = {} if values["estimator"] == "exact" else {"samples": 32}
    craft.image_importance(tried, classes[0], estimator=values["estimator"], **options)
