"""Reading and replacing what the layers of a network compute: the only file that touches hooks.

Hooks run wherever a network does: a compiled one is run without its compilation for the length of a block, and gradient
checkpointing is switched off where it is a switch of the network. Where hooks cannot run, that is refused.
"""
import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from nblib.checks import expect_callable, expect_model, expect_tensor, nearest, quoted

INPUT = ":input"
CHECKPOINTING = ("grad_checkpointing", "gradient_checkpointing")  # the switches of timm and transformers
COMPILED = "_orig_mod"  # under this name a module of `torch.compile` has the one that it was made from


class Captured(dict):
    """The captured tensors by layer; asking for a layer that has not run yet, or was not asked for, says so."""

    def __init__(self, layers: list[str]):
        super().__init__()
        self.layers = layers

    def __missing__(self, layer: str) -> Tensor:
        if layer not in self.layers:
            raise KeyError(f"layer {layer!r} is not captured; captured are {quoted(self.layers)}")
        raise RuntimeError(f"layer {layer!r} has not run: no forward pass since `capture` began has called it")


def find(model: nn.Module, layer: str) -> nn.Module:
    """Return the module that `layer` names, with or without ":input" at its end, also of a compiled model.

    Raises KeyError with the nearest names if there is none, ValueError for what is no name or no model.
    """
    expect_model(model)
    if not isinstance(layer, str):
        raise ValueError(f"layer {layer!r} was given, expected the name of a layer, as in model.named_modules()")
    modules = {without_compiling(name): module for name, module in model.named_modules()}
    name = without_compiling(layer.removesuffix(INPUT))
    if name not in modules:
        hint = nearest(name, modules) or f"; the first are {quoted([layer for layer in modules if layer][:3])}"
        raise KeyError(f"no layer {name!r} in {type(model).__name__}{hint}")
    return modules[name]


def without_compiling(name: str) -> str:
    """Return the name that a layer has in a network before `torch.compile` wraps it or parts of it."""
    return ".".join(part for part in name.split(".") if part != COMPILED)


def is_edited(model: nn.Module) -> bool:
    """Say whether a `capture`, an `edit` or a `relu_gradient` of a layer of the model is in force."""
    return any(getattr(hook, "__module__", None) == __name__ for module in model.modules()
               for hooks in (module._forward_hooks, module._forward_pre_hooks) for hook in hooks.values())


@contextlib.contextmanager
def _hooks_run(model: nn.Module) -> Iterator[None]:
    """Let hooks run in the block: without compiled code, and without checkpoints where the network has a switch."""
    expect_model(model)
    modules = list(model.modules())
    scripted = next((module for module in modules if isinstance(module, torch.jit.ScriptModule)), None)
    if scripted is not None:
        raise ValueError(f"{type(model).__name__} is or has a scripted or traced module ({scripted.original_name}), "
                         "around whose layers hooks do not run: give the network that it was made from")
    switched = [(module, name) for module in modules for name in CHECKPOINTING if vars(module).get(name) is True]
    compiled = any(COMPILED in module._modules or module._compiled_call_impl is not None for module in modules)
    with torch.compiler.set_stance("force_eager") if compiled else contextlib.nullcontext():
        try:
            for module, name in switched:
                setattr(module, name, False)
            yield
        finally:
            for module, name in switched:
                setattr(module, name, True)


def _within_checkpoint() -> bool:
    """Say whether this is called from a function that `torch.utils.checkpoint` runs, and will run again."""
    module = sys.modules.get("torch.utils.checkpoint")
    frame = sys._getframe() if module is not None else None
    while frame is not None and frame.f_code.co_filename != module.__file__:
        frame = frame.f_back
    return frame is not None


def _refuse_checkpoint(layer: str) -> None:
    """Refuse a layer that will run again in the backward pass, when its hook is gone."""
    if _within_checkpoint():
        raise ValueError(f"layer {layer!r} runs within torch.utils.checkpoint, which runs it again in the backward "
                         "pass, where it cannot be read or replaced: switch gradient checkpointing off")


