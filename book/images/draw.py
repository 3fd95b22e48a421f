"""Draws the pictures of this folder that come from a run: `.venv/bin/python book/images/draw.py`, some minutes.

A lesson opens with such a picture, so that it shows the same whatever the page's parameters are. The networks are those of
the lesson with its default parameters, from the store, or trained first.
"""
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

from matplotlib.figure import Figure

from nblib import store
from nblib.runs import parameters

LARGEST = 500_000  # bytes of a committed picture
DPI = 156
METHODS = {  # one or two of each family, with more steps than a page has time for
    "gradient": {}, "guided_backprop": {}, "integrated_gradients": {"steps": 128}, "grad_cam": {},
    "occlusion": {"window": 0.25, "stride": 0.0625},
}
SHOWN = (0, 3)  # of the photographs: the coffee and the cat


def saliency() -> Figure:
    """Return the picture that the lesson on saliency opens with: two photographs and a generated image, explained."""
    from nblib.data import PARTS, load
    from nblib.figures import panels
    from nblib.methods.saliency import SHORT_NAMES
    from nblib.models import build
    from nblib.training import predict

    photographs, eye = load("photographs", size=224), build("efficientnet_lite0", classes=1000, size=224, weights="default")
    pictures = photographs.images[list(SHOWN)]
    rows = [_row(eye, picture) for picture in pictures]
    labels = [f"photograph: “{photographs.classes[place]}”" for place in predict(eye, pictures).argmax(1)]
    run, (honest, cheating) = _networks()
    kept = {"split": "held_out", "limit": run.test_images, "size": run.image_size, "seed": run.seed}
    test, free = load("shapes", shortcut=0.9, **kept), load("shapes", shortcut=0.0, **kept)
    right = [predict(net, images.images).argmax(1) == test.labels for images in (test, free) for net in (honest, cheating)]
    telling = int((right[0] & right[1] & right[2] & ~right[3]).int().argmax())  # only the cheat falls for another tag
    rows += [_row(net, test.images[telling]) for net in (honest, cheating)]
    labels += [f"generated: “{test.classes[test.labels[telling]]}”, an honest network", "the same, a network that cheats"]
    tag = test.parts[telling] == PARTS["shortcut"]
    return panels(rows, columns=["image", *(SHORT_NAMES.get(name, name) for name in METHODS)], labels=labels,
                  outlines=[None, None, tag, tag])


def saliency_toy() -> Figure:
    """Return the drawing of the toy on which slope, share and need differ."""
    from nblib.figures import saturating_toy

    return saturating_toy()


def contributions() -> Figure:
    """Return the picture that the lesson on contributions opens with: a layer's output, what pushes and what pulls."""
    import torch
    from torch.nn.functional import interpolate

    from nblib.data import load
    from nblib.figures import panels
    from nblib.hooks import capture
    from nblib.methods.contributions import contributions as contributed
    from nblib.models import build

    photographs, eye = load("photographs", size=224), build("efficientnet_lite0", classes=1000, size=224, weights="default")
    pictures, layer = photographs.images[list(SHOWN)], "blocks.5.3"
    parts = contributed(eye, pictures, [layer], steps=60)[layer]
    with torch.no_grad(), capture(eye, [layer]) as seen:
        answers = eye(pictures).argmax(1)
    net, maps = parts.sum((2, 3)), [pictures]
    for values, ranking in ((seen[layer], seen[layer].sum((2, 3))), (parts, net), (parts, -net)):
        first = ranking.topk(10).indices[:, :, None, None].expand(-1, -1, *values.shape[2:])
        maps.append(interpolate(values.gather(1, first).sum(1, keepdim=True), size=112, mode="bilinear")[:, 0])
    return panels([list(row) for row in zip(*maps)], columns=["image", "most active", "pushing", "pulling"],
                  labels=[f"“{photographs.classes[place]}”" for place in answers], together=(2, 3))


