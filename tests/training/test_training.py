"""Training: the loop, its state on disk, several processes, and what it refuses."""
import functools
import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nblib import store, training
from nblib.data import Images, load
from nblib.models import build
from nblib.training import kept as kept_trainings
from nblib.training import loop, processes
from tests.fixtures.training import Stop, Tiny, bright, equal, run, tiny

torch.set_num_threads(2)


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


@pytest.mark.parametrize("schedule, start, half_way", [("one_cycle", 0, 0.75), ("cosine", 1, 0.5), ("constant", 1, 1)])
def test_schedules(schedule, start, half_way):
    assert loop.SCHEDULE[schedule](0.0) == start
    assert loop.SCHEDULE[schedule](0.5) == pytest.approx(half_way)


def test_every_image_is_seen_once_an_epoch_and_steps_are_of_equal_size():
    seen, data = [], bright(50)
    data.images[:, 2] = torch.arange(50.0)[:, None, None] / 50

    class Watching(Tiny):
        def forward(self, images):
            if self.training:
                seen.append((images[:, 2, 0, 0] * 50).round().long().tolist())
            return super().forward(images)

    run(Watching(), data, epochs=1, batch_size=16)
    assert sorted(sum(seen, [])) == list(range(50)) and [len(batch) for batch in seen] == [13, 13, 12, 12]


def test_augmentation_moves_and_mirrors_whole_images():
    images = torch.arange(1.0, 257).reshape(1, 1, 16, 16).expand(2, 3, 16, 16)
    chance = torch.tensor([[0.9, 0.5, 0.5], [0.1, 0.0, 0.99]])  # (mirror below one half, move in y, move in x)
    moved = loop.AUGMENT["crop_flip"](images, chance)
    assert torch.equal(moved[0], images[0])  # in the middle, and not mirrored
    expected = torch.zeros(3, 16, 16)
    expected[:, 2:, :14] = images[1][:, :14, 2:]
    assert torch.equal(moved[1], expected.flip(2))
    assert torch.equal(loop.AUGMENT["flip"](images, chance)[1], images[1].flip(2))


def test_a_b_cos_network_trains_on_its_own_loss_and_other_losses_can_be_given():
    data = bright(24)
    logits = build("small_b_cos", classes=2, size=8).train()(data.images)
    targets = torch.full((24, 2), 0.5).scatter(1, data.labels[:, None], 1.0)
    expected = F.binary_cross_entropy_with_logits(logits, targets)
    losses = run(build("small_b_cos", classes=2, size=8), data, epochs=1, batch_size=24)
    assert losses == pytest.approx([expected.item()], rel=1e-4)
    given = run(tiny(), epochs=1, loss=lambda logits, labels: logits.square().mean() * 0 + 7.0)
    assert given == pytest.approx([7.0])


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


def test_a_loss_that_is_not_finite_names_epoch_and_step():
    data = bright(32)
    with pytest.raises(RuntimeError, match="epoch 1, step 2 of 2.*lower lr"):
        run(tiny(), data, lr=1e30, schedule="constant", batch_size=16)


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


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """An empty store, and the list of trainings that were done."""
    monkeypatch.setenv("NBLIB_STORE", str(tmp_path))
    done, fit = [], training.fit
    counted = functools.wraps(fit)(lambda *a, **k: (done.append(k), fit(*a, **k))[1])
    for module in (training, kept_trainings):
        monkeypatch.setattr(module, "fit", counted)
    return done


def test_a_model_is_trained_once_for_its_key(kept, tmp_path):
    ask = dict(epochs=1, batch_size=16, device="cpu")
    first = training.trained("small_resnet", bright(32), **ask)
    again = training.trained("small_resnet", bright(32), progress=False, **ask)
    assert len(kept) == 1 and equal(first, again) and not again.training
    for change in (dict(seed=1), dict(epochs=2), dict(lr=0.1), dict(data=bright(34))):
        options = ask | change
        training.trained("small_resnet", options.pop("data", bright(32)), **options)
    assert len(kept) == 5
    files = [path for path in (tmp_path / "models").iterdir() if path.suffix == ".safetensors"]
    assert len(files) == 5 and not any("training" in path.name for path in files)
    target = next(path for path in files)
    for path in files:
        path.write_bytes(path.read_bytes()[:200])
    with pytest.warns(UserWarning, match="truncated"):
        assert equal(training.trained("small_resnet", bright(32), **ask), first)
    assert len(kept) == 6 and target.exists()


