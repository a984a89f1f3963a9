"""Losses: pure functions of predictions that return one value per example, [b].

All take a mask [b, h, w, 1] (1 = counts, None counts everything) that receives no gradient, compute
in float32 whatever the dtype policy is, and may be given NaN where the mask is 0; a NaN that counts
reaches the result, so that the training step can see it and skip the step.
"""

from kcorr.losses.distillation import distillation as distillation
from kcorr.losses.distillation import distillation_mask as distillation_mask
from kcorr.losses.landmarks import coordinate_alignment as coordinate_alignment
from kcorr.losses.landmarks import pooled_diversity as pooled_diversity
from kcorr.losses.landmarks import probability_alignment as probability_alignment
from kcorr.losses.landmarks import quadratic_diversity as quadratic_diversity
from kcorr.losses.matching import structured_hinge as structured_hinge
from kcorr.losses.photometric import census as census
from kcorr.losses.photometric import photometric as photometric
from kcorr.losses.robust import robust as robust
from kcorr.losses.robust import robust_mean as robust_mean
from kcorr.losses.sequence import sequence_endpoint_error as sequence_endpoint_error
from kcorr.losses.sequence import sequence_mean as sequence_mean
from kcorr.losses.smoothness import edge_aware_smoothness as edge_aware_smoothness
from kcorr.losses.stereo import quadrilateral as quadrilateral
from kcorr.losses.stereo import triangle as triangle
from kcorr.losses.supervised import downsample_target as downsample_target
from kcorr.losses.supervised import endpoint_error as endpoint_error
from kcorr.losses.supervised import pyramid_endpoint_error as pyramid_endpoint_error
