"""The generator of pathways: its quantiser, its recursions, what it takes and refuses; and the networks it is made for."""
import pytest
import torch
from torch import nn

from nblib.hooks import capture, output_shapes
from nblib.models import build
from nblib.models.gencnp import ABLATIONS, Generator, quantize
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.saliency import some_images
from tests.references import neural_pathways as slow

SHAPES = {"relu1": (6, 8, 8), "relu2": (8, 4, 4)}


def made(**options) -> Generator:
    """A generator of a small network, in float64 and with random norms."""
    return settled(Generator(settled(SmallNet()), SHAPES, hidden=16, **options), seed=3)


@pytest.mark.parametrize("temperature, sigma", [(2.0, 2.0), (2.0, 1.0), (4.0, 2.0), (6.0, 0.5)])
def test_the_quantiser_is_the_procedure_of_two_soft_maxes(temperature, sigma):
    values = torch.rand(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = torch.cat([values, torch.tensor([0.0, 0.5, 1.0, 0.25])])
    ours, theirs = values.clone().requires_grad_(), values.clone().requires_grad_()
    rounded, expected = quantize(ours, temperature=temperature, sigma=sigma), slow.soft_round(theirs, temperature, sigma)
    assert torch.equal(rounded, (values > 0.5).double())
    assert (rounded - expected).abs().max() < 1e-10
    weights = torch.linspace(-1, 2, len(values), dtype=torch.float64)
    slopes = [torch.autograd.grad((weights * out).sum(), at)[0] for out, at in ((rounded, ours), (expected, theirs))]
    assert (slopes[0] - slopes[1]).abs().max() < 1e-10


def test_clipped_values_pass_no_gradient_and_bounds_learn_from_the_rest():
    bound = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    values = torch.tensor([-9.0, -3.5, -1.0, 0.2, 2.0, 3.5], dtype=torch.float64, requires_grad=True)

    def slopes(rows):
        mask = quantize(((rows + bound) / (2 * bound)).clamp(0, 1))
        return torch.autograd.grad(mask.sum(), (rows, bound))

    moved, learned = slopes(values)
    assert ((moved == 0) == (values.abs() > 3)).all() and learned != 0
    assert slopes(torch.tensor([-9.0, 4.0], dtype=torch.float64, requires_grad=True))[1] == 0


@pytest.mark.parametrize("side, kernel, times", [
    (32, 3, 15), (32, 4, 10), (32, 7, 5), (32, 16, 2), (16, 3, 7), (8, 4, 2), (4, 3, 1), (2, 3, 1),
])
def test_a_recursion_has_one_kernel_and_a_norm_for_each_time(side, kernel, times):
    shapes = {"a": (3, side, side), "b": (2, 2, 2)}
    generator = Generator(settled(SmallNet()), shapes, kernel={"a": kernel}, hidden=4)
    for part in (generator.embed[0], generator.decode[0]):
        assert len(part.norms) == times
        assert [parameter.shape for parameter in part.kernel.parameters()] == [(3, 3, kernel, kernel)]
    x = torch.rand(2, 3, side, side)
    assert generator.embed[0](x).shape == (2, 3, 2, 2)
    assert generator.decode[0](generator.embed[0](x)).shape == x.shape


def test_the_generator_is_its_parts():
    generator, image = made(), some_images(1, size=8)
    with torch.no_grad(), capture(generator.network, list(SHAPES)) as seen:
        generator.network(image)
    flat = []
    for layer, part, padding in zip(SHAPES, generator.embed, (0, 1)):
        flat.append(slow.recursion(seen[layer], part.kernel.weight.detach(), list(part.norms), False, padding).flatten())
    first, _, second, _ = generator.distil[0]
    z = torch.relu(second.weight @ torch.relu(first.weight @ torch.cat(flat) + first.bias) + second.bias).detach()
    found = generator.scores(image)
    for layer, part, rows, bound, padding in zip(SHAPES, generator.decode, z.split([6 * 16, 8 * 16]), generator.bounds, (0, 1)):
        start = rows.view(1, -1, 4, 4)
        assert torch.allclose(generator.importance(seen)[layer], start)
        decoded = slow.recursion(start, part.kernel.weight.detach(), list(part.norms), True, padding)
        expected = ((decoded + bound) / (2 * bound)).clamp(0, 1)
        assert torch.allclose(found[layer], expected.detach(), atol=1e-10)
    assert all(torch.equal(mask, found[layer] > 0.5) for layer, mask in generator.pathway(image).items())


@pytest.mark.parametrize("without", ABLATIONS)
def test_images_do_not_depend_on_each_other_and_nothing_is_left_behind(without):
    generator, images = made(without=without), some_images(4, size=8)
    whole = generator.scores(images)
    for number in range(4):
        for layer, values in generator.scores(images[number:number + 1]).items():
            assert torch.allclose(values[0], whole[layer][number], atol=1e-12)
            assert values.shape[1:] == SHAPES[layer] and 0 <= values.min() and values.max() <= 1
    assert not any("network" in name for name in generator.state_dict())
    assert all(parameter.grad is None for parameter in generator.parameters())
    assert not any(module._forward_hooks for module in generator.network.modules())


def test_one_unit_a_layer_is_kept_where_it_is_asked_for():
    generator = made(floor=True)
    generator.decode[0].norms[-1].bias.data.fill_(-50.0)  # all of the first layer off
    pathway, values = generator.pathway(some_images(3, size=8)), generator.scores(some_images(3, size=8))
    assert (pathway["relu1"].flatten(1).sum(1) == 1).all()
    top = values["relu1"].flatten(1).argmax(1)
    assert pathway["relu1"].flatten(1)[torch.arange(3), top].all()


def test_gradients_reach_every_part_of_the_generator():
    generator = made().train()
    with capture(generator.network, list(SHAPES)) as seen:
        generator.network(some_images(4, size=8))
    masks = generator.masks(generator(seen))
    sum(mask.square().sum() for mask in masks.values()).backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())


