"""Sources and streams that the pipeline tests share."""

import numpy as np
import tensorflow as tf

from kcorr import pipelines


class Numbered:
    """Record i is a pair of pictures filled with i; says which records were read, and when."""

    def __init__(self, count, size=(20, 24), broken=()):
        self.count, self.size, self.broken, self.read = count, size, set(broken), []
        self.names = [f"number_{i}" for i in range(count)]

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.read.append(index)
        if index in self.broken:
            raise ValueError("a damaged file")
        image = np.full((*self.size, 3), index % 256, np.uint8)
        return {"image1": image, "image2": image}


class Listed:
    """Given records."""

    def __init__(self, records):
        self.records = records
        self.names = [f"record_{i}" for i in range(len(records))]

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        return self.records[index]


def example(record, seed=0):
    """One example of a record, as `examples` makes it."""
    stream = pipelines.examples(Listed([record]), tuple(record), seed=seed, repeat=False)
    return next(iter(stream))


def changed(record, change, count):
    """`count` independent random changes of a record, as dicts of numpy arrays."""
    stream = pipelines.examples(Listed([record]), tuple(record), reuse=count, repeat=False)
    out = [as_numpy(each) for each in pipelines.mapped(stream, change)]
    assert len(out) == count
    return out


def as_numpy(tensors):
    return {key: np.asarray(value) for key, value in tensors.items()}


def equal(first, second):
    """Whether two dicts hold bit for bit the same arrays."""
    assert first.keys() == second.keys()
    return all(np.array_equal(first[key], second[key]) for key in first)


def textured(size=(40, 56), seed=0):
    """A smooth random picture, uint8 [h, w, 3], which a bilinear look-up hardly changes."""
    coarse = np.random.default_rng(seed).uniform(30, 225, (1, size[0] // 8, size[1] // 8, 3))
    fine = tf.image.resize(coarse, size, method="bicubic")[0].numpy()
    return np.clip(np.round(fine), 0, 255).astype(np.uint8)
