"""Wrong calls of the room, and what is said of each."""
import torch

from nblib.methods.importance import (
    FixedMap,
    PermutedMap,
    RandomMap,
    answer_with,
    importance_map,
    insertion_deletion,
    parts_of,
    train_embedding,
    train_importance,
    train_pixel,
    zeroing_curves,
)
from tests.fixtures.importance import an_ea, an_ia, some_images, spotted
from tests.fixtures.networks import SmallNet, settled
from tests.fixtures.refusals import check, refused

IA = an_ia()
EA, NET, IMAGES, LABELS = an_ea(IA), settled(SmallNet()), some_images(3), torch.tensor([0, 1, 2])
MAPS, DATA = IA.scores(IMAGES).detach(), spotted(8)
ASK = {"epochs": 1, "progress": False, "device": "cpu"}


def training(model):
    """A copy of the IA in training mode."""
    return an_ia().train()


REFUSED = [
    (lambda: importance_map(None, IMAGES), "expected ImportanceModel or EmbeddingModel"),
    (lambda: importance_map(NET, IMAGES), "a model of type SmallNet"),
    (lambda: importance_map(training(IA), IMAGES), "is in training mode"),
    (lambda: importance_map(IA, None), "images of NoneType"),
    (lambda: importance_map(IA, IMAGES[:0]), "at least one image"),
    (lambda: importance_map(IA, IMAGES.float()), "images are torch.float32"),
    (lambda: importance_map(IA, IMAGES / 0), "not finite"),
    (lambda: importance_map(IA, some_images(2, 24)), "this importance is of 16 × 16"),
    (lambda: importance_map(IA, IMAGES, chunk_size=0), "chunk_size=0"),
    (lambda: parts_of(NET, IMAGES), "expected ImportanceModel"),
    (lambda: answer_with(IA, IMAGES, None), "an importance of NoneType"),
    (lambda: answer_with(IA, IMAGES, MAPS[:2]), r"expected \(3, 4, 4\): one value a patch"),
    (lambda: answer_with(IA, IMAGES, torch.rand(3, 2, 2)), "one value a patch"),
    (lambda: answer_with(IA, IMAGES, MAPS / 0), "not finite"),
    (lambda: insertion_deletion(NET, IMAGES, LABELS), "expected ImportanceModel"),
    (lambda: insertion_deletion(EA, IMAGES, None), "labels"),
    (lambda: insertion_deletion(EA, IMAGES, LABELS[:2]), "labels of shape"),
    (lambda: insertion_deletion(EA, IMAGES, LABELS + 9), "the model has 4 classes"),
    (lambda: insertion_deletion(EA, IMAGES, LABELS, thresholds=[1.1]), "thresholds=1.1 was given, expected .* 0 to 1"),
    (lambda: insertion_deletion(EA, IMAGES, LABELS, thresholds=[-0.1]), "thresholds=-0.1"),
    (lambda: insertion_deletion(EA, IMAGES, LABELS, thresholds=[]), "expected one number or more in a list"),
    (lambda: insertion_deletion(EA, IMAGES, LABELS, thresholds=0.5), "expected one number or more in a list"),
    (lambda: insertion_deletion(EA, IMAGES, LABELS, thresholds="0.5"), "expected one number or more in a list"),
    (lambda: zeroing_curves(EA, IMAGES, LABELS, shares=[50]), "shares=50"),
    (lambda: zeroing_curves(EA, IMAGES, LABELS, shares=None), "shares=None"),
    (lambda: zeroing_curves(EA, IMAGES, LABELS, shares=[0.5], draws=0), "draws=0"),
    (lambda: zeroing_curves(EA, IMAGES, LABELS, shares=[0.5], seed="a"), "seed='a'"),
    (lambda: FixedMap(MAPS), r"expected \(g, g\)"),
    (lambda: FixedMap(None), "an importance of NoneType"),
    (lambda: RandomMap(0), "grid=0"),
    (lambda: RandomMap(4, seed=None), "seed=None"),
    (lambda: PermutedMap(IA.scores, 2.5), "grid=2.5"),
    (lambda: train_importance(None, epochs=1), "data of NoneType"),
    (lambda: train_importance(DATA, patch=5, **ASK), "which does not divide images of 16 pixels: expected 4 or 8"),
    (lambda: train_importance(DATA, head="flat", **ASK), "head 'flat'"),
    (lambda: train_importance(DATA, epochs=0), "epochs=0"),
    (lambda: train_importance(DATA, epochs=1, rate=1), "option of train_ia.. 'rate' was given"),
    (lambda: train_importance(DATA, epochs=1, after_step=print), "'after_step' was given"),
    (lambda: train_embedding(NET, DATA, **ASK), "ia of SmallNet"),
    (lambda: train_embedding(an_ia().float(), None, **ASK), "data of NoneType"),
    (lambda: train_embedding(an_ia(size=24).float(), DATA, **ASK), "this importance is of 24 × 24"),
    (lambda: train_pixel(IA, None, DATA, threshold=0.5, **ASK), "a model of type NoneType"),
    (lambda: train_pixel(IA, NET, DATA, threshold=2, **ASK), "threshold=2"),
    (lambda: train_pixel(an_ia(size=24).float(), SmallNet(2), DATA, threshold=0.5, **ASK), "this importance is of 24"),
]


@refused(REFUSED)
def test_a_wrong_call_is_refused_in_words(call, said):
    check(call, said)
