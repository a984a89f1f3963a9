"""Networks of objects with known answers, called like those of `kcorr.models`."""

from keras import ops


class PlantedLandmarks:
    """Landmark k is the centre of mass of colour channel k; `seen` are the inputs' shapes.

    Resizing by the coordinate law keeps centres of mass, so that points on any other law show.
    """

    gives, stride, name = "landmarks", 2, "planted"

    def __init__(self, picture_size=None):
        self.picture_size, self.seen = picture_size, []

    def __call__(self, inputs, training=False):
        image = inputs["image"]
        self.seen.append(tuple(image.shape))
        height, width = ops.shape(image)[1:3]
        x = ops.reshape(ops.arange(width, dtype="float32"), (1, 1, -1, 1))
        y = ops.reshape(ops.arange(height, dtype="float32"), (1, -1, 1, 1))
        mass = ops.sum(image, (1, 2)) + 1e-9
        points = [ops.sum(image * axis, (1, 2)) / mass for axis in (x, y)]
        confidence = ops.expand_dims(ops.max(image, (1, 2)), -1)
        return {"points": ops.stack(points, -1), "confidence": confidence}


class PlantedLabels:
    """The label of a cell is the colour of its four pixels, of length 1."""

    gives, stride, name = "labels", 2, "planted"

    def __init__(self, picture_size=None):
        self.picture_size, self.seen = picture_size, []

    def __call__(self, inputs, training=False):
        image = inputs["image"]
        self.seen.append(tuple(image.shape))
        labels = ops.average_pool(image, 2, 2, padding="valid")
        length = ops.sqrt(ops.sum(ops.square(labels), -1, keepdims=True))
        return {"labels": labels / (length + 1e-9)}
