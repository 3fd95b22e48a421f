"""Networks of torchvision, of timm, and of the reader."""
import importlib.machinery
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor, nn

from nblib.checks import nearest
from nblib.data import data_root
from nblib.models.normalisation import IMAGENET, normalised
from nblib.models.origin import place_of, watched
from nblib.models.origin import published as published_files

AUXILIARY = ("aux", "AuxLogits")  # prefixes of the extra classifiers that some networks have for training only


def torchvision(name: str, *, classes: int, size: int, published: bool) -> nn.Module:
    """Return a classifier of torchvision, random or with its published ImageNet weights."""
    import torchvision.models as library

    _expect_known("torchvision", name, library.list_models(module=library))
    entry = library.get_model_weights(name).DEFAULT
    options = {}
    if name.startswith("vit_"):
        options = {"image_size": size}
    elif name in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "init_weights": True, "transform_input": True}
    try:
        model = library.get_model(name, weights=None, num_classes=classes, **options)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ValueError(f"torchvision:{name} does not take images of {size} pixels: {error}") from error
    if published:
        tensors = _torchvision_state(entry)
        if options.get("image_size"):
            tensors = library.vision_transformer.interpolate_embeddings(size, model.patch_size, tensors)
        _put_published(model, tensors)
    transform = entry.transforms()
    return normalised(model, transform.mean, transform.std)


def _torchvision_state(entry) -> dict[str, Tensor]:
    """Return a copy of published weights, fetched once into torch's own cache."""
    name = entry.url.rsplit("/", 1)[-1]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    try:
        return dict(entry.get_state_dict(progress=False, check_hash=True))
    except Exception as error:  # the network's, the disk's and the unpickler's errors share no ancestor
        raise RuntimeError(
            f"the published weights {name} could not be had: {error}. Fetch {entry.url} by hand and put it at {path}"
            + (", in place of what is there now" if path.exists() else "")
        ) from error


def _put_published(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load published weights, but for those of a last layer of another number of classes, and of auxiliary heads."""
    own = model.state_dict()
    fitting = {name: tensor for name, tensor in tensors.items() if not name.startswith(AUXILIARY)}
    head = {name for name, tensor in fitting.items() if name in own and tensor.shape[:1] != own[name].shape[:1]}
    model.load_state_dict(fitting | {name: own[name] for name in head})


def timm(name: str, *, classes: int, size: int, published: bool) -> nn.Module:
    """Return a classifier of timm, random or with its published weights."""
    import timm as library

    architecture, _, tag = name.partition(".")
    _expect_known("timm", architecture, library.list_models())
    if tag:
        _expect_known("timm", name, library.list_models(f"{architecture}.*", pretrained=True))
    config = library.get_pretrained_cfg(name)
    options = {"num_classes": classes}
    if config is not None and config.fixed_input_size and config.input_size[-1] != size:
        options["img_size"] = size
    if published and config is None:
        raise ValueError(f"weights='default' was given, but timm has no published weights of {name!r}")
    if published:
        for by_hand in published_files(f"timm:{name}"):
            options["pretrained_cfg_overlay"] = {"file": str(by_hand)}
    try:
        model = library.create_model(name, pretrained=published, **options)
    except Exception as error:  # the network's, the disk's and the library's errors share no ancestor
        if not published:
            raise ValueError(f"timm:{name} with {classes} classes and {size} pixels: {error}") from error
        raise RuntimeError(
            f"the published weights of timm:{name} could not be had: {error}. Fetch model.safetensors of "
            f"{config.hf_hub_id or config.url} by hand and put it at {data_root(None) / 'timm' / f'{name}.safetensors'}"
        ) from error
    used = model.pretrained_cfg
    return normalised(model, used.get("mean", IMAGENET[0]), used.get("std", IMAGENET[1]))


def own(name: str, *, classes: int, size: int) -> nn.Module:
    """Return what the function "package.module:function" makes."""
    module_name, _, function_name = name.partition(":")
    _refuse_namesake(name, module_name.partition(".")[0])
    with watched(module_name) as made:
        try:
            module = importlib.import_module(module_name)
        except Exception as error:  # whatever the reader's file raises
            raise ValueError(f"model {name!r}: {module_name!r} can't be imported{place_of(error)}") from error
        functions = [key for key, value in vars(module).items() if callable(value)]
        _expect_known(module_name, function_name, functions)
        make = getattr(module, function_name)
        try:
            inspect.signature(make).bind(classes=classes, size=size)
        except TypeError as error:
            raise ValueError(f"model {name!r} is called as {function_name}(classes=..., size=...): {error}") from error
        except ValueError:
            pass  # what is not written in Python may not tell how it is called
        try:
            model = make(classes=classes, size=size)
        except Exception as error:  # whatever the reader's function raises
            raise ValueError(f"model {name!r} fails{place_of(error)}") from error
        if not isinstance(model, nn.Module):
            raise ValueError(f"model {name!r} returned a {type(model).__name__}, expected a torch.nn.Module")
        made.append(model)
    return model


def _refuse_namesake(name: str, package: str) -> None:
    """Refuse a module whose name was taken, in this process, by one of another folder: Python would give that one."""
    taken = getattr(getattr(sys.modules.get(package), "__spec__", None), "origin", None)
    found = getattr(importlib.machinery.PathFinder.find_spec(package), "origin", None) if package else None
    if taken and found and os.path.realpath(taken) != os.path.realpath(found):
        raise ValueError(f"model {name!r}: a module {package!r} was imported from {taken} before, and {found} is what "
                         "the name finds now: rename one of them, or begin in a new process")


def _expect_known(library: str, name: str, names: Iterable[str]) -> None:
    """Refuse a name that is not among those of a library."""
    given, known = f"{library}:{name}", [f"{library}:{other}" for other in names]
    if given not in known:
        raise ValueError(f"model {given!r} was given, expected one that is in {library}{nearest(given, known)}")


LIBRARIES: dict[str, Callable[..., nn.Module]] = {"torchvision": torchvision, "timm": timm}