def contribution_modes() -> Figure:
    """Return the picture that the lesson on modes opens with: images sorted by class, and by lot on random weights."""
    import torch

    from nblib.figures import panels

    run, images, labels, (net, blank) = _modes_networks()
    lots = torch.arange(len(labels)).remainder(9)[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    cells = [_sorted_by(net, images, None, labels, run.seed), _sorted_by(blank, images, lots, lots, run.seed)]
    return panels([cells], columns=["trained, sorted by class", "random weights, sorted by lot"],
                  bands=[str(number + 1) for number in range(9)])


def contribution_modes_toy() -> Figure:
    """Return the drawing of contributions as recipes and who uses which."""
    from nblib.figures import recipes_toy

    return recipes_toy()


def pruning() -> Figure:
    """Return the picture that the lesson on pruning opens with: unpruned, pruned, and only a rate that was left high."""
    import torch

    from nblib.data import PARTS, load
    from nblib.figures import panels
    from nblib.methods.pruning import kept_tickets
    from nblib.methods.saliency import unsigned_maps
    from nblib.metrics import energy_gain, gini
    from nblib.targets import class_logit
    from nblib.training import predict

    run = SimpleNamespace(**parameters.check("pruning", {}))
    common = {"size": run.image_size, "seed": run.seed}
    train, test = load("shapes", split="fit", limit=run.train_images, **common), load("shapes", split="held_out", limit=200, **common)
    how = {"epochs": run.epochs, "batch_size": run.batch_size, "lr": run.learning_rate, "weight_decay": 1e-4,
           "optimizer": "adamw", "schedule": "one_cycle", "augment": None, "device": "cpu", "seed": run.seed}
    ladder = kept_tickets(run.model, train, sparsities=[0.0, 0.1, 0.2, 0.3, 0.5, 0.7], **how)
    high = kept_tickets(run.model, train, sparsities=[0.0], **(how | {"schedule": "constant"}))[0]
    networks = {"unpruned": ladder[0], "30 % pruned": ladder[3], "rate left high": high}
    right = [predict(ticket.model, test.images).argmax(1) == test.labels for ticket in networks.values()]
    test = test[torch.stack(right).all(0)]
    maps = {words: unsigned_maps(ticket.model, test.images, method="gradient", target=class_logit(test.labels))
            for words, ticket in networks.items()}
    sparsest = maps["rate left high"]
    shown = [int(energy_gain(sparsest, mask).argmax()) for mask in (test.masks, test.parts == PARTS["shortcut"])]
    return panels([[test.images[place], *(found[place] for found in maps.values())] for place in shown],
                  columns=["image", *networks],
                  titles=[["", *(f"Gini {gini(found[place][None]).item():.2f}" for found in maps.values())] for place in shown])


def pruning_ticket() -> Figure:
    """Return the drawing of one round of a lottery ticket."""
    from nblib.figures import ticket_toy

    return ticket_toy()


def pruning_filling() -> Figure:
    """Return the drawing of a pixel that is removed, black and fairly."""
    from nblib.figures import filling_toy

    return filling_toy()


def neural_pathways() -> Figure:
    """Return the picture that the lesson on neural pathways opens with: an answer along a pathway, whatever is shown."""
    from nblib.data import load
    from nblib.figures import panels
    from nblib.methods import neural_pathways as paths
    from nblib.models import build
    from nblib.training import predict, trained

    photographs, eye = load("photographs", size=224), build("efficientnet_lite0", classes=1000, size=224, weights="default")
    pictures = photographs.images[list(SHOWN)]
    scores = paths.unit_scores(eye, pictures, paths.relu_layers(eye, pictures), method="taylor")
    best = paths.select(paths.magnitude(scores), 0.8)
    rows = [_asked(eye, pictures, best, photographs.classes, row) for row in (0, 1)]
    run = SimpleNamespace(**parameters.check("neural_pathways", {}))
    common = {"size": run.image_size, "seed": run.seed}
    train, test = load("shapes", split="fit", limit=run.train_images, **common), load("shapes", split="held_out", limit=20, **common)
    how = {"augment": "crop_flip", "seed": run.seed, "device": "cpu"}
    net = trained(run.model, train, classes=len(train.classes), size=run.image_size, weights=None, epochs=run.epochs,
                  lr=run.learning_rate, batch_size=run.batch_size, **how)
    generator = paths.train_generator(net, train, epochs=run.generator_epochs, lr=0.003, hidden=256, beta=run.beta, **how)
    answers = predict(net, test.images).argmax(1)
    pair = test.images[[0, int((answers != answers[0]).int().argmax())]]
    rows.append(_asked(net, pair, generator.pathway(pair), test.classes, 0))
    cells, titles, labels = zip(*rows)
    return panels(cells, columns=["whole network", "its pathway", "grey", "another"], titles=titles,
                  labels=labels)


def _asked(network, pictures, pathway, classes, row: int) -> tuple[list, list[str], str]:
    """Return a picture twice, grey, and the other one; the probability of the first one's answer on each; that answer."""
    import torch

    from nblib.methods.neural_pathways import edited_probabilities

    mine, other, masks = pictures[row], pictures[1 - row], {layer: mask[row:row + 1] for layer, mask in pathway.items()}
    shown = torch.stack([mine, mine, torch.full_like(mine, 0.5), other])
    said = torch.cat([edited_probabilities(network, shown[:1], None), edited_probabilities(network, shown[1:], masks)])
    answer = int(said[0].argmax())
    return list(shown), [f"{value:.2f}" for value in said[:, answer].tolist()], f"“{classes[answer]}”"


def neural_pathways_toy() -> Figure:
    """Return the drawing of a pathway that is a note, and of one that compares."""
    from nblib.figures import pathway_toy

    return pathway_toy()


def concepts() -> Figure:
    """Return the picture that the lesson on concepts opens with: the first concepts of two photographs and of a cheat."""
    from nblib.data import PARTS, load
    from nblib.figures import panels
    from nblib.methods.concepts import Craft, above_percentile, concept_purity
    from nblib.models import build

    photographs, eye = load("photographs", size=224), build("efficientnet_lite0", classes=1000, size=224, weights="default")
    rows, labels = [], []
    for place in SHOWN:
        picture, label = photographs.images[place: place + 1], int(photographs.labels[place])
        craft = Craft(eye, "bn2", n_concepts=5).fit(picture)
        shares = craft.importance(picture, label)
        rows.append(_concept(craft, picture, picture, int(shares.argmax())))
        labels.append(f"photograph: “{photographs.classes[label]}”, {shares.max():.2f}")
    run, (_, cheating) = _networks()  # those of the lesson on saliency
    test = load("shapes", split="held_out", limit=900, size=run.image_size, seed=run.seed, shortcut=0.9)
    label = 4
    own = test[test.labels == label]
    craft = Craft(cheating, "layer3", n_concepts=10).fit(own.images)
    found = concept_purity(above_percentile(craft.maps(own.images)), own.parts)
    on = int((found.shares[:, PARTS["shortcut"]] / found.areas[PARTS["shortcut"]]).nan_to_num().argmax())
    rows.append(_concept(craft, own.images, own.images[:1], on))
    share = craft.importance(own.images, label)[on]
    labels.append(f"generated: “{test.classes[label]}”, a network that cheats, {share:.2f}")
    return panels(rows, columns=["image", "the concept", *["crops"] * 3], labels=labels)


def concepts_crops() -> Figure:
    """Return the drawing of crops, activations, amounts and concepts."""
    from nblib.figures import crops_toy

    return crops_toy()


def neuron_paths() -> Figure:
    """Return the picture that the lesson on neuron paths opens with: two paths through a network with random weights."""
    import torch

    from nblib.data import load
    from nblib.figures import neuron_grids
    from nblib.hooks import capture
    from nblib.methods.neuron_paths import find_paths
    from nblib.models import build
    from nblib.models.vit import neuron_layers

    photographs, net = load("photographs", size=224), build("timm:vit_tiny_patch16_224", classes=1000, size=224)
    pictures, labels, layers = photographs.images[list(SHOWN)], photographs.labels[list(SHOWN)], neuron_layers(net)
    paths = find_paths(net, pictures, labels, layers).neurons[:, :, 0]
    with torch.no_grad(), capture(net, layers) as seen:
        net(pictures)
    values = torch.stack([seen[layer][:, 0] for layer in layers], 1)  # of the class token, (N, L, n)
    return neuron_grids(pictures, values, [list(enumerate(path.tolist())) for path in paths],
                        labels=[f"“{photographs.classes[label]}”" for label in labels])


def neuron_paths_idea() -> Figure:
    """Return the drawing of a transformer's tokens and neurons on a photograph."""
    from nblib.data import load
    from nblib.figures import transformer_idea

    return transformer_idea(load("photographs", size=224).images[SHOWN[0]])


def neuron_paths_toy() -> Figure:
    """Return the drawing of the terms of two joint attributions."""
    from nblib.figures import product_terms

    return product_terms()


def retina() -> Figure:
    """Return the picture that the lesson on the retina opens with: hidden cells and their channel, read in two ways."""
    import torch

    from nblib.figures import overlays
    from nblib.hooks import capture
    from nblib.methods.contributions import contributions as contributed
    from nblib.methods.retina import match_interneurons, population_surprisal, predicted_rates
    from nblib.models.retina import TYPES

    eye, net, seen, true_rates = _retinas()
    rates = predicted_rates(net, seen)
    with torch.no_grad(), capture(net, ["relu1"]) as layers:
        net(seen)
    parts = {}
    for model, layer, its_rates in ((eye, "bipolar", true_rates), (net, "conv1", rates)):
        target = population_surprisal(its_rates, ridge=1e-6)
        parts[layer] = contributed(model, seen, [layer], target=target, steps=6)[layer]
    edge = (seen.shape[-1] - parts["conv1"].shape[-1]) // 2
    inside = slice(edge, seen.shape[-1] - edge)
    does = eye.bipolar(seen)[:, :, 0, inside, inside].sum((2, 3))
    brings = parts["bipolar"][..., inside, inside].flatten(2).sum(2)
    channels, rows, kind = (layers["relu1"].sum((2, 3)), parts["conv1"].sum((2, 3))), [], 0
    for values in channels:
        rows.append([])
        for truth in (does, brings):
            pairs = match_interneurons(values, truth)
            r = pairs.correlation[kind]
            mine = values[:, pairs.channel[kind]] * r.sign()
            rows[-1].append((f"r = {abs(r):.2f}", truth[100:250, kind], mine[100:250]))
    return overlays(rows, columns=["what the cells do", "what they bring about"],
                    labels=["channel, by activation", "by contribution"],
                    names=(f"{TYPES[kind]} bipolar cells", "the network's channel"))


def retina_circuit() -> Figure:
    """Return the drawing of the simulated retina's cells."""
    from nblib.figures import circuit

    return circuit()


def importance() -> Figure:
    """Return the picture that the lesson on importance opens with: an honest map, a cheat's, and one map for all."""
    from nblib.data import load
    from nblib.figures import panels
    from nblib.methods import importance as room
    from nblib.metrics import segmentation_difference
    from nblib.training import predict

    run = SimpleNamespace(**parameters.check("importance", {}))
    common, tag = {"size": run.image_size, "seed": run.seed}, {"shortcut": 0.9}
    how = {"patch": run.patch, "lr": run.ia_learning_rate, "seed": run.seed, "device": "cpu"}
    trained = [room.train_importance(load("shapes", split="fit", limit=run.train_images, **common, **options),
                                     epochs=epochs, **how)
               for options, epochs in (({}, run.ia_epochs), (tag, 4))]  # as in the recorded runs
    test = load("shapes", split="held_out", limit=run.test_images, **common, **tag)
    found = [room.importance_map(network, test.images) for network in trained]
    found.append(found[0].mean(0).expand_as(found[0]))
    d = [segmentation_difference(maps, test.masks) for maps in found]
    right = (predict(trained[0], test.images).argmax(1) == test.labels) & (predict(trained[1], test.images).argmax(1) == test.labels)
    shown = right.nonzero().flatten()[:3].tolist()
    large = [maps.repeat_interleave(run.patch, 1).repeat_interleave(run.patch, 2) for maps in found]
    return panels([[test.images[row], *(maps[row] for maps in large)] for row in shown],
                  columns=["image", "honest", "cheats", "one for all"], together=(1, 2, 3),
                  outlines=[test.masks[row] for row in shown],
                  titles=[["", *(f"d = {values[row]:.2f}" for values in d)] for row in shown])


def importance_toy() -> Figure:
    """Return the drawing of four patches that vote, and of d for four maps."""
    from nblib.figures import patches_toy

    return patches_toy()


PICTURES = {"importance.png": importance, "importance_toy.png": importance_toy,
            "neural_pathways.png": neural_pathways, "neural_pathways_toy.png": neural_pathways_toy,
            "concepts.png": concepts, "concepts_crops.png": concepts_crops, "pruning.png": pruning,
            "pruning_ticket.png": pruning_ticket, "pruning_filling.png": pruning_filling,
            "saliency.png": saliency, "saliency_toy.png": saliency_toy, "contributions.png": contributions,
            "contribution_modes.png": contribution_modes, "contribution_modes_toy.png": contribution_modes_toy,
            "neuron_paths.png": neuron_paths, "neuron_paths_idea.png": neuron_paths_idea,
            "neuron_paths_toy.png": neuron_paths_toy, "retina.png": retina, "retina_circuit.png": retina_circuit}


def _concept(craft, images, picture, concept: int) -> list:
    """Return a picture, the map of a concept in it, and the three crops of images that have most of the concept."""
    boxes = [(crop.image, crop.box) for crop in craft.crops_of(concept, 3)]
    crops = [images[place, :, box[0]: box[2], box[1]: box[3]] for place, box in boxes]
    return [picture[0], craft.maps(picture)[0, concept], *crops]


def _modes_networks() -> tuple:
    """Return the default parameters of the lesson on modes, held-out images, their classes, two networks."""
    import torch

    from nblib.data import load
    from nblib.models import build

    run, (net, _) = _networks()
    test = load("shapes", split="held_out", limit=900, size=run.image_size, seed=run.seed)
    blank = build(run.model, classes=len(test.classes), size=run.image_size, seed=run.seed)
    for module in blank.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over all batches
    with torch.no_grad():
        blank.train()(test.images)
    return run, test.images, test.labels, (net, blank.eval())


def _sorted_by(network, images, towards, marks, seed: int):
    """Return the loadings (rows, images) of the mode that fits each mark best, on images that had no part in the fit."""
    from nblib.methods.contributions import contributions, excitation_inhibition
    from nblib.methods.modes import class_correlation, kept_modes
    from nblib.targets import class_logit

    target = None if towards is None else class_logit(towards)
    sums = excitation_inhibition(contributions(network, images, "layer2", target=target)["layer2"])[0]
    half = len(sums) // 2
    modes = kept_modes(sums[:half], n_modes=3 * sums.shape[1], seed=seed)
    best = class_correlation(modes.load(sums[:half]), marks[:half]).argmax(0)
    order = marks[half:].argsort(stable=True)
    rows = modes.load(sums[half:])[order][:, best].T  # (marks, images)
    return rows.repeat_interleave(rows.shape[1] // len(rows), 0)


def _retinas() -> tuple:
    """Return the simulated retina of the lesson's default parameters, its network, windows (N, T, H, W), true rates."""
    from nblib.methods.retina import kept_retina, simulate

    run = SimpleNamespace(**parameters.check("retina", {}))
    eye, recording = simulate(run.dataset, train=run.train_images, test=run.test_images, size=run.image_size,
                              seed=run.seed)
    net = kept_retina(recording, eye.places, epochs=run.epochs, lr=run.learning_rate, network={"size": run.image_size},
                      seed=run.seed, batch_size=run.batch_size, device="cpu")
    return eye, net, recording.part("test", eye.frames)[0], recording.true_rates("test", eye.frames)


def _row(network, picture) -> list:
    """Return a picture (3, H, W) and its maps (H, W)."""
    from nblib.methods.saliency import unsigned_maps

    return [picture, *(unsigned_maps(network, picture[None], method=name, **options)[0] for name, options in METHODS.items())]


def _networks() -> tuple[SimpleNamespace, list]:
    """Return the default parameters of the lesson on saliency, and its two networks: honest, cheating."""
    from nblib.data import load
    from nblib.training import trained

    run = SimpleNamespace(**parameters.check("saliency", {}))
    networks = []
    for options in ({}, {"shortcut": 0.9}):
        images = load("shapes", split="fit", limit=run.train_images, size=run.image_size, seed=run.seed, **options)
        networks.append(trained(run.model, images, epochs=run.epochs, lr=run.learning_rate, batch_size=run.batch_size,
                                classes=len(images.classes), size=run.image_size, weights=None, augment=None,
                                seed=run.seed, device="cpu"))
    return run, networks


def draw(folder: Path = Path(__file__).parent, pictures: Mapping[str, Callable[[], Figure]] | None = None) -> None:
    """Draw all pictures, or those given, into a folder.

    Raises:
        RuntimeError: a picture that is too large to be committed.
    """
    for name, function in (PICTURES if pictures is None else pictures).items():
        buffer = io.BytesIO()
        function().savefig(buffer, format="png", dpi=DPI)
        if len(buffer.getvalue()) > LARGEST:
            raise RuntimeError(f"{name} has {len(buffer.getvalue())} bytes, expected at most {LARGEST}")
        store.write(folder / name, buffer.getvalue())


if __name__ == "__main__":
    draw()
