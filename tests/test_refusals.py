"""Wrong calls of hooks and targets, and what is said of each."""
import torch
from torch import nn

from nblib.hooks import capture, edit, find, output_shapes, relu_gradient
from nblib.targets import class_logit, class_probability, contrast, entropy, max_logit, surprisal, top_k_sum
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.refusals import check, refused
from tests.fixtures.saliency import some_images

NET, IMAGES, LOGITS = settled(SmallNet()), some_images(), torch.rand(3, 4)


def entered(context):
    """Run a network within a context."""
    with context:
        NET(IMAGES)


REFUSED = [
    (lambda: entered(capture(None, ["conv1"])), "a model of type NoneType"),
    (lambda: entered(capture(NET, None)), "layers=None"),
    (lambda: entered(capture(NET, 3)), "layers=3"),
    (lambda: entered(capture(NET, [3])), "layer 3"),
    (lambda: entered(capture(NET, [None])), "layer None"),
    (lambda: entered(capture(NET, ["conv7"])), "nearest: 'conv"),
    (lambda: entered(capture(NET, NET.conv1)), "layers=Conv2d"),
    (lambda: entered(edit(None, {})), "a model of type"),
    (lambda: entered(edit(NET, None)), "edits None"),
    (lambda: entered(edit(NET, ["conv1"])), r"edits \['conv1'\]"),
    (lambda: entered(edit(NET, {"conv1": 0})), "edits"),
    (lambda: entered(edit(NET, {3: torch.relu})), "layer 3"),
    (lambda: entered(edit(NET, {"conv1": lambda t: None})), "returned NoneType"),
    (lambda: find(NET, None), "layer None"),
    (lambda: find(None, "conv1"), "a model of type"),
    (lambda: output_shapes(None, IMAGES), "a model of type"),
    (lambda: output_shapes(NET, None), "images of NoneType"),
    (lambda: entered(relu_gradient(None, torch.relu)), "a model of type"),
    (lambda: entered(relu_gradient(NET, None)), "rule=None"),
    (lambda: entered(relu_gradient(nn.Linear(2, 2), torch.relu)), "no nn.ReLU module"),
    (lambda: class_logit(None)(LOGITS), "labels"),
    (lambda: class_logit("a")(LOGITS), "labels"),
    (lambda: class_logit([0, 1])(LOGITS), "labels of shape"),
    (lambda: class_logit(0)(None), "logits of NoneType"),
    (lambda: class_logit(0)(LOGITS[0]), "logits of shape"),
    (lambda: class_probability({})(LOGITS), "labels"),
    (lambda: max_logit()(None), "logits of NoneType"),
    (lambda: entropy()(LOGITS.tolist()), "logits of list"),
    (lambda: top_k_sum(None)(LOGITS), "k=None"),
    (lambda: top_k_sum(0)(LOGITS), "k=0"),
    (lambda: contrast(1)(LOGITS), "two, one was given"),
    (lambda: contrast(None, 1)(LOGITS), "two, one was given"),
    (lambda: surprisal(None, None), "mean of NoneType"),
    (lambda: surprisal(torch.zeros(4), None), "covariance of NoneType"),
    (lambda: surprisal(torch.zeros(4), torch.eye(3)), r"expected \(K,\) and \(K, K\)"),
    (lambda: surprisal(torch.zeros(4), -torch.eye(4)), "not positive definite"),
    (lambda: surprisal(torch.zeros(4), torch.eye(4) * torch.nan), "not"),
]


@refused(REFUSED)
def test_a_wrong_call_is_refused_in_words(call, said):
    check(call, said)
