"""Networks that describe every pixel by a vector of length 1, to be compared by inner products."""

from pathlib import Path

import h5py
import keras
import numpy as np
from keras import ops

from kcorr.models.blocks import build_chain, convolution
from kcorr.models.trunk import check_images
from kcorr.ops import unit_length

# Mean colour that VGG-16 was trained without: blue, green, red in 0..255 (its authors' Caffe model,
# `keras.applications.vgg16.preprocess_input`).
VGG_MEAN = (103.939, 116.779, 123.68)
_VGG = {"block1_conv1": 64, "block1_conv2": 64, "block2_conv1": 128, "block2_conv2": 128}
_EPSILON = 1e-8


class Descriptor(keras.Model):
    """Convolutions 3 x 3 of stride 1, each with a ReLU, the last scaled to length 1 per pixel.

    Subclasses make `self.convolutions`; those from `self.pooled_from` on see a pooled map.
    """

    gives = "features"
    step = 1  # pixels of the picture from one descriptor to the next
    pooled_from = None

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        build_chain(self.convolutions, 3)
        self.built = True

    def call(self, inputs):
        images = ops.convert_to_tensor(inputs["image"])
        check_images(images)
        features = ops.cast(self.prepared(ops.cast(images, "float32")), self.compute_dtype)
        for number, layer in enumerate(self.convolutions):
            if number == self.pooled_from:
                features = ops.max_pool(features, 2, 1, padding="same")
            features = layer(features)
            if number == len(self.convolutions) - 1:
                # The gradient of the length of nearly nothing is more than float16 holds.
                features = ops.cast(features, "float32")
            features = ops.relu(features)
        return {"features": unit_length(features, _EPSILON)}


@keras.saving.register_keras_serializable(package="kcorr")
class SmallDescriptor(Descriptor):
    """A small network for dense descriptors, to be trained from random weights.

    65,568 weights; a descriptor sees 9 x 9 pixels around its own.

    Args:
        widths: channels of the 3 x 3 convolutions; ours, no paper's.
        name, **kwargs: of `keras.Model`.

    Call: `net({"image": [b, h, w, 3]})`, RGB in [0, 1], any size from 16 x 16. Returns a dict:
        features: [b, h, w, widths[-1]], float32, of length 1 (0 where the last ReLU leaves
        nothing), at least 0, so that no cosine is below 0.

    Raises:
        ValueError: no widths, or no such images.
    """

    def __init__(self, widths=(32, 32, 64, 64), name="small_descriptor", **kwargs):
        super().__init__(name=name, **kwargs)
        self.widths = tuple(widths)
        if not self.widths or min(self.widths) < 1:
            raise ValueError(f"expected at least one width, each from 1, got {self.widths}")
        self.convolutions = [
            convolution(width, f"conv{i}", initializer="he_normal", dtype=self.dtype_policy)
            for i, width in enumerate(self.widths, start=1)
        ]

    def prepared(self, images):
        """Images [b, h, w, 3] from [0, 1] to [-1, 1]."""
        return images * 2.0 - 1.0

    def get_config(self):
        return {**super().get_config(), "widths": self.widths}


@keras.saving.register_keras_serializable(package="kcorr")
class VggDescriptor(Descriptor):
    """VGG-16 up to conv2_2, for every pixel: 128 channels, 260,160 weights.

    Without its first pooling a descriptor sees 9 x 9 pixels around its own, and its last two
    convolutions see half as far as they learned to; the published thesis does not say what becomes
    of the pooling, a public re-implementation leaves it out.

    Args:
        weights: None for random weights, or the path of a file of a VGG-16 of
            `keras.applications`, with or without its last layers: weights (`.weights.h5`, or the
            `.h5` that Keras offers for download) or a whole model (`.h5`). kcorr downloads
            nothing. The path is no part of the configuration: a saved network holds its weights.
        pool: True keeps the pooling and has a descriptor per pixel all the same: the maximum of
            2 x 2 pixels at every pixel, then convolutions dilated by 2. The descriptors of even
            rows and columns are those of VGG-16 in a picture of even sides. Each sees 14 x 14
            pixels, their middle half a pixel right of and below its own.
        name, **kwargs: of `keras.Model`.

    Call: `net({"image": [b, h, w, 3]})`, RGB in [0, 1], any size from 16 x 16 (the network turns it
        into what VGG-16 expects). Returns a dict:
        features: [b, h, w, 128], float32, of length 1 (0 where the last ReLU leaves nothing), at
        least 0, so that no cosine is below 0.

    Raises:
        FileNotFoundError: no such file of weights.
        ValueError: a file without these four layers, or no such images.

    Source: Simonyan and Zisserman, ICLR 2015; Thewlis et al., Fully-trainable deep matching, BMVC
    2016.
    """

    def __init__(self, weights=None, pool=False, name="vgg_descriptor", **kwargs):
        super().__init__(name=name, **kwargs)
        self.pool = bool(pool)
        self.pooled_from = 2 if self.pool else None
        self.convolutions = [
            convolution(
                width,
                layer,
                dilation=2 if self.pool and layer.startswith("block2") else 1,
                dtype=self.dtype_policy,
            )
            for layer, width in _VGG.items()
        ]
        if weights is not None:
            arrays = _vgg_arrays(weights)
            self.build()
            self.set_weights(arrays)

    def prepared(self, images):
        """RGB [b, h, w, 3] in [0, 1] to blue, green, red in 0..255, less the mean colour."""
        return ops.flip(images, axis=-1) * 255.0 - ops.array(VGG_MEAN, dtype="float32")

    def get_config(self):
        return {**super().get_config(), "pool": self.pool}


def _vgg_arrays(path):
    """Kernels and biases of the four layers, in order, of any HDF5 file that Keras writes.

    Keras names groups after layers in some kinds of file and after classes in others; the four
    kernels are known by their shapes, which no other layer of VGG-16 has.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected weights of a VGG-16 of Keras")
    inputs = (3, *_VGG.values())
    shapes = [(3, 3, i, o) for i, o in zip(inputs, _VGG.values(), strict=False)]
    found = {shape: [] for shape in shapes}

    def visit(name, item):
        if isinstance(item, h5py.Group) and "optimizer" not in name:
            arrays = [one for one in item.values() if isinstance(one, h5py.Dataset)]
            kernels = [one for one in arrays if one.ndim == 4]
            biases = [one for one in arrays if one.ndim == 1]
            if len(kernels) == len(biases) == 1 and kernels[0].shape in found:
                pair = [np.asarray(one, "float32") for one in (kernels[0], biases[0])]
                found[kernels[0].shape].append(pair)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except Exception as error:  # h5py: OSError, RuntimeError, KeyError
        raise ValueError(f"{path}: damaged, or not an HDF5 file; expected a VGG-16's") from error
    if any(len(pairs) != 1 for pairs in found.values()):
        raise ValueError(
            f"{path}: expected the weights of a VGG-16, with one kernel each of the shapes "
            f"{', '.join(map(str, shapes))}"
        )
    return [array for shape in shapes for array in found[shape][0]]
