"""The networks that are explained: each of them by name, from `build`.

`building` makes a network by name: one of ours, which have a file each (`resnet`, `b_cos`, `small_vit`, `alexnet`,
`vgg`, `efficientnet`), or one of `foreign`, which asks torchvision, timm, or a reader's own function. `normalisation`
puts the subtraction of means into the network, so that all take images in [0, 1]. `weights` reads and writes files of
them; `origin` knows of which files a reader's own network is made, for keys, and in which line of them an error was
raised; `batch_norm` holds the batch normalisation of several processes and that of B-cos networks. `vit` takes a vision
transformer apart. `retina` holds the networks that see movies: a simulated retina, and one that is fitted;
`importance` those that weight the patches of an image while they decide, and `gencnp` the one that finds another
network's pathways.

Who needs a network's own parts, or files of weights, names the file: `nblib.models.vit`, `nblib.models.weights`.
"""
from nblib.models.batch_norm import together
from nblib.models.building import OURS, build
from nblib.models.normalisation import IMAGENET, normalised
from nblib.models.origin import made_of, place_of, published

__all__ = [
    "build", "IMAGENET", "made_of", "normalised", "OURS", "place_of", "published", "together",
]
