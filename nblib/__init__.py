"""The library under *Pathways*, an executable book on how neural networks compute."""
import os

__version__ = "0.1.0"

# Threads that wait for each other should soon sleep. Where another program also wants a core, waiting in a loop made
# training on two cores eight times slower. OpenMP reads this when torch is first imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
