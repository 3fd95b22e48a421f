"""A network in two halves: which layers cut it, and what the second half gives."""
import torch

from nblib.engine import cut_layers, logits_after
from nblib.hooks import capture
from nblib.models import build
from tests.fixtures.concepts import Variant, some_images
from tests.fixtures.networks import SmallNet, settled


def test_the_second_half_gives_the_logits_of_whole_passes():
    model, images = settled(SmallNet()), some_images()
    rest, output, logits = logits_after(model, "relu1", images, chunk_size=3)
    with torch.no_grad(), capture(model, ["relu1"]) as seen:
        torch.testing.assert_close(model(images), logits)
    torch.testing.assert_close(seen["relu1"], output)
    torch.testing.assert_close(rest(output), logits)
    changed = output * torch.rand(output.shape[1], 1, 1, dtype=output.dtype)
    with torch.no_grad():
        torch.testing.assert_close(rest(changed), model.head(model.pool(model.relu2(model.bn2(model.conv2(
            changed)))).flatten(1)))


def test_cuts_are_blocks_and_not_what_is_inside_them():
    model, images = build("small_resnet", classes=4, size=16, seed=1), torch.rand(2, 3, 16, 16)
    cuts = cut_layers(model, images)
    assert {"conv1", "layer1", "layer2.0", "layer3", "pool"} <= set(cuts)
    assert not {"layer1.0.conv1", "layer2.0.bn2", "linear", ""} & set(cuts)
    assert cuts["layer2"] == (48, 4, 4) and list(cuts).index("layer1") < list(cuts).index("layer2.0")


def test_a_layer_with_a_way_around_it_is_no_cut():
    assert "again" not in cut_layers(settled(Variant("around")), some_images()[:2])
