"""The loop: order, augmentation, schedules, steps, and the state from which a training goes on."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from nblib.data import Images
from tests.fixtures.training import Stop, bright, equal, run, tiny


def seen_by_training(data, **options) -> list[torch.Tensor]:
    """Return the images of each step as a network in training meets them."""
    seen = []

    class Watching(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.LazyLinear(len(data.classes))
            self.linear(data[:1].images.flatten(1))

        def forward(self, images):
            if self.training:
                seen.append(images.clone())
            return self.linear(images.flatten(1))

    run(Watching(), data, batch_size=16, **options)
    return seen


def test_every_image_is_seen_once_an_epoch_and_steps_are_of_equal_size():
    data = bright(50)
    data.images[:, 2] = torch.arange(50.0)[:, None, None] / 50
    seen = [(batch[:, 2, 0, 0] * 50).round().long().tolist() for batch in seen_by_training(data, epochs=1)]
    assert sorted(sum(seen, [])) == list(range(50)) and [len(batch) for batch in seen] == [13, 13, 12, 12]


@pytest.mark.parametrize("augment, reach", [("flip", 0), ("crop_flip", 2)])
def test_augmentation_moves_and_mirrors_whole_images(augment, reach):
    generator = torch.Generator().manual_seed(0)
    data = Images(torch.rand(64, 3, 16, 16, generator=generator), torch.arange(64) % 2, "ab")
    seen = torch.cat(seen_by_training(data, epochs=2, augment=augment))
    padded = F.pad(data.images, (reach,) * 4)  # black where an image left
    places = [(y, x) for y in range(2 * reach + 1) for x in range(2 * reach + 1)]
    moved = torch.stack([padded[:, :, y : y + 16, x : x + 16] for y, x in places])  # (places, 64, 3, 16, 16)
    kinds = torch.stack([moved, moved.flip(4)])
    found = [(kinds == image).all((3, 4, 5)).nonzero() for image in seen]
    assert all(len(places) == 1 for places in found)  # each is one image, mirrored or not, moved as a whole
    mirrored, place, image = torch.cat(found).T
    assert sorted(image.tolist()) == sorted([*range(64)] * 2) and 40 < mirrored.sum() < 88
    assert len(place.unique()) == len(places)


@pytest.mark.parametrize("schedule, shares", [
    ("one_cycle", [0, 0.5, 1, 0.9330127, 0.75, 0.5, 0.25, 0.0669873]), ("constant", [1] * 8),
    ("cosine", [1, 0.9619398, 0.8535534, 0.6913417, 0.5, 0.3086583, 0.1464466, 0.0380602]),
])
def test_schedules(schedule, shares):
    rates = []
    hook = register_optimizer_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    try:
        run(tiny(), bright(64), epochs=2, lr=0.02, schedule=schedule)
    finally:
        hook.remove()
    assert rates == pytest.approx([0.02 * share for share in shares])


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant"])
def test_a_training_of_a_single_step_trains(schedule):
    model, constant = tiny(), tiny()
    run(model, bright(10), epochs=1, batch_size=16, schedule=schedule)
    run(constant, bright(10), epochs=1, batch_size=16, schedule="constant")
    assert not equal(model, tiny()) and equal(model, constant)


def test_one_step_is_the_formula_of_adamw():
    data, model = bright(10), nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    slow = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    slow.load_state_dict(model.state_dict())
    losses = run(model, data, epochs=1, lr=0.01, weight_decay=0.5, schedule="constant")
    loss = -F.log_softmax(slow(data.images), 1)[torch.arange(10), data.labels].mean()
    gradients = torch.autograd.grad(loss, list(slow.parameters()))
    for (name, weight), gradient in zip(slow.named_parameters(), gradients):
        decay = 0.5 if name.endswith("weight") else 0.0
        expected = weight * (1 - 0.01 * decay) - 0.01 * gradient / (gradient.abs() + 1e-8)  # the first step is the sign
        torch.testing.assert_close(model.get_parameter(name), expected, check_stride=False)
    assert losses == pytest.approx([loss.item()])


def test_after_step_sees_the_model_after_every_step():
    model, calls = tiny(), []

    def hold(trained):
        calls.append(trained is model)
        trained[0].weight[0] = 0

    run(model, after_step=hold)
    assert calls == [True] * 12 and not model[0].weight[0].any() and model[0].weight[1].all()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_an_interrupted_training_ends_with_exactly_the_same_weights(tmp_path, optimizer):
    options = dict(epochs=4, augment="crop_flip", optimizer=optimizer, lr=0.01)
    whole, parts, path = tiny(), tiny(), tmp_path / "state.safetensors"
    losses = run(whole, **options)
    calls = []

    def stop(model):
        calls.append(None)
        if len(calls) == 10:  # in the third epoch of four steps each
            raise Stop

    with pytest.raises(Stop):
        run(parts, after_step=stop, checkpoint=path, **options)
    assert not parts.training
    fresh = tiny(seed=9)
    assert run(fresh, checkpoint=path, **options) == losses and equal(fresh, whole)
    assert run(tiny(seed=8), checkpoint=path, **options) == losses  # it is finished, and nothing is done
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_checkpoint_of_another_run_or_a_torn_one_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    run(tiny(), checkpoint=path)
    with pytest.raises(ValueError, match=r"state\.safetensors.*another training.*epochs is 4 here and 3 there"):
        run(tiny(), checkpoint=path, epochs=4)
    with pytest.raises(ValueError, match=r"state\.safetensors.*another shape"):
        run(tiny(classes=3), checkpoint=path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"state\.safetensors is truncated"):
        run(tiny(), checkpoint=path)


def test_a_loss_that_is_not_finite_names_epoch_and_step():
    data = bright(32)
    with pytest.raises(RuntimeError, match="epoch 1, step 2 of 2.*lower lr"):
        run(tiny(), data, lr=1e30, schedule="constant", batch_size=16)
