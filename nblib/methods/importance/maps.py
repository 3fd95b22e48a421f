"""What such a network says of its patches, and what it answers when its importance is replaced."""
import torch
from torch import Tensor, nn

from nblib.checks import expect_tensor
from nblib.engine import Room, check_inputs, chunks, expect_finite, precise, rows_at_once
from nblib.models.importance import EmbeddingModel, ImportanceModel

Weighted = ImportanceModel | EmbeddingModel
PATCHES = Room(2**20, 2**26)  # values of embeddings in one pass of what follows them


def importance_map(ia: Weighted, images: Tensor, *, chunk_size: int | None = None) -> Tensor:
    r"""Return how much each patch matters, as the network itself says, :math:`a=\sigma(\mathrm{ImportanceNet}(x))`.

    Args: as in `nblib.methods.importance`; an `EmbeddingModel` has the importance of the IA that it began with.

    Returns:
        (N, g, g) in (0, 1), without gradients.

    Raises:
        ValueError: another network; images of another size, or that do not fit it otherwise.

    Source: P4, section 3.1.
    """
    expect_weighted(ia)
    check_inputs(ia, images)
    with torch.no_grad():
        return torch.cat([ia.scores(images[i]) for _, i in chunks(images, 1, chunk_size)])


def parts_of(model: Weighted, images: Tensor, *, chunk_size: int | None = None) -> tuple[Tensor, Tensor]:
    """Return the embeddings (N, k, g, g) and the importance (N, g, g) of images; `model.answer` makes logits of both.

    Args: as in `nblib.methods.importance`.
    """
    importance = importance_map(model, images, chunk_size=chunk_size)
    with torch.no_grad():
        found = [model.components(images[i]) for _, i in chunks(images, 1, chunk_size)]
    return torch.cat(found), importance


def answer_with(model: Weighted, images: Tensor, importance: Tensor, *, chunk_size: int | None = None) -> Tensor:
    r"""Return the logits of images whose importance is replaced by another, with their own embeddings.

    Args:
        importance: (N, g, g), finite: of other images, shuffled, thresholded, a constant ...

    Other arguments: as in `nblib.methods.importance`.

    Returns:
        (N, K), in single precision at least. With `importance_map(model, images)` these are the model's own logits.

    Raises:
        ValueError: also an importance of another shape, or not finite.
    """
    embeddings, own = parts_of(model, images, chunk_size=chunk_size)
    if expect_tensor("an importance", importance).shape != own.shape:
        raise ValueError(f"an importance {tuple(importance.shape)} was given, expected {tuple(own.shape)}: one value a "
                         "patch")
    expect_finite("importances", importance)
    return answers(model, embeddings, importance.to(own), chunk_size)


@torch.no_grad()
def answers(model: Weighted, embeddings: Tensor, importance: Tensor, chunk_size: int | None,
            image: Tensor | None = None) -> Tensor:
    """Return the logits (R, K) for the importance (R, g, g) of rows, with the embeddings of each row's image, (R,)."""
    image = torch.arange(len(importance), device=embeddings.device) if image is None else image
    size = rows_at_once(embeddings[0].numel(), embeddings.device, chunk_size, PATCHES)
    return torch.cat([precise(model.answer(embeddings[some], weights))
                      for some, weights in zip(image.split(size), importance.split(size))])


def expect_weighted(model: nn.Module) -> None:
    """Refuse a network without embeddings that an importance weights."""
    if not isinstance(model, Weighted):
        raise ValueError(f"a model of type {type(model).__name__} was given, expected ImportanceModel or "
                         "EmbeddingModel: train_importance() and train_embedding() give them")
