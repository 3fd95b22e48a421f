"""Wrong calls of training and measuring, and what is said of each."""
import torch

from nblib.data import Images
from nblib.training import Ranger, choose_device, evaluate, fit, load, predict, save, trained
from tests.fixtures.refusals import check, refused
from tests.fixtures.saliency import some_images
from tests.fixtures.training import bright, tiny

DATA = bright(12)
IMAGES, LABELS = some_images(), torch.tensor([0, 1, 2])

REFUSED = [
    (lambda: fit(None, DATA, epochs=1), "a model of type NoneType"),
    (lambda: fit(tiny(), None, epochs=1), "data of NoneType"),
    (lambda: fit(tiny(), IMAGES, epochs=1), "data of Tensor"),
    (lambda: fit(tiny(), (IMAGES, LABELS), epochs=1), "data of tuple"),
    (lambda: fit(tiny(), DATA, epochs=None), "epochs=None"),
    (lambda: fit(tiny(), DATA, epochs="3"), "epochs='3'"),
    (lambda: fit(tiny(), DATA, epochs=1, batch_size=None), "batch_size=None"),
    (lambda: fit(tiny(), DATA, epochs=1, lr="fast"), "lr='fast'"),
    (lambda: fit(tiny(), DATA, epochs=1, lr=-1), "lr=-1"),
    (lambda: fit(tiny(), DATA, epochs=1, weight_decay=None), "weight_decay=None"),
    (lambda: fit(tiny(), DATA, epochs=1, schedule=None), "schedule None"),
    (lambda: fit(tiny(), DATA, epochs=1, optimizer=torch.optim.Adam), "optimizer"),
    (lambda: fit(tiny(), DATA, epochs=1, loss="cross_entropy"), "loss='cross_entropy'"),
    (lambda: fit(tiny(), DATA, epochs=1, augment=["flip"]), "augment"),
    (lambda: fit(tiny(), DATA, epochs=1, seed=None), "seed=None"),
    (lambda: fit(tiny(), DATA, epochs=1, device=None), "device None"),
    (lambda: fit(tiny(), DATA, epochs=1, device=0), "device 0"),
    (lambda: fit(tiny(), DATA, epochs=1, device="gpu"), "device 'gpu'"),
    (lambda: fit(tiny(), DATA, epochs=1, devices="all"), "devices='all'"),
    (lambda: fit(tiny(), DATA, epochs=1, precision=16), "precision 16"),
    (lambda: fit(tiny(), DATA, epochs=1, after_step=3), "after_step=3"),
    (lambda: fit(tiny(), DATA, epochs=1, checkpoint=3), "checkpoint=3"),
    (lambda: fit(tiny(), Images(DATA.images[:, :1], DATA.labels, DATA.classes), epochs=1), "does not run on"),
    (lambda: fit(tiny(), Images(DATA.images, DATA.labels.float(), DATA.classes), epochs=1), "whole numbers"),
    (lambda: fit(tiny(), Images(DATA.images, DATA.labels + 1, DATA.classes), epochs=1), "label 2 was given"),
    (lambda: fit(tiny().double(), DATA, epochs=1), "of torch.float32"),
    (lambda: fit(tiny(), Images(DATA.images / 0, DATA.labels, DATA.classes), epochs=1), "loss became nan"),
    (lambda: predict(None, DATA.images), "a model of type"),
    (lambda: predict(tiny(), None), "images of NoneType"),
    (lambda: predict(tiny(), DATA), "images of Images"),
    (lambda: predict(tiny(), DATA.images.numpy()), "images of ndarray"),
    (lambda: predict(tiny(), DATA.images[0]), r"expected a tensor \(N, C, H, W\)"),
    (lambda: predict(tiny(), DATA.images[:, :2]), "does not run on"),
    (lambda: predict(tiny(), DATA.images.double()), "float64"),
    (lambda: predict(tiny(), (DATA.images * 255).byte()), "floating point"),
    (lambda: predict(tiny(), DATA.images / 0), "not finite"),
    (lambda: predict(tiny(), DATA.images, batch_size=None), "batch_size=None"),
    (lambda: predict(tiny(), DATA.images, batch_size="8"), "batch_size='8'"),
    (lambda: evaluate(tiny(), None), "data of NoneType"),
    (lambda: evaluate(tiny(), DATA.images), "data of Tensor"),
    (lambda: evaluate(None, DATA), "a model of type"),
    (lambda: evaluate(tiny(), DATA, batch_size=0), "batch_size=0"),
    (lambda: evaluate(tiny(), Images(DATA.images, DATA.labels + 5, DATA.classes)), "label"),
    (lambda: choose_device(None), "device None"),
    (lambda: choose_device(3), "device 3"),
    (lambda: load(tiny(), None), "None"),
    (lambda: load(tiny(), 3), "3"),
    (lambda: load(None, "a.safetensors"), "a model of type"),
    (lambda: save(None, "a.safetensors"), "a model of type"),
    (lambda: save(tiny(), None), "None"),
    (lambda: trained("small_resnet", None), "data of NoneType"),
    (lambda: trained(None, DATA), "name=None"),
    (lambda: trained("small_resnet", DATA, epoch=1), "nearest: 'epochs'"),
    (lambda: trained("small_resnet", DATA, classes="two", epochs=1), "classes='two'"),
    (lambda: Ranger(tiny().parameters(), k="6"), "k='6'"),
    (lambda: Ranger(tiny().parameters(), alpha=None), "alpha=None"),
]


@refused(REFUSED)
def test_a_wrong_call_is_refused_in_words(call, said):
    check(call, said)
