"""Training a generator of pathways, once: kept, and gone on with, like every training."""
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nblib import store
from nblib.checks import expect_kind, expect_model, expect_number, expect_one_of
from nblib.data import Images
from nblib.engine import check_inputs, expect_layers, frozen, options_of
from nblib.hooks import capture, edit
from nblib.methods.neural_pathways.pathways import relu_layers
from nblib.models import weights as files
from nblib.models.gencnp import Generator
from nblib.training import choose_device, fit, kept_at, once, predict

TARGETS = ("hard", "soft")
PENALTIES = ("norm", "count", "share")
SILENCES = (None, "grey", "donor", "both")
SOURCES = store.sources("methods/neural_pathways/training.py")
TRIED = 16  # images whose logits stand for what a network computes


class _Along(nn.Module):
    """A network along a generator's masks: what the loss needs of each image, side by side, (N, 2 K + 2)."""

    def __init__(self, generator: Generator, penalty: str, silence: str | None):
        super().__init__()
        self.generator, self.penalty, self.silence = generator, penalty, silence

    def forward(self, images: Tensor) -> Tensor:
        network, layers = self.generator.network, self.generator.layers
        with torch.no_grad(), capture(network, layers) as seen:
            whole = network(images)
        masks = self.generator.masks(self.generator({layer: seen[layer] for layer in layers}))
        along = self._masked(images, masks)
        told = along.new_zeros(len(images))
        if self.training and self.silence in ("grey", "both"):
            levels = torch.rand(len(images), images.shape[1], 1, 1, device=images.device)
            told = told + _told(self._masked(levels.expand_as(images), masks))
        if self.training and self.silence in ("donor", "both"):
            told = told + _forced(self._masked(images.roll(1, 0), masks), whole.argmax(1), whole.argmax(1).roll(1))
        return torch.cat([along, whole, _size(masks, self.penalty)[:, None], told[:, None]], 1)

    def _masked(self, images: Tensor, masks: dict[str, Tensor]) -> Tensor:
        """Return the network's logits for images under masks."""
        with edit(self.generator.network, {layer: lambda t, layer=layer: t * masks[layer] for layer in masks}):
            return self.generator.network(images)


def _size(masks: dict[str, Tensor], penalty: str) -> Tensor:
    """Return how large the masks of each image are, (N,)."""
    counts = [mask.flatten(1).square().sum(1) for mask in masks.values()]
    if penalty == "norm":  # an empty layer has slope 0, not infinite
        return sum(torch.where(count > 0, count.clamp(min=1e-12).sqrt(), 0.0) for count in counts)
    units = sum(mask[0].numel() for mask in masks.values()) if penalty == "share" else 1
    return sum(counts) / units


def _told(logits: Tensor) -> Tensor:
    """Return how far a softmax is from an even one, (N,): the Kullback-Leibler divergence of the even one from it."""
    return -logits.log_softmax(1).mean(1) - torch.tensor(float(logits.shape[1])).log()


def _forced(logits: Tensor, given: Tensor, own: Tensor) -> Tensor:
    """Return how much another image's mask makes an image the other's class, :math:`-\\log(1-p)`, 0 for one class."""
    share = logits.softmax(1).gather(1, given[:, None])[:, 0]
    return torch.where(given == own, 0.0, -torch.log1p(-share.clamp(max=1 - 1e-6)))


