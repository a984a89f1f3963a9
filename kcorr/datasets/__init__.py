"""File trees, videos and wheels as sequences of records; numpy only, no TensorFlow.

A source has `len(source)`, `source.names[i]` (a unique string) and `source[i]`, a dict of numpy
arrays under the keys of `kcorr.schema`: images uint8 `[h, w, 3]`, flow float32 `[h, w, 2]` in
pixels, masks float32 `[h, w, 1]`.
"""

from kcorr.datasets._windows import windows
from kcorr.datasets.any_source import open_source
from kcorr.datasets.arms import ArticulatedArm, NFoldObject, TwoArms
from kcorr.datasets.celeba import CelebA
from kcorr.datasets.chairs import FlyingChairs
from kcorr.datasets.crops import SquareCrops, crop_square
from kcorr.datasets.cuts import CutFinder, find_cuts
from kcorr.datasets.deformable_faces import DeformableFaces
from kcorr.datasets.demo import demo_images, demo_videos, grove3, orl_faces
from kcorr.datasets.face_crops import AFLW, AFLWRecropped, CatHeads, Faces300W
from kcorr.datasets.folders import FrameFolder
from kcorr.datasets.generated_objects import GeneratedObjects
from kcorr.datasets.hd1k import HD1K
from kcorr.datasets.kitti import KITTI2012, KITTI2015, KITTIMultiView
from kcorr.datasets.middlebury import Middlebury
from kcorr.datasets.motorcycle import Motorcycle
from kcorr.datasets.natural import natural_key
from kcorr.datasets.orl import ORLFaces
from kcorr.datasets.point_folder import PointFolder, write_objects
from kcorr.datasets.scenes import Scenes
from kcorr.datasets.sintel import Sintel
from kcorr.datasets.source import Concat, InMemory, Pairs, Source, Subset, Windows
from kcorr.datasets.sphere import RotatingSphere
from kcorr.datasets.splits import (
    SELFLOW_VALIDATION,
    SINTEL_FRAMES,
    SINTEL_TEST_SCENES,
    chairs_split,
    kitti_multi_view,
    scene_windows,
    selflow_split,
)
from kcorr.datasets.stereo_scenes import StereoScenes
from kcorr.datasets.stereo_video import StereoVideo, open_stereo
from kcorr.datasets.submissions import (
    SubmissionWriter,
    check_submission,
    official_names,
    wrong_names,
)
from kcorr.datasets.things import FlyingThings3D
from kcorr.datasets.unlabelled import open_unlabelled
from kcorr.datasets.video import VideoFrames, video_pairs

__all__ = [
    "AFLW",
    "HD1K",
    "KITTI2012",
    "KITTI2015",
    "SELFLOW_VALIDATION",
    "SINTEL_FRAMES",
    "SINTEL_TEST_SCENES",
    "AFLWRecropped",
    "ArticulatedArm",
    "CatHeads",
    "CelebA",
    "Concat",
    "CutFinder",
    "DeformableFaces",
    "Faces300W",
    "FlyingChairs",
    "FlyingThings3D",
    "FrameFolder",
    "GeneratedObjects",
    "InMemory",
    "KITTIMultiView",
    "Middlebury",
    "Motorcycle",
    "NFoldObject",
    "ORLFaces",
    "Pairs",
    "PointFolder",
    "RotatingSphere",
    "Scenes",
    "Sintel",
    "Source",
    "SquareCrops",
    "StereoScenes",
    "StereoVideo",
    "SubmissionWriter",
    "Subset",
    "TwoArms",
    "VideoFrames",
    "Windows",
    "chairs_split",
    "check_submission",
    "crop_square",
    "demo_images",
    "demo_videos",
    "find_cuts",
    "grove3",
    "kitti_multi_view",
    "natural_key",
    "official_names",
    "open_source",
    "open_stereo",
    "open_unlabelled",
    "orl_faces",
    "scene_windows",
    "selflow_split",
    "video_pairs",
    "windows",
    "write_objects",
    "wrong_names",
]
