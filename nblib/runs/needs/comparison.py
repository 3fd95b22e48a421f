"""What the comparison needs: a grid and patches that divide the images, and one method or more that apply."""
from collections.abc import Mapping

from torch import nn

from nblib.data import Images
from nblib.models.importance import expect_patch


def expect(values: Mapping[str, object], images: Images, model: nn.Module) -> None:
    """Refuse a grid that does not divide the images, and patches that do not where a network that weights them is trained."""
    size = values["image_size"]
    if size % values["grid"]:
        raise ValueError(f"grid: {values['grid']} was given, expected a number that divides image_size, {size}")
    if values["epochs"] and values["ia_epochs"]:
        try:
            expect_patch(size, values["patch"])
        except ValueError as error:
            raise ValueError(f"patch: {error.args[0]}") from error
