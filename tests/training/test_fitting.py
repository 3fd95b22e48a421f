"""Training and measuring a classifier: it learns, a seed decides everything, wrong input is refused before any work."""
import pytest
import torch
import torch.nn.functional as F

from nblib import training
from nblib.data import Images, load
from nblib.models import build
from tests.fixtures.training import bright, equal, run, tiny


def test_training_learns_ends_in_evaluation_mode_and_leaves_no_trace(device):
    model = tiny()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    losses = run(model, epochs=12, lr=1e-2, device=str(device))
    assert len(losses) == 12 and losses[-1] < losses[0] / 2
    assert training.evaluate(model, bright(seed=1)) > 0.9
    assert not any(module.training for module in model.modules())
    assert all(p.grad is None and p.device.type == "cpu" for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_seed_decides_everything_on_a_cpu():
    models = [tiny() for _ in range(3)]
    for model, seed in zip(models, (1, 1, 2)):
        run(model, seed=seed, augment="crop_flip")
    assert equal(models[0], models[1]) and not equal(models[0], models[2])


def test_a_b_cos_network_trains_on_its_own_loss_and_other_losses_can_be_given():
    data = bright(24)
    logits = build("small_b_cos", classes=2, size=8).train()(data.images)
    targets = torch.full((24, 2), 0.5).scatter(1, data.labels[:, None], 1.0)
    expected = F.binary_cross_entropy_with_logits(logits, targets)
    losses = run(build("small_b_cos", classes=2, size=8), data, epochs=1, batch_size=24)
    assert losses == pytest.approx([expected.item()], rel=1e-4)
    given = run(tiny(), epochs=1, loss=lambda logits, labels: logits.square().mean() * 0 + 7.0)
    assert given == pytest.approx([7.0])


@pytest.mark.parametrize("wrong, says", [
    (dict(epochs=0), "epochs=0"), (dict(epochs=1.5), "epochs=1.5"), (dict(batch_size=0), "batch_size=0"),
    (dict(devices=0), "devices=0"), (dict(lr=float("nan")), "lr=nan"), (dict(weight_decay=-1), "weight_decay=-1"),
    (dict(schedule="cosin"), "cosine"), (dict(optimizer="adam"), "adamw"), (dict(augment="flipp"), "flip"),
    (dict(precision="32"), "32-true"), (dict(device="cuda:99"), "cuda:99"), (dict(device="gpu"), "'cpu'"),
    (dict(data=bright()[:0]), "no images"),
    (dict(data=Images(torch.rand(3, 3, 8, 8), torch.tensor([0, 1, 2]), "abc")), "label 2 was given.*0 to 1"),
    (dict(batch_size=1, devices=2), "2 device"), (dict(devices=2, after_step=lambda model: None), "lambda"),
])
def test_what_is_wrong_is_refused_before_any_work(wrong, says):
    model = tiny()
    with pytest.raises(ValueError, match=says):
        run(model, **wrong)
    assert equal(model, tiny())


def test_devices_by_name():
    assert training.choose_device("cpu") == torch.device("cpu")
    assert training.choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ValueError, match="'cuda:99' was given.*'cpu'"):
        training.choose_device("cuda:99")


def test_predictions_do_not_depend_on_batches_and_leave_the_modes_of_the_model(device):
    model, data = tiny().to(device).train(), bright()
    model[1].eval()
    logits = training.predict(model, data.images, batch_size=7)
    modes = [module.training for module in model]
    assert modes == [True, False, True, True, True, True] and not logits.requires_grad
    torch.testing.assert_close(logits, training.predict(model, data.images))
    share = (logits.argmax(1) == data.labels).float().mean().item()
    assert training.evaluate(model, data, batch_size=7) == pytest.approx(share)
    with pytest.raises(ValueError, match="expected"):
        training.predict(model, data.images[:0])
    with pytest.raises(ValueError, match="no images"):
        training.evaluate(model, data[:0])


def test_saving_and_loading_a_model_and_its_description(tmp_path):
    path, model, other = tmp_path / "tiny.safetensors", tiny(), tiny(seed=1)
    training.save(model, path, name="tiny", epochs=3)
    assert training.load(other, path) == {"name": "tiny", "epochs": 3} and equal(model, other)
    wider = tiny(classes=3)
    with pytest.raises(ValueError, match=r"tiny\.safetensors.*another shape"):
        training.load(wider, path)
    assert equal(wider, tiny(classes=3))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"tiny\.safetensors is truncated"):
        training.load(other, path)


@pytest.mark.parametrize("name, folder", [("imagenette", "imagenette2-160"), ("cifar10-5k", "cifar10-5k")])
def test_a_small_network_learns_real_photographs(real, name, folder):
    if not (real / folder).is_dir():
        pytest.skip(f"{folder} is not among the real images here")
    name = name if name == "imagenette" else f"folder:{real / folder}"
    images = load(name, split="fit", size=32, limit=2000, data_dir=real)
    held_out = load(name, split="held_out", size=32, limit=500, data_dir=real)
    model = build("small_resnet", classes=len(images.classes), size=32)
    training.fit(model, images, epochs=5, augment="flip", progress=False)
    assert training.evaluate(model, held_out) > 0.3  # chance is 0.1


def test_networks_that_cannot_learn_are_refused():
    frozen = tiny().requires_grad_(False)
    for model in (frozen, torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())):
        with pytest.raises(ValueError, match="no weights that can learn"):
            run(model)
    frozen[-1].requires_grad_(True)
    before = frozen[0].weight.clone()
    run(frozen, epochs=1)
    assert torch.equal(frozen[0].weight, before)


def test_the_generators_of_all_devices_are_left_alone(device):
    """Of the GPUs too, whether the work is theirs or not."""
    from nblib.metrics import randomized_stages

    states = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]
    model = tiny()
    run(model, epochs=1, device=str(device))
    randomized_stages(model.to(device), count=2)
    training.predict(model.to(device), bright().images.to(device))
    after = [torch.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [])]
    assert all(map(torch.equal, states, after))


def test_no_source_seeds_all_generators_at_once():
    from nblib.store import sources

    for path in sources(""):
        assert "torch.manual_seed(" not in path.read_text() and "seed_all(" not in path.read_text(), path