def train_generator(model: nn.Module, data: Images, *, epochs: int = 30, layers: Sequence[str] | None = None,
                    target: str = "hard", penalty: str = "norm", alpha: float = 1.0, beta: float = 0.02,
                    silence: str | None = None, silence_weight: float = 1.0, lr: float = 1e-3, batch_size: int = 128,
                    weight_decay: float = 0.0, schedule: str = "one_cycle", optimizer: str = "adamw",
                    augment: str | None = None, seed: int = 0, device: str = "auto", progress: bool = True,
                    **network: object) -> Generator:
    r"""Train a generator to give each image few units with which the network says what it says of the whole image.

    .. math:: L=\alpha\,L_{CE}\big(H(X;P\otimes A),H(X)\big)+\beta\sum_i\|P_i\|_2

    The network stays as it is; the labels of the data play no part. With a key (`Images.key`) the generator is trained
    once and kept, and whoever asks for it again reads it; an interrupted training goes on where it was.

    Args:
        model: H, in evaluation mode.
        data: images of the size that the network is explained on.
        epochs, batch_size, lr, weight_decay, schedule, optimizer, augment: as in `nblib.training.fit`.
        layers: whose units pathways are made of, the ReLUs' by default, in their order.
        target: what the network is to say, "hard", the class it predicts on the whole image, or "soft", its softmax.
        penalty: "norm", the unsquared norm of each layer's mask, "count", the number of ones (the squared norm, as
            printed), or "share", that over all units; the mean over the batch.
        alpha, beta: weights of the two, 0 or more.
        silence: not in the paper. A mask shall not tell a class by itself: "grey", what it says of an even colour is
            pulled to an even softmax; "donor", of another image it shall not make its own image's class; or "both".
        silence_weight: of that, 0 or more.
        seed: of first weights, order and augmentation.
        device: as in `nblib.training.choose_device`.
        network: options of `nblib.models.gencnp.Generator`: kernel, hidden, without, floor ...

    Returns:
        The generator, in evaluation mode, on the model's device.

    Raises:
        ValueError: a network without ReLU modules or that uses one twice; maps that the kernel cannot shrink to the
            smallest; an option out of range; data that are empty or not for training; before any work.
        RuntimeError: a loss that is not finite.

    Source: P0, equations 2 and 3. Optimiser, batch and epochs are not in the paper; its rates and β are 1e-4 and 0.05
    for AlexNet on CIFAR-10, 0.09 and 0.0005 for VGG-11.
    """
    expect_kind("data", data, Images)
    expect_one_of("target", target, TARGETS), expect_one_of("penalty", penalty, PENALTIES)
    expect_one_of("silence", silence, SILENCES)
    weights = [expect_number(name, value, 0) for name, value in (
        ("alpha", alpha), ("beta", beta), ("silence_weight", silence_weight))]
    network = options_of("train_generator()", Generator, network) | {"seed": seed}
    generator = _made(model, data, layers, network)
    settings = dict(epochs=epochs, lr=lr, batch_size=batch_size, weight_decay=weight_decay, schedule=schedule,
                    optimizer=optimizer, augment=augment, seed=seed, device=device, progress=progress)
    loss = _loss_of(target, *weights)

    def train(checkpoint: Callable) -> tuple[dict[str, Tensor], dict]:
        home, chosen = next(model.parameters()).device, choose_device(device)
        try:
            generator.to(chosen)
            with frozen(model.to(chosen)):
                losses = fit(_Along(generator, penalty, silence), data, loss=loss, checkpoint=checkpoint(), **settings)
        finally:
            model.to(home), generator.to(home)
        return generator.state_dict(), {"name": "gencnp", "seed": seed, "losses": losses}

    if not data.key:
        train(lambda: None)
        return generator
    said = [model_key(model, data), generator.shapes, network, target, penalty, weights, silence,
            {name: value for name, value in settings.items() if name != "progress"}]
    path = kept_at("gencnp", generator, data, *said, *SOURCES)
    files.put(generator, once(path, train, device=device)[0], path)
    return generator.eval()


def model_key(model: nn.Module, data: Images) -> str:
    """Return a key that changes with a network's weights and with what it computes of the first images."""
    logits = predict(model, data[:TRIED].images)
    return store.key(type(model).__name__, files.content_key(model.state_dict()), logits.double().numpy().tolist())


def _made(model: nn.Module, data: Images, layers: Sequence[str] | None, options: dict) -> Generator:
    """Return an untrained generator for a checked model and data."""
    if not len(data):
        raise ValueError("no images were given, expected 1 or more")
    expect_model(model)
    some = data[:2].images.to(next(model.parameters()).device)
    check_inputs(model, some)
    chosen = relu_layers(model, some) if layers is None else expect_layers(model, layers, some[:1])
    with torch.no_grad(), capture(model, chosen) as seen:
        model(some)
    return Generator(model, {layer: seen[layer].shape[1:] for layer in chosen}, **options).to(some)


def _loss_of(target: str, alpha: float, beta: float, silence: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of what `_Along` gives; the labels that a training hands over play no part."""

    def loss(found: Tensor, labels: Tensor) -> Tensor:
        classes = (found.shape[1] - 2) // 2
        along, whole, size, told = found.split([classes, classes, 1, 1], 1)
        wanted = whole.detach().argmax(1) if target == "hard" else whole.detach().softmax(1)
        return alpha * F.cross_entropy(along, wanted) + beta * size.mean() + silence * told.mean()

    return loss
