"""One picture of an object in, landmarks, labels or matches out: numpy in, numpy out."""

import numbers

import keras
import numpy as np
from keras import ops

from kcorr import schema
from kcorr.models.picture_arrays import as_float, scaled
from kcorr.models.registry import check_gives
from kcorr.ops import match_points

SMALLEST = 16  # shorter side that networks take


def predict_landmarks(network, image, size=None):
    """Landmarks of one picture.

    For many pictures `ObjectPredictor` is faster: it compiles.

    Args:
        network: of landmarks, as `kcorr.models.LandmarkNet` and what `kcorr.load` gives.
        image: [h, w, 3], uint8, uint16 or float in [0, 1]; all of it is looked at. The object
            should fill it about as much as those that the network learned from.
        size: the network sees the picture scaled, by one factor, to this shorter side. None: the
            network's `picture_size`; where it has none, the picture as it is.

    Returns:
        A dict of float32 arrays:
        points: [k, 2], (x, y) in pixels of the picture.
        confidence: [k, 1], see `kcorr.models.LandmarkNet`.

    Raises:
        ValueError: a wrong shape, dtype or range, a bad `size`, less than 16 pixels a side, or a
            network that gives something else.
    """
    return ObjectPredictor(network, size, compiled=False).landmarks(image)


def predict_labels(network, image, size=None):
    """Dense labels of one picture.

    Args:
        network: of labels, as `kcorr.models.ObjectFrameNet`.
        image, size: see `predict_landmarks`.

    Returns:
        A dict of float32 arrays:
        labels: [h', w', c], of the cells of the picture as the network saw it.
        grid: [h', w', 2], where the middle of each cell lies: (x, y) in pixels of the picture.

    Raises:
        ValueError: see `predict_landmarks`.
    """
    return ObjectPredictor(network, size, compiled=False).labels(image)


def match_object_points(network, first, second, points, size=None, normalise="none"):
    """Where points of one picture of an object are in another one, perhaps of another object.

    Each point gets the cell with the most similar label, see `kcorr.ops.match_points`.

    Args:
        network: of labels, as `kcorr.models.ObjectFrameNet`.
        first, second: pictures as in `predict_landmarks`, of any two sizes.
        points: [n, 2], (x, y) in pixels of `first`, at least one, all in the picture.
        size: see `predict_landmarks`.
        normalise: "none" or "cosine", see `kcorr.ops.match_points`.

    Returns:
        A dict of float32 arrays:
        points2: [n, 2], (x, y) in pixels of `second`.
        similarity: [n, 1], the inner products of the labels, or cosines.

    Raises:
        ValueError: see `predict_landmarks`; points that are not such.
    """
    return ObjectPredictor(network, size, compiled=False).match(first, second, points, normalise)