@pytest.mark.parametrize("call, said", [
    (lambda: Generator(settled(SmallNet()), {"a": (3, 8, 8), "b": (3, 3, 3)}), "8 × 8.*3 × 3.*another kernel"),
    (lambda: Generator(settled(SmallNet()), {"a": (3, 8, 6), "b": (3, 4, 4)}), "8 × 6"),
    (lambda: Generator(settled(SmallNet()), {"a": (3, 8, 8), "b": (3, 2, 2)}, kernel=4), "'b'.*odd"),
    (lambda: Generator(settled(SmallNet()), SHAPES, kernel=1), "kernel=1"),
    (lambda: Generator(settled(SmallNet()), {"a": (3,)}), "channels and places"),
    (lambda: Generator(settled(SmallNet()), SHAPES, without="decoder"), "'decoder'"),
    (lambda: Generator(settled(SmallNet()), SHAPES, hidden=0), "hidden=0"),
    (lambda: Generator(settled(SmallNet()), SHAPES, bound=0), "bound=0"),
    (lambda: Generator(settled(SmallNet()), SHAPES, sigma=0), "sigma=0"),
    (lambda: Generator(None, SHAPES), "a model of type"),
    (lambda: made().pathway(some_images(2, size=12)), r"\(6, 12, 12\).*made for \(6, 8, 8\)"),
    (lambda: made().train().pathway(some_images(2, size=8)), "evaluation mode"),
    (lambda: made(without="quantizer").pathway(some_images(2, size=8)), "choose one"),
    (lambda: made(without="embedder").importance({}), "no importance scores"),
    (lambda: quantize(torch.rand(3), temperature=0), "temperature=0"),
    (lambda: quantize([0.3]), "values of list"),
])
def test_what_cannot_be_made_is_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call()


@pytest.mark.parametrize("name, units, layers", [("alexnet_cifar", 10752, 5), ("vgg11_cifar", 151552, 8),
                                                 ("small_alexnet", 3968, 5), ("small_vgg", 18944, 8)])
def test_target_networks_have_the_units_of_the_paper_in_relu_modules_of_their_own(name, units, layers):
    model = build(name, classes=10, size=32)
    shapes = output_shapes(model, torch.rand(2, 3, 32, 32))
    mine = [shape[1:].numel() for layer, shape in shapes.items() if isinstance(model.get_submodule(layer), nn.ReLU)]
    assert sum(mine) == units and len(mine) == layers
    assert build(name, classes=3, size=64)(torch.rand(2, 3, 64, 64)).shape == (2, 3)
    with pytest.raises(ValueError, match="expected 32 or more"):
        build(name, classes=3, size=31)
