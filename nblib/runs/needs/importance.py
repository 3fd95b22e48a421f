"""What importance needs: patches that divide square images, and images to train on."""
from collections.abc import Mapping

from torch import nn

from nblib.data import Images
from nblib.models.importance import expect_patch


def expect(values: Mapping[str, object], images: Images, model: nn.Module) -> None:
    """Refuse patches that do not divide the images, and images that are only to look at: an IA has to be trained."""
    for name in ("patch", "small_patch"):
        if values.get(name):
            try:
                expect_patch(values["image_size"], values[name])
            except ValueError as error:
                raise ValueError(f"{name}: {error.args[0]}") from error
    if images.not_for_training:
        raise ValueError(f"dataset {values['dataset']!r} is not for training: this chapter has to train an IA")
