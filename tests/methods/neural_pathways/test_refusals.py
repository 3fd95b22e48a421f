"""Wrong calls of neural pathways, and what is said of each."""
import torch
from torch import nn

from nblib.methods.neural_pathways import (
    between_share,
    class_iou,
    class_pathway,
    class_table,
    class_variances,
    confidence,
    donors,
    edited_probabilities,
    empty_layers,
    firing_rates,
    firing_sparsity,
    forced_share,
    keep,
    magnitude,
    mask_probe,
    pair_accuracy,
    pairwise_iou,
    part_shares,
    pathway_grad_cam,
    pathway_gradient,
    plane,
    related_iou,
    relu_layers,
    remove,
    removal_accuracy,
    scale,
    select,
    strongest_channel,
    train_generator,
    transfer,
    unit_scores,
)
from nblib.data import Images
from nblib.models.gencnp import Generator
from tests.fixtures.neural_pathways import LAYERS, Twice, small, some_pathways
from tests.fixtures.networks import LinearNet, settled
from tests.fixtures.refusals import check, refused
from tests.fixtures.saliency import some_images
from tests.fixtures.training import bright

NET, PICTURES, LABELS = small(), some_images(3), torch.tensor([0, 1, 1])
PATHS, SCORES = some_pathways(3), {layer: mask.double() for layer, mask in some_pathways(3).items()}
OTHERS = Generator(small(classes=3), {"relu1": (6, 12, 12), "relu2": (8, 6, 6)}, hidden=4).double()


def scored(method: str, **options):
    return unit_scores(NET, PICTURES, LAYERS, method=method, **options)


def train(**options):
    return train_generator(small().float(), bright(20), **dict(epochs=1, hidden=4, device="cpu") | options)


