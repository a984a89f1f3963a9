"""Descriptors of oriented gradients as a layer: nothing in it learns."""

import keras
from keras import ops

from kcorr.layers._base import GeometryLayer
from kcorr.ops.hog import ORIENTATIONS, check_hog, hog_maps, stack_patches

_SIDE = 4  # cells of a patch, in both released programs


@keras.saving.register_keras_serializable(package="kcorr")
class HogDescriptor(GeometryLayer):
    """The hand-made descriptors of deep matching, for every cell corner of a picture.

    `kcorr.ops.hog_maps`, then `kcorr.ops.stack_patches` of 4 x 4 cells, with their configuration.
    Descriptor (r, c) is that of the patch around the corner (r, c) between cells of `step` =
    2^downscale pixels: cells r - 2 to r + 1, its middle at (step c - 1/2, step r - 1/2) in pixels
    of the picture. The released programs call this point (step c, step r), so that their points
    8 i + 4 and displacements of 2 pixels are descriptors 4 i + 2 and steps of 1, at downscale 1.
    Both pictures of a pair are half a pixel off, so that displacements are not.

    All sums are float32, the result has the compute dtype.

    Args:
        variant: "cpu" (the C++ program) or "gpu" (the GPU program, the baseline of the paper that
            trains deep matching).
        presmooth, gradient, mid, post, slope, ninth, downscale: see `kcorr.ops.hog_maps`.
        patches: False leaves the cells as they are, 9 channels; `kcorr.ops.stack_patches` makes
            patches of them where they are needed.

    Call arguments:
        images: [b, h, w, 3], RGB in [0, 1], of at least one patch (8 x 8 at downscale 1).

    Output:
        [b, h // step + 1, w // step + 1, 144], descriptors of length 1 (but see `stack_patches` for
        the borders of "gpu"), at least 0; or [b, h // step, w // step, 9] without `patches`.

    Raises:
        ValueError: an argument out of its range, or images smaller than one patch.

    Example:
        >>> HogDescriptor()(images).shape  # images [1, 436, 1024, 3]
        (1, 219, 513, 144)

    Source: Revaud et al., DeepMatching, IJCV 2016; Thewlis et al., Fully-trainable deep matching,
    BMVC 2016 (the baseline).
    """

    def __init__(
        self,
        variant="cpu",
        presmooth=1.0,
        gradient=None,
        mid=None,
        post=1.0,
        slope=0.2,
        ninth=0.3,
        downscale=1,
        patches=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.config = {
            "variant": variant,
            "presmooth": presmooth,
            "gradient": gradient,
            "mid": mid,
            "post": post,
            "slope": slope,
            "ninth": ninth,
            "downscale": downscale,
        }
        check_hog(**self.config)
        self.variant, self.step, self.patches = variant, 2**downscale, patches

    def call(self, images):
        """Descriptors of images [b, h, w, 3]."""
        least = _SIDE * self.step
        if any(side is not None and side < least for side in images.shape[1:3]):
            raise ValueError(
                f"expected images of at least {least}x{least}, one patch, got {tuple(images.shape)}"
            )
        maps = hog_maps(images, **self.config)
        if self.patches:
            maps = stack_patches(maps, self.variant, _SIDE)
        return ops.cast(maps, self.compute_dtype)

    def compute_output_shape(self, images_shape):
        """As the class says."""
        more, channels = (1, _SIDE**2) if self.patches else (0, 1)
        sides = [None if side is None else side // self.step + more for side in images_shape[1:3]]
        return (images_shape[0], *sides, channels * (ORIENTATIONS + 1))

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), **self.config, "patches": self.patches}
