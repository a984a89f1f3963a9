"""Annotated points as linear functions of landmarks, learned step by step."""

import keras
from keras import ops

from kcorr.models.point_fits import check_points, fit_points


@keras.saving.register_keras_serializable(package="kcorr")
class LinearPoints(keras.Model):
    """Annotated points as linear combinations, without bias, of all coordinates of landmarks.

    Coordinates are in [-1, 1], from the first to the last pixel's centre: without a bias it matters
    where 0 is. The first weights are 0, so that a fit starts with all points in the middle.

    Args:
        points: number of annotated points.
        landmarks: number of landmarks.
        size: (height, width) of the pictures, at least 2 x 2.

    Call: `net({"landmarks": [b, landmarks, 2]})`, pixels. Returns a dict, float32:
        points: [b, points, 2] pixels.
        normalised: [b, points, 2], `points` in [-1, 1].

    Raises:
        ValueError: numbers below 1, a smaller size, or another number of landmarks.

    Source: the regressor of Thewlis et al., ICCV 2017; `kcorr.metrics.LandmarkRegression` is the
    closed form that later papers have.
    """

    def __init__(self, points, landmarks, size, name="linear_points", **kwargs):
        super().__init__(name=name, autocast=False, **kwargs)
        size = tuple(size)
        if min(points, landmarks) < 1 or len(size) != 2 or min(size) < 2:
            raise ValueError(
                "LinearPoints needs at least 1 point and 1 landmark and a size (height, width) of "
                f"at least 2 x 2, got {points}, {landmarks}, {size}"
            )
        self.points, self.landmarks, self.size = points, landmarks, size
        self.kernel = None

    def build(self, input_shape=None):
        """Creates the weights."""
        if self.built:
            return
        self.kernel = self.add_weight(
            shape=(2 * self.landmarks, 2 * self.points),
            initializer="zeros",
            dtype="float32",
            autocast=False,
            name="kernel",
        )
        self.built = True

    def call(self, inputs, training=False):
        landmarks = ops.convert_to_tensor(inputs["landmarks"])
        if tuple(landmarks.shape[1:]) != (self.landmarks, 2):
            raise ValueError(
                f"LinearPoints expects landmarks [b, {self.landmarks}, 2], got "
                f"{tuple(landmarks.shape)}"
            )
        half = ops.convert_to_tensor([(side - 1) / 2 for side in self.size[::-1]], "float32")
        flat = ops.reshape(ops.cast(landmarks, "float32") / half - 1, [-1, 2 * self.landmarks])
        found = ops.matmul(flat, ops.convert_to_tensor(self.kernel))
        normalised = ops.reshape(found, [-1, self.points, 2])
        return {"points": (normalised + 1) * half, "normalised": normalised}

    def get_config(self):
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "points": self.points,
            "landmarks": self.landmarks,
            "size": self.size,
        }


def fit_linear_points(
    landmarks,
    points,
    visible=None,
    *,
    size,
    epochs=100,
    batch_size=32,
    learning_rate=1e-2,
    drops=(50, 80),
    decay=0.0,
    seed=0,
    callbacks=(),
):
    """Learns `LinearPoints` from landmarks that were computed once.

    The loss and the optimizer are those of `fit_virtual_points`. The paper learns from warped
    views: give the landmarks of many views of each picture. Its schedule is not published; the
    defaults are kcorr's.

    Args:
        landmarks: [b, k, 2] pixels.
        points: [b, p, 2] pixels of the same pictures or views.
        visible: [b, p, 1], > 0.5 = counts.
        size: (height, width) of the pictures.
        epochs, batch_size, learning_rate, drops, decay: of the training; `drops` in epochs.
        seed: of the order.
        callbacks: for `keras.Model.fit`.

    Returns:
        A trained `LinearPoints`.

    Raises:
        ValueError: shapes that do not fit.

    Source: Thewlis et al., ICCV 2017: "one fully connected layer without bias".
    """
    landmarks, points = check_points(
        "fit_linear_points", landmarks, "landmarks [b, k, 2]", 3, points
    )
    keras.utils.set_random_seed(seed)
    network = LinearPoints(points.shape[1], landmarks.shape[1], size)
    network.build()
    fit_points(
        network,
        "landmarks",
        landmarks,
        points,
        visible,
        network.size,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        drops=drops,
        decay=decay,
        callbacks=callbacks,
    )
    return network
