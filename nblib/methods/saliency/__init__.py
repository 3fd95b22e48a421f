r"""How much each pixel matters: eleven methods behind one call, ``saliency(model, images, method=...)``.

A map of the room:

- `by_name` holds `saliency`, which finds a method by its name, passes it the options and sums over the colours; with
  it `passes`, what a method costs, and `completeness_gap`, how far the sum of a map is off.
- `gradients`: six methods that look at slopes of the pixels. Each says where, and one loop, `weighted_gradient` of
  `nblib.engine`, does the rest.
- `class_activation`: Grad-CAM and Grad-CAM++, which look at a late layer, read by `nblib.hooks.capture`.
- `perturbation`: occlusion and RISE, which hide pixels and need no gradient.
- `b_cos`: the map that a B-cos network carries in itself.
- `applying`: what a page does with the methods by name: try which of them `applicable` are, take `unsigned_maps`.

Every method checks what it was given once, before any work, and leaves the model as it was: no hooks, gradients or
modes. All of them take:

model
    a network in evaluation mode, (N, C, H, W) → logits (N, K).
images
    x, (N, C, H, W), finite, at least one, of the model's type and on its device.
target
    what is explained: a function of logits (N, K) → (N,), from `nblib.targets`. None explains the class predicted at
    x, which stays the same at every other point that the method looks at: its logit, or for occlusion and RISE its
    softmax probability.
baseline
    :math:`x'`, what stands for "nothing there": a number (0.0 is black), "mean" (each image's own mean colour), or a
    tensor (C, 1, 1), (C, H, W) or (N, C, H, W), finite.
seed
    fixes what is drawn, 0 or more. All images get the same draws, so that a map does not depend on its batch.
chunk_size
    rows in one pass through the network, 1 or more; None goes by the images' size. Results do not depend on it.

Maps come back raw and signed, on the images' device and in their type. Every method raises a ValueError for a model in
training mode or without logits; for images that are empty, not finite, or of another shape or type; for a target that
does not fit; and for an option out of range.
"""
from nblib.methods.saliency.applying import SHORT_NAMES, applicable, unsigned_maps
from nblib.methods.saliency.b_cos import b_cos, b_cos_alpha
from nblib.methods.saliency.by_name import METHODS, completeness_gap, passes, saliency
from nblib.methods.saliency.class_activation import grad_cam, grad_cam_plus_plus, last_spatial_layer
from nblib.methods.saliency.gradients import (
    gradient,
    gradient_shap,
    guided_backprop,
    input_gradient,
    integrated_gradients,
    smooth_gradient,
)
from nblib.methods.saliency.perturbation import occlusion, rise

__all__ = [
    "METHODS", "saliency", "passes", "completeness_gap", "SHORT_NAMES", "applicable", "unsigned_maps",
    "gradient", "input_gradient", "integrated_gradients", "smooth_gradient", "gradient_shap", "guided_backprop",
    "grad_cam", "grad_cam_plus_plus", "last_spatial_layer", "occlusion", "rise", "b_cos", "b_cos_alpha",
]
