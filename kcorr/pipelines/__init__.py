"""tf.data: records in, dict batches out."""

from kcorr.pipelines.augment import random_channel_order as random_channel_order
from kcorr.pipelines.augment import random_colour as random_colour
from kcorr.pipelines.augment import random_crop as random_crop
from kcorr.pipelines.augment import random_flips as random_flips
from kcorr.pipelines.batches import batches as batches
from kcorr.pipelines.records import examples as examples