@contextlib.contextmanager
def _on_tensors(model: nn.Module, functions: Mapping[str, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Pass each layer's tensor through its function for the length of the block; complain of layers that never ran."""
    modules = {layer: find(model, layer) for layer in functions}
    unseen, graph = set(functions), [True]  # whether the pass has a graph, of which a checkpoint would keep a part

    def changed(layer: str, tensor: object) -> Tensor:
        if not isinstance(tensor, Tensor):
            given = type(tensor).__name__
            raise ValueError(f"layer {layer!r} has a {given}, expected one tensor: name a layer inside it")
        if graph[0]:
            _refuse_checkpoint(layer)
        unseen.discard(layer)
        result = functions[layer](tensor)
        if not isinstance(result, Tensor):
            raise ValueError(f"the function for layer {layer!r} returned {type(result).__name__}, expected a tensor")
        return result

    def note_graph(*_: object) -> None:
        graph[0] = torch.is_grad_enabled()

    with _hooks_run(model), contextlib.ExitStack() as handles:
        handles.callback(model.register_forward_pre_hook(note_graph).remove)
        for layer, module in modules.items():
            if layer.endswith(INPUT):
                hook = lambda _, args, kwargs, layer=layer: _first_replaced(layer, args, kwargs, changed)  # noqa: E731
                handles.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
            else:
                hook = lambda _, __, output, layer=layer: changed(layer, output)  # noqa: E731
                handles.callback(module.register_forward_hook(hook).remove)
        yield
    if unseen:
        raise RuntimeError(f"never ran in a forward pass: layer {quoted(sorted(unseen))}")


def _first_replaced(layer: str, args: tuple, kwargs: dict, changed: Callable) -> tuple[tuple, dict]:
    """Return a call's arguments with the first of them passed through `changed`."""
    if args:
        return (changed(layer, args[0]), *args[1:]), kwargs
    if not kwargs:
        raise ValueError(f"layer {layer!r} is called without arguments, so it has no input to read")
    first = next(iter(kwargs))
    return args, kwargs | {first: changed(layer, kwargs[first])}


@contextlib.contextmanager
def capture(model: nn.Module, layers: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """Collect what `layers` compute in each forward pass of the block.

    Args:
        model: any module, in training or in evaluation mode.
        layers: dotted paths from `model.named_modules()`; with ":input" at the end, that module's first input.

    Yields:
        A dictionary from layer to tensor, filled anew by each forward pass and still readable after the block. The
        autograd graph is kept, so `torch.autograd.grad` reaches the tensors. What the network goes on with is a
        copy: an in-place ReLU behind a layer leaves the captured tensor as it was. A module that is called several
        times in one pass gives its last call.

    Raises:
        KeyError: a layer that is not there, with the nearest names.
        ValueError: a layer whose output is not one tensor, that is within a scripted or traced module, or that
            `torch.utils.checkpoint` runs.
        RuntimeError: a layer that never ran in the block.
    """
    if not isinstance(layers, Iterable):
        raise ValueError(f"layers={layers!r} was given, expected the name of a layer, or several in a list")
    layers = [layers] if isinstance(layers, str) else list(layers)
    tensors = Captured(layers)

    def keep(layer: str, tensor: Tensor) -> Tensor:
        tensors[layer] = tensor
        return tensor.clone()

    with _on_tensors(model, {layer: lambda t, layer=layer: keep(layer, t) for layer in layers}):
        yield tensors


@contextlib.contextmanager
def edit(model: nn.Module, functions: Mapping[str, Callable[[Tensor], Tensor]]) -> Iterator[None]:
    """Replace what layers compute, for the length of the block.

    Args:
        model: any module, in training or in evaluation mode.
        functions: from layer (or layer + ":input") to a function of its tensor; what it returns goes on instead.
            The function gets a copy and may change it in place. Edits and captures of one layer act in the order in
            which they were entered: `with edit(...), capture(...)` captures the edited tensor.

    Raises:
        KeyError: a layer that is not there, with the nearest names.
        ValueError: as `capture`, or a function that does not return a tensor.
        RuntimeError: a layer that never ran in the block.
    """
    if not isinstance(functions, Mapping) or not all(map(callable, functions.values())):
        raise ValueError(f"edits {functions!r} were given, expected a dictionary from a layer's name to a function")
    with _on_tensors(model, {layer: lambda t, f=function: f(t.clone()) for layer, function in functions.items()}):
        yield


def output_shapes(model: nn.Module, images: Tensor) -> dict[str, torch.Size]:
    """Return the shape of every layer's output, in the order in which the layers finish; the model itself is "".

    Layers that do not run, or whose output is not one tensor, are left out; of several calls the last one counts.
    """
    expect_tensor("images", images)
    shapes: dict[str, torch.Size] = {}

    def note(layer: str, output: object) -> None:
        shapes.pop(layer, None)
        if isinstance(output, Tensor):
            shapes[layer] = output.shape

    with _hooks_run(model), contextlib.ExitStack() as handles:
        for layer, module in model.named_modules():
            hook = lambda _, __, output, layer=without_compiling(layer): note(layer, output)  # noqa: E731
            handles.callback(module.register_forward_hook(hook).remove)
        with torch.no_grad():
            model(images)
    return shapes


@contextlib.contextmanager
def relu_gradient(model: nn.Module, rule: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Pass the gradient that reaches the output of each ReLU module through `rule`, for the length of the block.

    The forward pass stays as it is. With `rule=torch.relu` this is the rule of guided backpropagation
    (Springenberg et al. 2015). An `nn.ReLU6` counts as a ReLU: what the rule leaves of the gradient then passes where
    the input lies between 0 and 6. Works under in-place ReLU, where PyTorch's own module backward hooks fail.

    Raises:
        ValueError: a model without `nn.ReLU` and `nn.ReLU6` modules, or a forward pass with functional ReLUs too: on
            those the rule would silently do nothing.
    """
    expect_model(model)
    expect_callable("rule", rule)
    modules = [module for module in model.modules() if isinstance(module, (nn.ReLU, nn.ReLU6))]
    advice = "a functional relu cannot be reached, so the rule would do nothing there: write it as an nn.ReLU module"
    if not modules:
        raise ValueError(f"{type(model).__name__} has no nn.ReLU module; {advice}")

    class Ruled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, tensor: Tensor) -> Tensor:
            return tensor.clone()

        @staticmethod
        def backward(ctx, gradient: Tensor) -> Tensor:
            return rule(gradient)

    def ruled(_, __, output: Tensor) -> Tensor:
        _refuse_checkpoint("a ReLU")
        return Ruled.apply(output)

    def refuse_functional(_, __, output: object) -> None:
        if isinstance(output, Tensor) and _has_relu_outside(output.grad_fn, "RuledBackward"):
            raise ValueError(f"{type(model).__name__} has a ReLU that is not an nn.ReLU module; {advice}")

    with _hooks_run(model), contextlib.ExitStack() as handles:
        for module in modules:
            handles.callback(module.register_forward_hook(ruled).remove)
        handles.callback(model.register_forward_hook(refuse_functional).remove)
        yield


def _has_relu_outside(node: object, wrapper: str) -> bool:
    """Say whether an autograd graph has a ReLU whose output goes anywhere but into a node named `wrapper`."""
    seen, waiting = {node}, [node]
    while waiting:
        node = waiting.pop()
        followers = [follower for follower, _ in getattr(node, "next_functions", ()) if follower is not None]
        if any(map(_is_relu, followers)) and node.name() != wrapper:
            return True
        waiting += [follower for follower in followers if follower not in seen]
        seen.update(followers)
    return False


def _is_relu(node: object) -> bool:
    """Say whether a node of an autograd graph is, or may hide, that of a ReLU, clipped from above (as ReLU6) or not."""
    clipped = node.name() == "HardtanhBackward0" and float(node._saved_min_val) == 0
    hidden = node.name() == "CheckpointFunctionBackward"  # there may be ReLUs in what it runs again
    return clipped or hidden or node.name() == "ReluBackward0"
