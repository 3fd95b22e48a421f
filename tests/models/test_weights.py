"""Weights on disk: read whole, of this model, or refused by name."""
import os

import pytest
import torch
from safetensors.torch import save_file

from nblib.models import build, weights


def test_weights_of_another_model_or_a_torn_file_are_refused_by_name(tmp_path):
    path = tmp_path / "small.safetensors"
    model = build("small_resnet", classes=3, size=32, seed=1)
    weights.write(path, model.state_dict())
    loaded = build("small_resnet", classes=3, size=32, seed=2, weights=path)
    assert torch.equal(loaded.conv1.weight, model.conv1.weight)
    with pytest.raises(ValueError, match=r"small\.safetensors.*shape.*linear\.weight \(3, 96\) instead of \(4, 96\)"):
        build("small_resnet", classes=4, size=32, weights=path)
    with pytest.raises(ValueError, match=r"small\.safetensors.*missing.*unexpected"):
        build("small_b_cos", classes=3, size=32, weights=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"small\.safetensors is truncated"):
        build("small_resnet", classes=3, size=32, weights=path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"small\.safetensors is truncated"):
        build("small_resnet", classes=3, size=32, weights=path)
    with pytest.raises(ValueError, match=r"no weights at .*none\.safetensors"):
        build("small_resnet", classes=3, size=32, weights=tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="no weights are published"):
        build("small_resnet", classes=3, size=32, weights="default")


class Trap:
    def __reduce__(self):
        return os.getcwd, ()


def test_a_file_that_holds_more_than_weights_is_not_loaded(tmp_path):
    torch.save({"state_dict": {"a": Trap()}}, tmp_path / "trap.th")
    with pytest.raises(ValueError, match=r"trap\.th.*more than weights"):
        weights.read(tmp_path / "trap.th")


def test_a_refusal_of_a_pickle_gives_no_advice_to_load_it_all_the_same(tmp_path):
    torch.save({"state_dict": {"a": Trap()}}, tmp_path / "trap.th")
    with pytest.raises(ValueError) as refused:
        weights.read(tmp_path / "trap.th")
    assert "weights_only" not in str(refused.value) and "safe_globals" not in str(refused.value)


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "model.", "module._orig_mod.", "net.encoder."])
def test_a_prefix_that_all_names_share_is_seen_through(tmp_path, prefix):

    net = build("small_resnet", classes=4, size=32, seed=3)
    state = {prefix + name: value.clone().contiguous() for name, value in net.state_dict().items()}
    torch.save(state, tmp_path / "w.pth")
    save_file(state, tmp_path / "w.safetensors")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "s.pth")
    for name in ("w.pth", "w.safetensors", "s.pth"):
        again = build("small_resnet", classes=4, size=32, weights=tmp_path / name)
        pairs = zip(net.state_dict().values(), again.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    lost = next(iter(state))
    del state[lost]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=rf"1 missing \({lost.removeprefix(prefix)}\)"):
        build("small_resnet", classes=4, size=32, weights=tmp_path / "w.pth")


def test_a_stored_weight_with_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "w.safetensors"
    weights.write(path, build("small_resnet", classes=4, size=32).state_dict())
    weights.read(path)
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="w.safetensors.*not those that were written"):
        weights.read(path)


def test_a_file_of_weights_has_the_permissions_that_the_user_chose(tmp_path):
    before = os.umask(0o027)
    try:
        weights.write(tmp_path / "small.safetensors", {"a": torch.ones(2)})
    finally:
        os.umask(before)
    assert (tmp_path / "small.safetensors").stat().st_mode & 0o777 == 0o640
