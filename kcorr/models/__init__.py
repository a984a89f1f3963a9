"""Networks: dict in, dict out, saved and exported alone."""

from kcorr.models.ddflow import DDFlowNet as DDFlowNet
from kcorr.models.registry import build as build
