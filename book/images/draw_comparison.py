"""Draws the picture that the lesson on the comparison opens with: `.venv/bin/python book/images/draw_comparison.py`.

As `draw.py` beside it, which has what the two share: networks of the lesson's default parameters, from the store.
"""
from types import SimpleNamespace

from matplotlib.figure import Figure

from nblib.runs import parameters

SHOWN = ("guided_backprop", "grad_cam", "craft", "contributions", "pathway_gradient", "importance")  # every family
NAMES = ("guided\nbackprop", "\nGrad-CAM", "\nconcepts", "contri-\nbutions", "pathway\ngradient", "impor-\ntance")


def comparison() -> Figure:
    """Return a photograph and a generated image by methods of every family, for three networks of the generated one."""
    from nblib.comparison import explainers
    from nblib.data import PARTS, load
    from nblib.figures import panels
    from nblib.methods.importance import train_importance
    from nblib.metrics import randomized_stages, settle_norms
    from nblib.models import build
    from nblib.training import predict, trained

    run = SimpleNamespace(**parameters.check("comparison", {}))
    common, shown = {"size": run.image_size, "seed": run.seed}, {"split": "held_out", "limit": run.test_images}
    networks = {}
    for name, tag in (("an honest network", {}), ("a network that cheats", {"shortcut": 0.9})):
        train = load(run.dataset, split="fit", limit=run.train_images, **common, **tag)
        pool = train.images[:100] if not tag else pool
        net = trained(run.model, train, epochs=run.epochs, lr=run.learning_rate, batch_size=run.batch_size, seed=run.seed,
                      device="cpu", augment=None, weights=None, size=run.image_size, classes=len(train.classes))
        ia = train_importance(train, epochs=run.ia_epochs, lr=0.003, patch=run.patch, seed=run.seed, device="cpu")
        networks[name] = net, ia
    net, ia = networks["an honest network"]
    networks["random weights"] = settle_norms(randomized_stages(net, count=2)[-1], pool), randomized_stages(ia, count=2)[-1]
    test, free = (load("shapes", **shown, **common, shortcut=tied) for tied in (0.9, 0.0))
    cheat = networks["a network that cheats"][0]
    right = [predict(other, images.images).argmax(1) == test.labels for images in (test, free) for other in (net, cheat)]
    one = int((right[0] & right[1] & right[2] & ~right[3]).int().argmax())  # only the cheat falls for another tag
    picture, label = test.images[one : one + 1], test.labels[one : one + 1]

    photographs, eye = load("photographs", size=224), build("efficientnet_lite0", classes=1000, size=224, weights="default")
    coffee = photographs.images[:1]
    of_eye, _ = explainers(eye, photographs.images, methods=SHOWN, steps=20)
    answer = predict(eye, coffee).argmax(1)
    rows = [[coffee[0], *(of_eye[name](coffee, answer)[0] if name in of_eye else None for name in SHOWN)]]
    labels = [f"photograph: “{photographs.classes[answer[0]]}”"]
    for name, (model, own) in networks.items():
        explain, _ = explainers(model, pool, methods=SHOWN, ia=own, steps=20)
        rows.append([picture[0], *(explain[method](picture, label)[0] for method in SHOWN)])
        labels.append(f"generated: “{test.classes[label[0]]}”, {name}")
    tag = test.parts[one] == PARTS["shortcut"]
    return panels(rows, columns=["\nimage", *NAMES], labels=labels,
                  outlines=[None, tag, tag, tag])


PICTURES = {"comparison.png": comparison}

if __name__ == "__main__":
    from draw import draw

    draw(pictures=PICTURES)