REFUSED = [
    (lambda: relu_layers(None, PICTURES), "a model of type"),
    (lambda: relu_layers(settled(LinearNet(12)), PICTURES), "no nn.ReLU module"),
    (lambda: relu_layers(settled(Twice()), PICTURES), "runs 2 times"),
    (lambda: relu_layers(small().train(), PICTURES), "training mode"),
    (lambda: unit_scores(None, PICTURES, LAYERS, method="taylor"), "a model of type"),
    (lambda: unit_scores(NET, None, LAYERS, method="taylor"), "images of NoneType"),
    (lambda: unit_scores(NET, PICTURES[:0], LAYERS, method="taylor"), "at least one image"),
    (lambda: unit_scores(NET, PICTURES, None, method="taylor"), "layers=None"),
    (lambda: unit_scores(NET, PICTURES, [], method="taylor"), "one or more"),
    (lambda: unit_scores(NET, PICTURES, ["relu7"], method="taylor"), "nearest: 'relu"),
    (lambda: scored("tailor"), "nearest: 'taylor'"),
    (lambda: scored("taylor", target=3), "class_logit"),
    (lambda: scored("taylor", steps=3), "taylor: option"),
    (lambda: scored("taylor", chunk_size=0), "chunk_size=0"),
    (lambda: scored("random", seed=-1), "seed=-1"),
    (lambda: scored("integrated_gradients", steps=0), "steps=0"),
    (lambda: scored("integrated_gradients", quadrature="simpson"), "'simpson'"),
    (lambda: scored("greedy"), "sparsity was not given"),
    (lambda: scored("greedy", sparsity=1), "share below 1"),
    (lambda: scored("greedy", sparsity=-0.1), "sparsity=-0.1"),
    (lambda: scored("greedy", sparsity=0.5, round_share=0), "round_share=0"),
    (lambda: scored("dgr", iterations=0), "iterations=0"),
    (lambda: scored("dgr", rate=0), "rate=0"),
    (lambda: scored("dgr", penalty=-1), "penalty=-1"),
    (lambda: scored("dgr_random", momentum=1), "momentum=1"),
    (lambda: scored("generator"), "expected Generator"),
    (lambda: scored("generator", generator=OTHERS), "a generator of another network"),
    (lambda: magnitude(None), "scores of NoneType"),
    (lambda: select([1], 0.5), "scores of list"),
    (lambda: select({}, 0.5), "not empty"),
    (lambda: select(SCORES, 1.0), "share below 1"),
    (lambda: select(SCORES, -0.2), "sparsity=-0.2"),
    (lambda: select(SCORES, None), "sparsity=None"),
    (lambda: select(SCORES, 0.5, scope="channel"), "'channel'"),
    (lambda: select({"a": torch.full((2, 3), torch.nan)}, 0.5), "NaN"),
    (lambda: select({"a": torch.rand(2, 3)}, 0.99), "leaves none of 3 units"),
    (lambda: select({"a": torch.rand(2, 3), "b": torch.rand(3, 3)}, 0.5), "as many in each layer"),
    (lambda: keep(None), "NoneType"),
    (lambda: keep(SCORES), "float64, expected truth values"),
    (lambda: remove({"a": [True]}), "masks of layer 'a' of list"),
    (lambda: scale(PATHS, None), "factor=None"),
    (lambda: edited_probabilities(NET, PICTURES, PATHS, intervention="double"), "'double'"),
    (lambda: edited_probabilities(NET, PICTURES, some_pathways(2)), "pathways of 2 images were given with 3"),
    (lambda: edited_probabilities(NET, some_images(3, size=8), PATHS), r"\(3, 6, 12, 12\).*relu1.*\(3, 6, 8, 8\)"),
    (lambda: edited_probabilities(NET, PICTURES, {"relu9": PATHS["relu1"]}), "nearest: 'relu"),
    (lambda: firing_sparsity(None), "NoneType"),
    (lambda: empty_layers(SCORES), "truth values"),
    (lambda: confidence(None, None, LABELS), "probabilities of NoneType"),
    (lambda: confidence(torch.eye(3), torch.eye(2), LABELS), "one shape for both"),
    (lambda: confidence(torch.eye(3), torch.eye(3), None), "labels"),
    (lambda: removal_accuracy(NET, PICTURES, LABELS, SCORES, sparsities=[]), "no sparsities"),
    (lambda: removal_accuracy(NET, PICTURES, LABELS, SCORES, sparsities=[1.0]), "share below 1"),
    (lambda: firing_rates(PATHS, LABELS, 3), "class 2 has no image"),
    (lambda: firing_rates(PATHS, LABELS, 1), "label 1"),
    (lambda: class_pathway(PATHS, LABELS, 4), "a class without an image"),
    (lambda: class_pathway(PATHS, LABELS, 1, threshold=1), "threshold=1"),
    (lambda: class_pathway(PATHS, LABELS, 1, left_out=-1), "left_out=-1"),
    (lambda: class_pathway(PATHS, LABELS[:2], 1), "labels of shape"),
    (lambda: class_iou(PATHS, torch.tensor([0, 1, 2])), "at most one image"),
    (lambda: pairwise_iou(SCORES), "truth values"),
    (lambda: related_iou(torch.eye(3), LABELS, LABELS[:2]), "labels of shape"),
    (lambda: part_shares({"a": torch.rand(5, 4)}, 2, 3), "5 classes were given, expected 2 × 3"),
    (lambda: part_shares({"a": torch.rand(5, 4)}, 1, 5), "first=1"),
    (lambda: between_share(torch.rand(3), LABELS[:2]), "labels of shape"),
    (lambda: transfer(NET, PICTURES, LABELS, PATHS, left_out=0.0), "leaves no image"),
    (lambda: transfer(NET, PICTURES, torch.zeros(3, dtype=torch.long), PATHS), "one class"),
    (lambda: donors(torch.zeros(3, dtype=torch.long)), "labels of one class"),
    (lambda: forced_share(NET, PICTURES, PATHS, torch.tensor([0, 1, 9])), "label 9"),
    (lambda: pair_accuracy(NET, PICTURES, LABELS, {0: PATHS}), "two or more"),
    (lambda: mask_probe(PATHS, torch.tensor([0, 1, 2])), "fewer than two classes"),
    (lambda: class_table(PATHS, LABELS, 3, sparsity=0.5), "class 2 has no image"),
    (lambda: class_variances(torch.zeros(3, 2), LABELS), "does not vary"),
    (lambda: plane(torch.rand(20, 3), perplexity=30), "perplexity=30"),
    (lambda: pathway_gradient(NET, PICTURES, some_pathways(2)), "pathways of 2 images"),
    (lambda: pathway_grad_cam(NET, PICTURES, PATHS, layer="conv1"), "one of the pathway"),
    (lambda: strongest_channel(torch.rand(3, 4)), r"expected \(N, C, H, W\)"),
    (lambda: train_generator(None, bright(20)), "a model of type"),
    (lambda: train_generator(small().float(), bright(20).images), "expected Images"),
    (lambda: train_generator(small().float(), bright(20)[:0]), "no images"),
    (lambda: train_generator(settled(LinearNet(8)).float(), bright(20)), "no nn.ReLU module"),
    (lambda: train_generator(settled(Twice()).float(), bright(20)), "runs 2 times"),
    (lambda: train(target="label"), "'label'"),
    (lambda: train(penalty="l2"), "'l2'"),
    (lambda: train(silence="noise"), "'noise'"),
    (lambda: train(beta=-1), "beta=-1"),
    (lambda: train(hiden=3), "nearest: 'hidden'"),
    (lambda: train(kernel=5, layers=["relu1"], epochs=0), "epochs=0"),
    (lambda: train(kernel=4, layers=["relu1"]), "odd"),
    (lambda: train(kernel={"relu1": 4}), "8 × 8"),
    (lambda: train(layers=["head"]), "channels and places"),
    (lambda: train(epochs=0), "epochs=0"),
    (lambda: train(optimizer="rmsprop"), "'rmsprop'"),
    (lambda: train_generator(small().float(), Images(bright(4).images, bright(4).labels, "ab", not_for_training="few")),
     "not for training"),
    (lambda: train_generator(nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(192, 2)).eval(), bright(20)), "places"),
]


@refused(REFUSED)
def test_a_wrong_call_is_refused_in_words(call, said):
    check(call, said)
