"""Wrong calls of neuron paths, and what is said of each."""
import torch

from nblib.methods.neuron_paths import (
    class_similarity,
    common_neurons,
    concentration,
    edited_probabilities,
    find_paths,
    joint_attribution,
    mean_activations,
    path_change,
    path_effect,
    path_integral,
    pruned_probabilities,
    rank_neurons,
    relation_agreement,
    utilisation,
)
from nblib.models.vit import neuron_layers, vit_parts
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.refusals import check, refused
from tests.fixtures.transformers import PATHS, timm_vit
from tests.models.test_vit import some_images

NET, VIT, PICTURES, LABELS = settled(SmallNet()), timm_vit(), some_images(), torch.tensor([0, 1, 2])
LAYERS = neuron_layers(VIT)

REFUSED = [
    (lambda: find_paths(None, PICTURES, 0, LAYERS), "a model of type"),
    (lambda: find_paths(VIT, None, 0, LAYERS), "images of NoneType"),
    (lambda: find_paths(VIT, PICTURES, None, LAYERS), "labels"),
    (lambda: find_paths(VIT, PICTURES, "cat", LAYERS), "labels"),
    (lambda: find_paths(VIT, PICTURES, 0, None), "layers=None"),
    (lambda: find_paths(VIT, PICTURES, 0, 3), "layers=3"),
    (lambda: find_paths(VIT, PICTURES, 0, [3]), "layer 3"),
    (lambda: find_paths(VIT, PICTURES, 0, LAYERS, steps=None), "steps=None"),
    (lambda: find_paths(VIT, PICTURES, 0, LAYERS, criterion=None), "criterion None"),
    (lambda: find_paths(VIT, PICTURES, 0, LAYERS, rerank="3"), "rerank='3'"),
    (lambda: find_paths(VIT, PICTURES, 0, LAYERS, width=None), "width=None"),
    (lambda: find_paths(VIT, PICTURES, 0, LAYERS, tokens=0), "tokens 0"),
    (lambda: find_paths(VIT, PICTURES, 0, LAYERS, chunk_size=1.5), "chunk_size=1.5"),
    (lambda: find_paths(VIT, PICTURES, 0, LAYERS, baseline=None, criterion="mean_gradient"), "baseline=None"),
    (lambda: find_paths(VIT, PICTURES, 0, LAYERS, seed=None, criterion="random"), "seed=None"),
    (lambda: rank_neurons(VIT, PICTURES, 0, LAYERS, keep=None), "keep=None"),
    (lambda: joint_attribution(VIT, PICTURES, 0, LAYERS, None), "neurons of NoneType"),
    (lambda: path_integral(VIT, PICTURES, 0, LAYERS, PATHS.numpy()), "neurons of ndarray"),
    (lambda: path_change(VIT, PICTURES, 0, LAYERS, PATHS[:, :2]), "2 layers were given for 3"),
    (lambda: edited_probabilities(VIT, PICTURES, LAYERS, PATHS, intervention=None), "intervention None"),
    (lambda: edited_probabilities(VIT, PICTURES, LAYERS, PATHS, intervention="mean", means=[1]), "means"),
    (lambda: pruned_probabilities(VIT, PICTURES, LAYERS, PATHS, sparsity=None), "sparsity=None"),
    (lambda: mean_activations(VIT, PICTURES, "head"), "expected .images, tokens, neurons"),
    (lambda: common_neurons(None, keep=1), "NoneType"),
    (lambda: common_neurons(PATHS[:, :, None], keep="1"), "keep='1'"),
    (lambda: path_effect(None, None, None), "probabilities of NoneType"),
    (lambda: path_effect(torch.eye(2), torch.eye(2), None), "labels of NoneType"),
    (lambda: utilisation(None, LABELS, size=3, classes=2), "neurons of NoneType"),
    (lambda: utilisation(PATHS, None, size=24, classes=4), "labels of NoneType"),
    (lambda: utilisation(PATHS, LABELS, size="24", classes=4), "size='24'"),
    (lambda: class_similarity(None), "utilisation of NoneType"),
    (lambda: concentration([1]), "utilisation of list"),
    (lambda: relation_agreement(None, None), "similarity of NoneType"),
    (lambda: relation_agreement(torch.eye(3), None), "related of NoneType"),
    (lambda: neuron_layers(None), "NoneType"),
    (lambda: neuron_layers(NET), "a SmallNet of"),
    (lambda: vit_parts(NET), "a SmallNet of"),
]


@refused(REFUSED)
def test_a_wrong_call_is_refused_in_words(call, said):
    check(call, said)
