"""File trees, videos and wheels as sequences of records; numpy only, no TensorFlow.

A source has `len(source)`, `source.names[i]` (a unique string) and `source[i]`, a dict of numpy
arrays under the keys of `kcorr.schema`: images uint8 `[h, w, 3]`, flow float32 `[h, w, 2]` in
pixels, masks float32 `[h, w, 1]`.
"""

from kcorr.datasets.any_source import open_source
from kcorr.datasets.chairs import FlyingChairs
from kcorr.datasets.cuts import CutFinder, find_cuts
from kcorr.datasets.demo import demo_images, demo_videos, grove3, orl_faces
from kcorr.datasets.folders import FrameFolder
from kcorr.datasets.kitti import KITTI2012, KITTI2015, SELFLOW_VALIDATION, KITTIMultiView
from kcorr.datasets.motorcycle import Motorcycle
from kcorr.datasets.natural import natural_key
from kcorr.datasets.scenes import Scenes
from kcorr.datasets.sintel import Sintel
from kcorr.datasets.source import Concat, Pairs, Source, Subset
from kcorr.datasets.video import VideoFrames, video_pairs

__all__ = [
    "KITTI2012",
    "KITTI2015",
    "SELFLOW_VALIDATION",
    "Concat",
    "CutFinder",
    "FlyingChairs",
    "FrameFolder",
    "KITTIMultiView",
    "Motorcycle",
    "Pairs",
    "Scenes",
    "Sintel",
    "Source",
    "Subset",
    "VideoFrames",
    "demo_images",
    "demo_videos",
    "find_cuts",
    "grove3",
    "natural_key",
    "open_source",
    "orl_faces",
    "video_pairs",
]
