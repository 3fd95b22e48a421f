"""Figures, tables and players in one style; importing this room applies it.

A map of the room; it lays out what it is given, and measures nothing:

- `pictures`: images and maps of them in grids; `mosaic`: pictures of any size side by side, with letters.
- `plots`: lines, bars and tables of colour; `violins`: densities over numbers of things.
- `verdicts`: what the intervals say of each claim; `drawings`: drawings that are an idea; `tickets`: those of pruning,
  `crops`: those of concepts and of importance; `neurons`: layers as grids of neurons, and the idea of a path through them;
  `cells`: those of a retina.
- `tables`: tables of numbers; `widgets`: a player of frames made in advance; `source`: the library's own code.

All take tensors on any device or arrays, which `inputs` checks, and draw in the `style` of the book: 7.2 inches wide or
less, told apart without seeing all colours.
"""
from nblib.figures.cells import cell_frame, circuit, overlays
from nblib.figures.crops import crops_toy, patches_toy
from nblib.figures.drawings import path_frame, pathway_toy, recipes_toy, saturating_toy
from nblib.figures.mosaic import panels
from nblib.figures.neurons import neuron_grids, product_terms, transformer_idea
from nblib.figures.pictures import image_grid, map_grid
from nblib.figures.plots import bars, curves, heatmap
from nblib.figures.source import Source, show_source
from nblib.figures.style import PALETTE, use_style
from nblib.figures.tables import Table, table
from nblib.figures.tickets import filling_toy, ticket_toy
from nblib.figures.verdicts import Judged, verdict_chart
from nblib.figures.violins import density, violins
from nblib.figures.widgets import frame_player

__all__ = [
    "bars", "cell_frame", "circuit", "crops_toy", "curves", "density", "filling_toy", "frame_player", "heatmap",
    "image_grid", "Judged", "map_grid", "neuron_grids", "overlays", "PALETTE", "panels", "patches_toy", "path_frame",
    "pathway_toy", "product_terms", "recipes_toy", "saturating_toy", "show_source", "Source", "table", "Table",
    "ticket_toy", "transformer_idea", "use_style", "verdict_chart", "violins",
]

use_style()
