"""File trees, videos and wheels as sequences of records; numpy only, no TensorFlow.

A source has `len(source)`, `source.names[i]` (a unique string) and `source[i]`, a dict of numpy
arrays under the keys of `kcorr.schema`: images uint8 `[h, w, 3]`, flow float32 `[h, w, 2]` in
pixels, masks float32 `[h, w, 1]`.
"""

from kcorr.datasets.demo import demo_images, demo_videos, grove3, orl_faces

__all__ = ["demo_images", "demo_videos", "grove3", "orl_faces"]
