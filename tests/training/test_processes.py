"""One function in several processes: errors end all, and several give what one gives."""
import functools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest
import torch

from nblib import store, training
from nblib.models import build
from nblib.training import processes
from tests.fixtures.training import equal


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


WORK = "import functools, time; from nblib.training import processes\n" \
       "processes.run(functools.partial(time.sleep, 600), 2)"


@pytest.mark.parametrize("seconds", [0, 15], ids=["at their start", "at work"])
def test_processes_end_when_the_one_that_began_them_is_killed(tmp_path, seconds):
    parent = psutil.Popen([sys.executable, "-c", WORK], cwd=store.ROOT,
                          env=os.environ | {"PYTHONPATH": str(store.ROOT), "NBLIB_STORE": str(tmp_path)})
    end = time.monotonic() + 120
    while len(family := parent.children()) < 2:
        assert time.monotonic() < end and parent.poll() is None
        time.sleep(0.1)
    time.sleep(seconds)
    parent.kill()
    parent.wait()
    time.sleep(5)
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


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