def test_an_interrupted_trained_goes_on_and_a_readers_file_is_part_of_the_key(kept, tmp_path, monkeypatch):
    source = "from tests.fixtures.training import Tiny\n\n\ndef make(classes, size):\n    return Tiny(classes)\n"
    (tmp_path / "own_net.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    ask = dict(epochs=3, batch_size=16, device="cpu")
    calls, epoch = [], loop._epoch

    def broken(*arguments):
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return epoch(*arguments)

    monkeypatch.setattr(loop, "_epoch", broken)
    with pytest.raises(KeyboardInterrupt):
        training.trained("own_net:make", bright(), **ask)
    model = training.trained("own_net:make", bright(), **ask)
    assert len(calls) == 4  # two epochs and the interrupted one, then only the third
    whole = build("own_net:make", classes=2, size=8)
    monkeypatch.setattr(loop, "_epoch", epoch)
    run(whole)
    assert equal(model, whole)
    training.networks_read()
    training.trained("own_net:make", bright(), **ask)
    (told,) = [network["training"] for network in training.networks_read()]
    assert told["resumed"] and told.items() >= training.conditions("cpu").items(), "as its file tells"
    assert len(kept) == 3  # the interrupted one, the second, and `run` of this test; not the last
    (tmp_path / "own_net.py").write_text(source + "# changed\n")
    training.trained("own_net:make", bright(), **ask)
    assert len(kept) == 4


def test_what_cannot_be_kept_is_refused(kept):
    with pytest.raises(ValueError, match="after_step"):
        training.trained("small_resnet", bright(), epochs=1, after_step=print)
    with pytest.raises(ValueError, match="'epoch' was given, expected .*nearest: 'epochs'"):
        training.trained("small_resnet", bright(), epoch=1)
    with pytest.raises(ValueError, match="no key"):
        training.trained("small_resnet", Images(torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), "ab"), epochs=1)


def test_an_error_in_one_of_several_processes_ends_all_and_says_what_it_was():
    with pytest.raises(RuntimeError, match="no such folder"):
        processes.run(os.listdir, 2, path="no such folder")
    with pytest.raises(ValueError, match="Expecting value"):
        processes.run(json.loads, 2, s="no JSON")
    with pytest.raises(RuntimeError, match="status -9.*killed"):
        processes.run(functools.partial(signal.raise_signal, signal.SIGKILL), 1)


SCRIPT = """
    import sys
    import torch
    from nblib.models import build
    from nblib.training import fit, save
    from nblib.data import Images

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    data = Images(torch.rand(45, 3, 8, 8, generator=generator).double(), torch.arange(45) % 3, "abc", key="k")
    for name in ("small_resnet", "small_b_cos"):
        for devices in (1, 2):
            model = build(name, classes=3, size=8).double()  # in float32 AdamW turns rounding into steps
            losses = fit(model, data, epochs=2, batch_size=16, augment="crop_flip", device="cpu", devices=devices)
            save(model, f"{sys.argv[1]}/{name}-{devices}.safetensors", losses=losses)
"""


def test_two_processes_give_what_one_gives(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, cwd=store.ROOT,
                          env=os.environ | {"PYTHONPATH": str(store.ROOT)})
    assert done.returncode == 0, done.stderr[-3000:]
    for name in ("small_resnet", "small_b_cos"):
        one, two = (build(name, classes=3, size=8).double() for _ in range(2))
        losses = [training.load(model, tmp_path / f"{name}-{count}.safetensors")["losses"]
                  for count, model in ((1, one), (2, two))]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
        assert not equal(one, build(name, classes=3, size=8).double())
        for first, second in zip(one.state_dict().values(), two.state_dict().values()):
            torch.testing.assert_close(first, second, rtol=1e-7, atol=1e-7)


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
