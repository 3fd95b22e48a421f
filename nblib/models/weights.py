"""Weights on disk: safetensors files that are read whole, belong to the model, or are refused by name."""
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from nblib import store

META = "nblib"  # the key in a file's header under which our own description is kept, as JSON
CONTENT = "content"  # in the description: the key of the tensors' own bytes
BELOW = ("state_dict", "model_state_dict", "model")  # under which others' files keep the tensors


def write(path: Path | str, tensors: dict[str, Tensor], /, **meta: object) -> None:
    """Write tensors and a description that JSON can hold to a safetensors file, whole or not at all."""
    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    described = meta | {CONTENT: content_key(copies)}
    store.write(path, save(copies, metadata={META: json.dumps(described)}))  # its save_file puts a file of its own there


def content_key(tensors: dict[str, Tensor]) -> str:
    """Return a key that changes with any bit of any tensor."""
    parts: list[object] = []
    for name, tensor in sorted(tensors.items()):
        parts += [name, str(tensor.dtype), list(tensor.shape), tensor.reshape(-1).view(torch.uint8)]
    return store.key(*parts)


def read(path: Path | str) -> tuple[dict[str, Tensor], dict]:
    """Return the tensors of a file by name, and its description (empty for files of others).

    Safetensors files are read, and PyTorch's own as far as they hold tensors only; a dictionary below "state_dict" and
    its like is seen through.

    Raises:
        ValueError: no such file, or one that is truncated, damaged or of another kind, with its name.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no weights at {path}: expected a safetensors file")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                meta = json.loads((file.metadata() or {}).get(META, "{}"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            if meta.pop(CONTENT, None) not in (None, content_key(tensors)):
                raise ValueError("its numbers are not those that were written")
            return tensors, meta
        content = torch.load(path, map_location="cpu", weights_only=True)
        content = next((content[name] for name in BELOW if isinstance(content.get(name), dict)), content)
        return dict(content), {}
    except (SafetensorError, OSError, ValueError, AttributeError, EOFError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path} is truncated or holds no weights: {error}") from error
    except Exception as error:  # the unpickler's own errors share no ancestor
        raise ValueError(f"{path} is truncated or holds more than weights ({type(error).__name__}), which is not "
                         "loaded since it could do anything: save the state_dict() alone, as safetensors") from None


def _without_prefix(tensors: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors; their names lose as much of a shared prefix, such as "module.", as makes one the model's."""
    shorter = tensors
    while shorter and not own.keys() & shorter.keys():
        first = {name.partition(".")[0] for name in shorter}
        if len(first) > 1 or not all("." in name for name in shorter):
            return tensors
        shorter = {name.partition(".")[2]: tensor for name, tensor in shorter.items()}
    return shorter or tensors


def put(model: nn.Module, tensors: dict[str, Tensor], source: object) -> None:
    """Copy `tensors` into `model`, all of them or none.

    A prefix that all names share, as compiled, parallel or wrapped models leave, is seen through.

    Raises:
        ValueError: tensors that the model lacks, that it has and `source` lacks, or that have another shape.
    """
    own = model.state_dict()
    counters = {name: tensor for name, tensor in own.items() if name.endswith("num_batches_tracked")}
    tensors = counters | _without_prefix(tensors, own)  # PyTorch before 0.4.1 wrote no counters
    differences = [
        ("missing", [name for name in own if name not in tensors]),
        ("unexpected", [name for name in tensors if name not in own]),
        ("of another shape", [
            f"{name} {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
            for name in own if name in tensors and tensors[name].shape != own[name].shape
        ]),
    ]
    said = [f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
            for what, names in differences if names]
    if said:
        name = type(model).__name__
        raise ValueError(f"{source} holds the weights of another model than this {name}: {'; '.join(said)}")
    model.load_state_dict(tensors)
