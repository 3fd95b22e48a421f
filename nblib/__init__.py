"""The library under *Pathways*, an executable book on how neural networks compute."""

__version__ = "0.1.0"
