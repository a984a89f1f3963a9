"""tf.data: records in, dict batches out.

    pairs = pipelines.examples(source, seed=1)          # one dict an example, images uint8
    crop = functools.partial(pipelines.random_crop, size=(192, 256))
    pairs = pipelines.mapped(pairs, crop, pipelines.random_flips)
    batches = pipelines.batches(pairs, 4)               # images float32 in [0, 1], prefetched

Every random change is drawn from the example's own stateless seed, so that an example is a pure
function of (record, seed): it does not depend on the number of threads or of workers.
"""

from kcorr.pipelines.appearance import random_appearance as random_appearance
from kcorr.pipelines.appearance import random_jpeg as random_jpeg
from kcorr.pipelines.appearance import random_lighting as random_lighting
from kcorr.pipelines.batches import batches as batches
from kcorr.pipelines.batches import with_common_crop_offset as with_common_crop_offset
from kcorr.pipelines.challenges import COLOUR as COLOUR
from kcorr.pipelines.challenges import OCCLUSION as OCCLUSION
from kcorr.pipelines.challenges import challenge as challenge
from kcorr.pipelines.challenges import random_jitter as random_jitter
from kcorr.pipelines.changes import mapped as mapped
from kcorr.pipelines.colour import random_channel_order as random_channel_order
from kcorr.pipelines.colour import random_colour as random_colour
from kcorr.pipelines.colour import to_float as to_float
from kcorr.pipelines.geometry import random_crop as random_crop
from kcorr.pipelines.geometry import random_flips as random_flips
from kcorr.pipelines.geometry import resize_example as resize_example
from kcorr.pipelines.geometry import with_crop_offset as with_crop_offset
from kcorr.pipelines.hallucination import noise_at as noise_at
from kcorr.pipelines.hallucination import rectangle_mask as rectangle_mask
from kcorr.pipelines.hallucination import superpixel_mask as superpixel_mask
from kcorr.pipelines.hallucination import superpixels as superpixels
from kcorr.pipelines.hallucination import with_superpixels as with_superpixels
from kcorr.pipelines.pairs import mirror_second as mirror_second
from kcorr.pipelines.pairs import video_pair as video_pair
from kcorr.pipelines.records import examples as examples
from kcorr.pipelines.stereo import mirror_stereo as mirror_stereo
from kcorr.pipelines.stereo import proxy_task as proxy_task
from kcorr.pipelines.teacher import TEACHER as TEACHER
from kcorr.pipelines.teacher import teacher_files as teacher_files
from kcorr.pipelines.teacher import with_teacher as with_teacher
from kcorr.pipelines.views import GEOMETRY as GEOMETRY
from kcorr.pipelines.views import random_affines as random_affines
from kcorr.pipelines.views import random_views as random_views
from kcorr.pipelines.warps import WARPS as WARPS
from kcorr.pipelines.warps import published_pair as published_pair
from kcorr.pipelines.warps import published_view as published_view
from kcorr.pipelines.warps import warp_pair as warp_pair
from kcorr.pipelines.warps import warp_view as warp_view
