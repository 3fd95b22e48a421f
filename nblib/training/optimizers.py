"""Optimisers that PyTorch does not have."""
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from nblib.checks import expect_int, expect_number


class Ranger(torch.optim.RAdam):
    r"""Rectified Adam with look-ahead and centralised gradients, the optimiser of P2's authors.

    .. math::
        g&\leftarrow g-\langle g\rangle_{\text{all axes but the first}}\quad\text{(weights of two axes or more)},\\
        \theta_t&=\operatorname{RAdam}(\theta_{t-1},g),\\
        \theta_t&\leftarrow\phi\leftarrow\phi+\alpha\,(\theta_t-\phi)\quad\text{if } k\text{ divides }t

    The slow weights :math:`\phi` begin as the first :math:`\theta`. Everything that a training needs to go on is a
    tensor in `state`: step, exp_avg, exp_avg_sq and slow.

    Args:
        params: as in every optimiser of PyTorch: parameters, or groups of them with their own options.
        lr: the learning rate.
        betas: how much of the running means of :math:`g` and :math:`g^2` a step keeps.
        eps: added to :math:`\sqrt{v}`.
        weight_decay: decoupled: each step first multiplies the weights by 1 − lr · weight_decay.
        k: steps from one look-ahead to the next, from 1 up.
        alpha: :math:`\alpha`, how far the slow weights move, in [0, 1].

    Raises:
        ValueError: an option out of range.

    Source: Liu et al. (2020) for RAdam, Zhang et al. (2019) for look-ahead, Yong et al. (2020) for centralised
    gradients; together as in the optimiser of that name that P2's code uses, with its constants as defaults. The
    variance threshold of 5 is RAdam's own.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.95, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        k: int = 6,
        alpha: float = 0.5,
    ):
        expect_int("k", k, 1), expect_number("alpha", alpha, 0, 1)
        super().__init__(params, lr, betas, eps, weight_decay, decoupled_weight_decay=True)
        self.defaults |= {"k": k, "alpha": alpha}
        for group in self.param_groups:
            group |= {"k": k, "alpha": alpha} | group

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Move every parameter that has a gradient, which is centralised in place; return what `closure` gave."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        moved = [(p, group) for group in self.param_groups for p in group["params"] if p.grad is not None]
        for p, _ in moved:
            if p.ndim > 1:
                p.grad -= p.grad.mean(tuple(range(1, p.ndim)), keepdim=True)
        first = {p: p.clone() for p, _ in moved if not self.state[p]}  # RAdam makes its state where there is none
        super().step()
        for p, group in moved:
            state = self.state[p]
            slow = state.setdefault("slow", first.get(p))
            if state["step"] % group["k"] == 0:
                p.copy_(slow.lerp_(p, group["alpha"]))
        return loss
