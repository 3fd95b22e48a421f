"""Two retinas, both windows (N, T, H, W) -> rates (N, cells): one whose interneurons are known, one that is fitted.

- `simulated`: `SimulatedRetina`, bipolar, amacrine and ganglion cells after the textbook; it records.
- `convolutional`: `RetinaCNN`, the network of P3.
- `places`: where cells lie, and the refusal of those outside the frame.
"""
from nblib.models.retina.convolutional import PUBLISHED, UNITS, RetinaCNN
from nblib.models.retina.simulated import KINDS, SPEEDS, TYPES, SimulatedRetina

__all__ = ["KINDS", "PUBLISHED", "RetinaCNN", "SimulatedRetina", "SPEEDS", "TYPES", "UNITS"]
