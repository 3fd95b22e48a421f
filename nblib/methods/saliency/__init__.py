"""How much each pixel matters: eleven methods behind one call."""
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
    "METHODS", "SHORT_NAMES", "applicable", "b_cos", "b_cos_alpha", "completeness_gap", "grad_cam", "grad_cam_plus_plus",
    "gradient", "gradient_shap", "guided_backprop", "input_gradient", "integrated_gradients", "last_spatial_layer",
    "occlusion", "passes", "rise", "saliency", "smooth_gradient", "unsigned_maps",
]