class ObjectPredictor:
    """`predict_landmarks`, `predict_labels` and `match_object_points` for many pictures.

    Args:
        network, size: see `predict_landmarks`.
        compiled: build a graph at the first call. This takes seconds, and again for the second of
            several sizes.

    Methods: `landmarks(image)`, `labels(image)`, `match(first, second, points, normalise)`.
    """

    def __init__(self, network, size=None, compiled=True):
        if size is not None and not (isinstance(size, numbers.Integral) and size >= SMALLEST):
            raise ValueError(f"size is {size!r}, expected a whole number from {SMALLEST}")
        self.network = network
        self.size = getattr(network, "picture_size", None) if size is None else int(size)
        self._graph = _Graph(network) if compiled else None

    def landmarks(self, image):
        """See `predict_landmarks`."""
        check_gives(self.network, "landmarks")
        output, ratio = self._seen(image, "image")
        points = (output[schema.POINTS] + 0.5) / ratio - 0.5
        return {schema.POINTS: np.float32(points), schema.CONFIDENCE: output[schema.CONFIDENCE]}

    def labels(self, image):
        """See `predict_labels`."""
        check_gives(self.network, "labels")
        output, ratio = self._seen(image, "image")
        labels = output[schema.LABELS]
        cells = np.stack(np.meshgrid(*map(np.arange, labels.shape[1::-1])), axis=-1)
        stride = self.network.stride
        grid = (cells * stride + stride / 2) / ratio - 0.5
        return {schema.LABELS: labels, schema.GRID: np.float32(grid)}

    def match(self, first, second, points, normalise="none"):
        """See `match_object_points`."""
        check_gives(self.network, "labels")
        points = _checked_points(points, np.shape(first))
        (one, ratio1), (other, ratio2) = (
            self._seen(image, name) for image, name in ((first, "first"), (second, "second"))
        )
        found, similarity = match_points(
            one[schema.LABELS][None],
            other[schema.LABELS][None],
            np.float32((points + 0.5) * ratio1 - 0.5)[None],
            self.network.stride,
            normalise,
        )
        found = (ops.convert_to_numpy(found)[0] + 0.5) / ratio2 - 0.5
        return {
            schema.POINTS2: np.float32(found),
            schema.SIMILARITY: np.float32(ops.convert_to_numpy(similarity)[0]),
        }

    def _seen(self, image, name):
        """What the network says of a picture, without batch, and (x, y) of the scaling."""
        image = np.asarray(image)
        if image.dtype != np.uint8:
            image = as_float(image, name)
        size = seen_size(name, image.shape, self.size)
        # Of 8 bits as the pictures that it learned from, and as an exported network takes them.
        seen = as_float(image if size == image.shape[:2] else scaled(image, size), name)
        inputs = {"image": seen[None]}
        output = (
            self._graph.predict_on_batch(inputs)
            if self._graph is not None
            else _infer(self.network, inputs)
        )
        ratio = np.array(size[::-1]) / image.shape[1::-1]
        return {
            key: np.asarray(ops.convert_to_numpy(value)[0], "float32")
            for key, value in output.items()
        }, ratio


class _Graph(keras.Model):
    """`_infer` as a model, because Keras compiles models on every backend."""

    def __init__(self, network):
        super().__init__(name="object_predictor")
        self.network = network

    def build(self, input_shape=None):
        self.built = True

    def call(self, inputs):
        return _infer(self.network, inputs)


def _infer(network, inputs):
    output = network(inputs, training=False)
    kept = (schema.POINTS, schema.CONFIDENCE, schema.LABELS)
    return {key: output[key] for key in kept if key in output}


def seen_size(name, shape, size):
    """(height, width) at which a network sees a picture.

    Args:
        name: what a message calls the picture.
        shape: of the picture, [h, w, 3].
        size: its shorter side for the network, None for what it is.

    Raises:
        ValueError: the picture has another shape, or would be too small.
    """
    if len(shape) != 3 or shape[-1] != 3 or 0 in shape:
        raise ValueError(f"{name} has shape {tuple(shape)}, expected [h, w, 3]")
    height, width = shape[:2]
    shorter = min(height, width)
    if size is not None:
        return tuple(round(side * size / shorter) for side in (height, width))
    if shorter < SMALLEST:
        raise ValueError(
            f"{name} is {width}x{height}, and the network does not say at what size it learned; "
            f"expected at least {SMALLEST}x{SMALLEST}, or a size to scale it to"
        )
    return height, width


def _checked_points(points, shape):
    """float64 [n, 2], all in a picture of this shape."""
    points = np.asarray(points)
    if (
        points.ndim != 2
        or points.shape[-1] != 2
        or not len(points)
        or points.dtype.kind not in "iuf"
    ):
        raise ValueError(
            f"points are {points.dtype} {points.shape}, expected numbers [n, 2], n > 0"
        )
    points = points.astype("float64")
    height, width = (*shape, 0, 0)[:2]
    # A pixel's square reaches half a pixel to each side of its middle. False for NaN.
    inside = ((points >= -0.5) & (points <= np.array([width, height]) - 0.5)).all(axis=-1)
    if not inside.all():
        index = int(np.argmin(inside))
        x, y = points[index]
        raise ValueError(
            f"point {index} is ({x:g}, {y:g}), outside the picture of {width}x{height}"
        )
    return points
