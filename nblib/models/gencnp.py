r"""The generator of pathways (P0, GEN-CNP): from what a network's ReLUs put out to which of their units are kept.

Each layer :math:`A_i` is shrunk to the smallest map by one kernel used again and again (`Embedder`), all layers
together go through an MLP, and each part of its output is grown to the layer's size again (`Decoder`). What comes out is
rounded by `quantize`, whose slope is not zero.
"""
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from nblib.checks import expect_int, expect_model, expect_number, expect_one_of, expect_tensor
from nblib.hooks import capture

ABLATIONS = (None, "embedder", "shared", "quantizer")
Shape = tuple[int, int, int]  # (c, h, w) of a layer


class _Rounded(torch.autograd.Function):
    """A step forward, the derived slope backward."""

    @staticmethod
    def forward(ctx, values: Tensor, temperature: float, sigma: float) -> Tensor:
        ctx.save_for_backward(values)
        ctx.constants = temperature, sigma
        return (values > 0.5).to(values.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        temperature, sigma = ctx.constants
        half = ((1 - 2 * ctx.saved_tensors[0]).abs() + sigma**-2) / 2
        return gradient * (temperature / (2 * math.sinh(temperature))) / torch.tanh(half), None, None


def quantize(values: Tensor, *, temperature: float = 2.0, sigma: float = 2.0) -> Tensor:
    r"""Round values to 0 or 1, with a slope for training: the soft assignment of DAQ in closed form.

    .. math:: \phi(x)=[x>\tfrac12],\qquad
        \frac{\partial\phi}{\partial x}=\frac{T}{2\sinh T}\,\coth\Big(\tfrac12\big(|1-2x|+\sigma^{-2}\big)\Big)

    Args:
        values: x, any shape, in [0, 1]; of exactly one half comes 0.
        temperature: T, above 0, at most 80.
        sigma: σ, above 0.

    Returns:
        0 or 1 of the values' shape and type.

    Source: P0, equation 1; Kim et al. (2021), whose procedure with two soft-maxes has this value and this slope.
    """
    expect_tensor("values", values)
    expect_number("temperature", temperature, 1e-6, 80)
    return _Rounded.apply(values, temperature, expect_number("sigma", sigma, 1e-6))


class _Recursion(nn.Module):
    """One kernel that is applied again and again, each time with a batch norm of its own."""

    def __init__(self, channels: int, kernel: int, times: int, *, grow: bool, padding: int):
        super().__init__()
        make = nn.ConvTranspose2d if grow else nn.Conv2d
        self.kernel = make(channels, channels, kernel, padding=padding, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(times))
        self.grow = grow

    def forward(self, x: Tensor) -> Tensor:
        for number, norm in enumerate(self.norms, 1):
            x = norm(self.kernel(x))
            if not self.grow or number < len(self.norms):  # what is decoded has both signs at the end
                x = torch.relu(x)
        return x


class Generator(nn.Module):
    r"""Makes a network's pathway of an image from the network's own activations.

    .. math:: P_i=\phi\Big(\mathrm{clamp}\big(\tfrac{D_i+u_i}{2u_i},0,1\big)\Big),\quad
        D_i=\mathrm{decode}_i(z_i),\quad z=\mathrm{MLP}\big(\mathrm{embed}_1(A_1),...,\mathrm{embed}_k(A_k)\big)

    The network that it was made for belongs to it as a reference only: it is neither trained nor saved with it.

    Args:
        network: H, in evaluation mode, images → logits (N, K).
        shapes: by layer, (c, h, w) of its output, the layers in their order.
        kernel: side of the recursive kernels, 2 or more, one for all layers, or by layer, of which others have 3; a map is
            larger than the smallest by a multiple of kernel − 1, or as large, for which the side is odd.
        hidden: width of the MLP's hidden layer, 1 or more.
        temperature, sigma: of `quantize`.
        bound: what each :math:`u_i`, which is learned, begins with; above 0.
        without: None; or what the paper leaves out: "embedder" (an MLP for each layer on its units, and a norm),
            "shared" (an MLP for each layer between embedder and decoder), or "quantizer" (the mask is a sigmoid of D,
            and `pathway` refuses: choose a sparsity).
        floor: keep at least one unit of each layer, the one with the largest x; the paper does not.
        seed: of the first weights.

    Raises:
        ValueError: maps from which the kernel cannot come to the smallest, with what would do; an option out of range.

    Source: P0, section 3; kernel side, depth and width of the MLP, and where the bounds begin are not in the paper.
    """

    def __init__(self, network: nn.Module, shapes: Mapping[str, Shape], *, kernel: int | Mapping[str, int] = 3,
                 hidden: int = 1024, temperature: float = 2.0, sigma: float = 2.0, bound: float = 3.0, without: str | None = None,
                 floor: bool = False, seed: int = 0):
        super().__init__()
        expect_model(network)
        self._network = (network,)  # in a tuple: not a part that is trained, moved and saved
        self.shapes = {layer: _expect_shape(layer, shape) for layer, shape in shapes.items()}
        self.without, self.floor = expect_one_of("without", without, ABLATIONS), floor
        self.temperature, self.sigma = temperature, sigma
        quantize(torch.zeros(1), temperature=temperature, sigma=sigma)  # refuses what is out of range
        self.bounds = nn.Parameter(torch.full((len(shapes),), expect_number("bound", bound, 1e-6)))
        sides = {layer: kernel.get(layer, 3) if isinstance(kernel, Mapping) else kernel for layer in self.shapes}
        for side in sides.values():
            expect_int("kernel", side, 2)
        width = expect_int("hidden", hidden, 1)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(expect_int("seed", seed, 0, 2**63 - 1))
            self._build(sides, width)
        self.eval()

    def _build(self, sides: dict[str, int], width: int) -> None:
        """Make the parts, with random weights."""
        shapes = list(self.shapes.values())
        if self.without == "embedder":
            self.alone = nn.ModuleList(_mlp(math.prod(shape), width, last=False) for shape in shapes)
            self.norms = nn.ModuleList(nn.BatchNorm2d(shape[0]) for shape in shapes)
            return
        smallest = min((shape[1:] for shape in shapes), key=math.prod)
        plans = [_plan(layer, shape, smallest, sides[layer]) for layer, shape in self.shapes.items()]
        self.small = [(shape[0], *smallest) for shape in shapes]
        sizes = [math.prod(shape) for shape in self.small]
        self.embed, self.decode = (
            nn.ModuleList(_Recursion(shape[0], side, times, grow=grow, padding=padding)
                          for shape, side, (times, padding) in zip(shapes, sides.values(), plans)) for grow in (False, True))
        together = sizes if self.without == "shared" else [sum(sizes)]
        self.distil = nn.ModuleList(_mlp(size, width) for size in together)

    @property
    def network(self) -> nn.Module:
        """The network whose pathways these are."""
        return self._network[0]

    @property
    def layers(self) -> list[str]:
        """The layers that pathways go through."""
        return list(self.shapes)

    def importance(self, activations: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return z by layer, (N, c, h', w') of the smallest map: what the paper's figure 4 embeds."""
        if self.without == "embedder":
            raise ValueError("a generator without embedder was given, which has no importance scores: expected another")
        embedded = [embed(activations[layer]).flatten(1) for layer, embed in zip(self.shapes, self.embed)]
        if self.without != "shared":
            parts = self.distil[0](torch.cat(embedded, 1)).split([part.shape[1] for part in embedded], 1)
        else:
            parts = [distil(part) for distil, part in zip(self.distil, embedded)]
        return {layer: part.unflatten(1, shape) for layer, part, shape in zip(self.shapes, parts, self.small)}

    def forward(self, activations: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return x by layer, in [0, 1] and of the activations' shape: what is rounded, and the order of the units."""
        if self.without == "embedder":
            before = [norm(alone(activations[layer].flatten(1)).view_as(activations[layer]))
                      for layer, alone, norm in zip(self.shapes, self.alone, self.norms)]
        else:
            before = [decode(part) for decode, part in zip(self.decode, self.importance(activations).values())]
        if self.without == "quantizer":
            return {layer: torch.sigmoid(values) for layer, values in zip(self.shapes, before)}
        bounds = self.bounds.unbind()
        return {layer: ((values + bound) / (2 * bound)).clamp(0, 1)
                for layer, values, bound in zip(self.shapes, before, bounds)}

    def masks(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the masks (N, c, h, w) that `forward`'s x are rounded to, 0 or 1 with slopes; without quantizer, x."""
        if self.without == "quantizer":
            return dict(values)
        rounded = {layer: quantize(x, temperature=self.temperature, sigma=self.sigma) for layer, x in values.items()}
        return {layer: _with_one(mask, values[layer]) for layer, mask in rounded.items()} if self.floor else rounded

    def scores(self, images: Tensor) -> dict[str, Tensor]:
        """Return x by layer for images (N, C, H, W), in evaluation mode and without gradients.

        Raises:
            ValueError: a generator in training mode, or images for which the layers have other shapes.
        """
        with torch.no_grad():
            return self(self._activations(images))

    def pathway(self, images: Tensor) -> dict[str, Tensor]:
        """Return the pathway of each image by layer, (N, c, h, w) bool, of a sparsity of its own.

        Raises: as `scores`; also a generator without quantizer.
        """
        if self.without == "quantizer":
            raise ValueError("a generator without quantizer was given, whose pathways have no sparsity of their own: "
                             "choose one, by select(generator.scores(images), sparsity)")
        return {layer: mask > 0.5 for layer, mask in self.masks(self.scores(images)).items()}

    @torch.no_grad()
    def _activations(self, images: Tensor) -> dict[str, Tensor]:
        """Return what the network's layers put out, if they have the shapes for which this was made."""
        if self.training or self.network.training:
            raise ValueError("a generator or its network in training mode was given, expected evaluation mode: call "
                             ".eval() first, since the norms of a batch would mix its images")
        with capture(self.network, self.shapes) as seen:
            self.network(expect_tensor("images", images))
        for layer, shape in self.shapes.items():
            if tuple(seen[layer].shape[1:]) != shape:
                raise ValueError(f"layer {layer!r} puts out {tuple(seen[layer].shape[1:])} for these images, and the "
                                 f"generator was made for {shape}: expected images of the size it was trained on")
        return {layer: seen[layer] for layer in self.shapes}


def _mlp(size: int, width: int, *, last: bool = True) -> nn.Sequential:
    """Return two linear layers, size → width → size, with a ReLU after the first and perhaps the last."""
    return nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Linear(width, size), *([nn.ReLU()] if last else []))


def _with_one(mask: Tensor, values: Tensor) -> Tensor:
    """Return masks (N, ...) in which no row is empty: there the unit with the largest value is kept."""
    top = torch.zeros_like(mask).flatten(1).scatter(1, values.flatten(1).argmax(1, keepdim=True), 1).view_as(mask)
    return mask + top * (1 - mask.detach())


def _expect_shape(layer: str, shape: object) -> Shape:
    """Return the shape of a layer if it is (c, h, w)."""
    if len(tuple(shape)) != 3:
        raise ValueError(f"layer {layer!r} puts out {tuple(shape)}, expected channels and places (c, h, w): name the "
                         "layers with places, by layers=")
    return tuple(map(int, shape))


def _plan(layer: str, shape: Shape, smallest: tuple[int, int], kernel: int) -> tuple[int, int]:
    """Return how often a kernel is applied to come from a map to the smallest, and with which padding."""
    excess = [side - least for side, least in zip(shape[1:], smallest)]
    if not any(excess) and kernel % 2:
        return 1, (kernel - 1) // 2
    if excess[0] == excess[1] and excess[0] and excess[0] % (kernel - 1) == 0:
        return excess[0] // (kernel - 1), 0
    reason = "the side has to be odd for a map that is as small" if not any(excess) else (
        f"a kernel of {kernel} takes off a multiple of {kernel - 1} rows and as many columns")
    raise ValueError(f"layer {layer!r} has maps of {shape[1]} × {shape[2]}, the smallest are {smallest[0]} × "
                     f"{smallest[1]}, and {reason}: expected another kernel, such as 3, or other layers")
