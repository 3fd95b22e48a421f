"""Training a generator: what it learns, that the network stays as it is, that it is kept and gone on with."""
import pytest
import torch

from nblib.data import Images
from nblib.methods.neural_pathways import (
    confidence,
    edited_probabilities,
    firing_sparsity,
    forced_share,
    train_generator,
    unit_scores,
)
from nblib.training import fit, networks_read
from tests.fixtures.networks import SmallNet
from tests.fixtures.saliency import state_of
from tests.fixtures.training import bright, equal

ASK = dict(epochs=3, batch_size=20, hidden=16, device="cpu", progress=False)


@pytest.fixture(scope="module")
def network():
    """A network that tells bright images' colour."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SmallNet(2)
    fit(model, bright(200), epochs=4, batch_size=20, device="cpu", progress=False)
    return model


def test_pathways_are_sparse_and_keep_the_answer(steps, network):
    before, data = state_of(network), bright(400)
    generator = train_generator(network, data, **ASK | dict(epochs=12, lr=1e-2, beta=0.02))
    assert state_of(network) == before and generator.network is network and not generator.training
    images = bright(100, seed=1)
    pathway = generator.pathway(images.images)
    whole = edited_probabilities(network, images.images, None)
    found = confidence(whole, edited_probabilities(network, images.images, pathway), images.labels)
    assert found.agreement > 0.95 and firing_sparsity(pathway).mean() > 0.6
    less = train_generator(network, data, **ASK | dict(epochs=12, lr=1e-2, beta=0.0))
    assert firing_sparsity(less.pathway(images.images)).mean() < firing_sparsity(pathway).mean()


def test_labels_play_no_part(steps, network):
    data = bright(60)
    other = Images(data.images, 1 - data.labels, data.classes, key="other")
    assert equal(train_generator(network, data, **ASK), train_generator(network, other, **ASK))


def test_a_generator_is_trained_once_for_its_key_and_noted(steps, network):
    first = train_generator(network, bright(60), **ASK)
    assert steps.since() == 9
    networks_read()
    again = train_generator(network, bright(60), **ASK)
    assert steps.since() == 0 and equal(first, again) and again.network is network
    assert networks_read()[0]["file"].startswith("gencnp-")
    for change in (dict(seed=1), dict(beta=0.5), dict(target="soft"), dict(penalty="share"), dict(floor=True),
                   dict(silence="grey"), dict(without="shared"), dict(lr=0.1)):
        train_generator(network, bright(60), **ASK | change)
        assert steps.since() == 9, change
    other = SmallNet(2).eval()
    train_generator(other, bright(60), **ASK)
    assert steps.since() == 9
    nameless = Images(bright(60).images, bright(60).labels, ["red", "green"])
    for _ in range(2):  # without a key nothing is kept
        assert equal(train_generator(network, nameless, **ASK), first)
        assert steps.since() == 9


def test_an_interrupted_training_goes_on_where_it_was(steps, network, tmp_path, monkeypatch):
    ask = ASK | dict(silence="both", augment="flip")
    steps.last = 7  # in the third epoch of three steps each
    with pytest.raises(KeyboardInterrupt):
        train_generator(network, bright(60), **ask)
    assert all(parameter.requires_grad for parameter in network.parameters())
    steps.last = None
    steps.since()
    resumed = train_generator(network, bright(60), **ask)
    assert steps.since() == 3
    monkeypatch.setenv("NBLIB_STORE", str(tmp_path / "another"))
    assert equal(train_generator(network, bright(60), **ask), resumed) and steps.since() == 9


@pytest.mark.parametrize("without", ["embedder", "shared", "quantizer"])
def test_what_the_paper_leaves_out_is_trained_too(steps, network, without):
    generator = train_generator(network, bright(60), **ASK, without=without)
    values = generator.scores(bright(10).images)
    assert all(x.isfinite().all() and 0 <= x.min() and x.max() <= 1 for x in values.values())


def test_a_mask_that_must_not_tell_forces_other_images_less(steps, network):
    data, images = bright(400), bright(100, seed=1)
    forced = {}
    for silence in (None, "both"):
        generator = train_generator(network, data, **ASK | dict(epochs=12, lr=1e-2), silence=silence, floor=True,
                                    silence_weight=3.0)
        pathway = generator.pathway(images.images)
        assert not any((~mask.flatten(1).any(1)).any() for mask in pathway.values())
        given = edited_probabilities(network, images.images, None).argmax(1)
        forced[silence] = forced_share(network, torch.full_like(images.images, 0.5), pathway, given)
    assert forced["both"] < forced[None]


def test_the_order_of_a_generator_is_a_method_of_scores(steps, network):
    generator = train_generator(network, bright(60), **ASK)
    images = bright(7, seed=2).images
    found = unit_scores(network, images, generator.layers, method="generator", generator=generator, chunk_size=3)
    for layer, values in generator.scores(images).items():
        assert torch.allclose(found[layer], values, atol=1e-6)


def test_a_generator_is_trained_on_any_device(steps, network, device):
    model = SmallNet(2).eval().to(device)
    generator = train_generator(model, bright(60), **ASK | dict(device=str(device)))
    assert all(mask.device.type == device.type for mask in generator.pathway(bright(4).images.to(device)).values())
    assert next(model.parameters()).device.type == device.type
