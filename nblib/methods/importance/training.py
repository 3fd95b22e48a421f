"""Training in two stages: the importance with the IA, then EA or PA on it, frozen. Each is kept, and goes on if cut."""
from collections.abc import Callable

from torch import Tensor, nn

from nblib import store
from nblib.checks import expect_kind, expect_model
from nblib.data import Images
from nblib.methods.importance.maps import importance_map
from nblib.models import weights as files
from nblib.models.importance import EmbeddingModel, ImportanceModel, PixelModel, pixel_model
from nblib.training import expect_keepable, fit, kept_at, once

COLLAPSED = 0.02  # mean importance under which a map says nothing any more
MEMORY = 0.1  # weight of a step in the running mean that is watched: 30 dark steps are too many
RECIPE = {"batch_size": 128, "lr": 3e-3, "weight_decay": 0.01, "augment": "crop_flip"}
SOURCES = store.sources("methods/importance/training.py")


def train_importance(data: Images, *, epochs: int, patch: int = 8, width: int = 32, layers: str = "thin",
                     head: str = "pooled", learn_importance: bool = True, seed: int = 0,
                     **fit_options: object) -> ImportanceModel:
    """Return IA(p, k), trained end to end with cross entropy and nothing else.

    Args:
        data: the training images, square, with a key.
        epochs: passes over them.
        patch, width, layers, head, learn_importance: as in `nblib.models.importance.ImportanceModel`.
        seed: of first weights and of the training.
        fit_options: of `nblib.training.fit`; batch_size 128, lr 3e-3, weight_decay 0.01 and augment "crop_flip" where
            they are left out.

    Raises:
        ValueError: what `ImportanceModel` and `fit` refuse; data without a key.
        RuntimeError: a map that has collapsed: its mean is below 0.02, so that nothing is important and nothing can be
            learnt; also where the training is gone on with.

    Source: P4, section 3.4, which has lr 1e-3 throughout 100 epochs and takes the best by validation; ours takes the
    last of few, on one cycle.
    """
    expect_kind("data", data, Images)
    shape = dict(size=_size_of(data), patch=patch, width=width, layers=layers, head=head,
                 learn_importance=learn_importance)
    model = ImportanceModel(len(data.classes), **shape, seed=seed)
    watch = _watch() if learn_importance else None
    return _kept("ia", model, data, [shape], epochs, seed, fit_options, watch)


def train_embedding(ia: ImportanceModel, data: Images, *, epochs: int, scores: nn.Module | None = None, seed: int = 0,
                    **fit_options: object) -> EmbeddingModel:
    """Return EA(p, k), trained with the importance of an IA, which is frozen.

    Args:
        scores: as in `nblib.models.importance.EmbeddingModel`.

    Other arguments: as in `train_importance`. The IA is left as it was.

    Source: P4, section 3.2.
    """
    model = EmbeddingModel(ia, scores=scores, seed=seed)
    return _kept("ea", model, data, [], epochs, seed, fit_options)


def train_pixel(ia: ImportanceModel, backbone: nn.Module, data: Images, *, threshold: float, epochs: int,
                order: str = "insertion", scores: nn.Module | None = None, fill: float = 0.0, seed: int = 0,
                **fit_options: object) -> PixelModel:
    """Return PA(p, t): a network of any kind, trained on images of which it sees the important patches alone.

    Args:
        backbone: as in `nblib.models.importance.pixel_model`; random, or trained before.
        threshold, order, scores, fill: as there.

    Other arguments: as in `train_importance`. IA and backbone are left as they were.

    Source: P4, section 3.3.
    """
    expect_model(backbone)
    model = pixel_model(ia, backbone, threshold=threshold, order=order, scores=scores, fill=fill)
    return _kept("pa", model, data, [threshold, order, fill], epochs, seed, fit_options)


def _size_of(data: Images) -> int:
    """Return the side of square images."""
    height, width = data[:1].images.shape[2:]
    if height != width:
        raise ValueError(f"images of {height} × {width} pixels were given, expected square ones: load(..., size=...)")
    return height


def _kept(kind: str, model: nn.Module, data: Images, said: list, epochs: int, seed: int, fit_options: dict,
          after_step: Callable[[nn.Module], None] | None = None) -> nn.Module:
    """Return the model trained, or as it was kept; what it begins with, its tensors, is part of the key."""
    expect_kind("data", data, Images)
    options = RECIPE | fit_options | {"epochs": epochs}
    chosen = expect_keepable(f"train_{kind}()", data, options)
    start = files.content_key(model.state_dict())
    path = kept_at("importance", model, data, start, *said, seed, chosen, *SOURCES, kind=kind)

    def train(checkpoint: Callable) -> tuple[dict[str, Tensor], dict]:
        losses = fit(model, data, seed=seed, checkpoint=checkpoint(), after_step=after_step, **options)
        if after_step is not None:
            _refuse_dark(float(importance_map(model, data[:256].images.to(next(model.parameters()))).mean()))
        return model.state_dict(), dict(name=f"importance {kind}", seed=seed, losses=losses)

    tensors, _ = once(path, train, device=options.get("device", "auto"))
    files.put(model, tensors, path)
    return model.eval()


def _watch() -> Callable[[ImportanceModel], None]:
    """Return a function that looks at the importance after each step, and stops a training whose map has collapsed."""
    recent = 0.5

    def after_step(model: ImportanceModel) -> None:
        nonlocal recent
        recent += MEMORY * (float(model.mean_importance) - recent)
        _refuse_dark(recent)

    return after_step


def _refuse_dark(mean: float) -> None:
    """Refuse a mean importance below which nothing is learnt."""
    if mean < COLLAPSED:
        raise RuntimeError(
            f"the importance has collapsed: its mean is {mean:.4f}, below {COLLAPSED}. Nothing is important any more, "
            "the sum of embeddings is empty, and a saturated sigmoid has no slope to come back by; try a lower lr, larger "
            "patches, another head or another seed")
