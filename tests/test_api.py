"""The public names are frozen in api.json: a name that others rely on does not vanish unnoticed."""

import importlib
import inspect
import json
from pathlib import Path

import pytest

FROZEN = Path(__file__).with_name("api.json")
MODULES = (
    "kcorr", "kcorr.datasets", "kcorr.export", "kcorr.io", "kcorr.layers", "kcorr.losses",
    "kcorr.metrics", "kcorr.models", "kcorr.objectives", "kcorr.ops", "kcorr.pipelines",
    "kcorr.viz",
)  # fmt: skip
UPDATE = "python tests/test_api.py"


def public_names(module):
    """Names without an underscore; where there is no `__all__`, sub-modules do not count.

    `dir` is asked, so that names that are resolved on first use are seen.
    """
    module = importlib.import_module(module)
    listed = getattr(module, "__all__", None)
    names = [name for name in listed or dir(module) if not name.startswith("_")]
    if listed is None:
        names = [name for name in names if not inspect.ismodule(getattr(module, name))]
    return sorted(names)


def frozen():
    return json.loads(FROZEN.read_text())


@pytest.mark.parametrize("module", MODULES)
def test_public_names_are_those_of_api_json(module):
    found, expected = set(public_names(module)), set(frozen()[module])
    gone, new = sorted(expected - found), sorted(found - expected)
    assert not gone and not new, (
        f"{module}: gone: {', '.join(gone) or 'nothing'}; new: {', '.join(new) or 'nothing'}. "
        f"If that is meant, run `{UPDATE}` and commit tests/api.json."
    )


def test_api_json_lists_no_other_module():
    assert sorted(frozen()) == sorted(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_resolves_and_is_documented(module):
    for name in frozen()[module]:
        value = getattr(importlib.import_module(module), name)
        if inspect.isclass(value) or inspect.isfunction(value) or inspect.ismodule(value):
            assert (value.__doc__ or "").strip(), f"{module}.{name} has no docstring"


def test_the_names_of_the_design_are_there():
    design = {
        "kcorr": "load",
        "kcorr.ops": "pixel_grid backward_warp forward_splat resize resize_flow compose_flow "
        "invert_flow local_correlation all_pairs_correlation spatial_softmax soft_argmax "
        "census_transform fb_occlusion range_map tps_fit tps_grid masked_mean",
        "kcorr.layers": "CostVolume Warp SpatialSoftmax SoftArgmax",
        "kcorr.io": "read_flow write_flow read_disparity write_disparity read_image",
        "kcorr.models": "build DDFlowNet from_authors_checkpoint",
        "kcorr.metrics": "EndPointError FlowOutliers DisparityOutliers OcclusionFScore",
    }
    names = frozen()
    for module, wanted in design.items():
        assert set(wanted.split()) <= set(names[module]), module


def test_a_name_that_does_not_exist_is_an_attribute_error():
    for module in MODULES:
        with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
            _ = importlib.import_module(module).no_such_name


def update(path):
    path.write_text(json.dumps({name: public_names(name) for name in MODULES}, indent=1) + "\n")


def test_the_update_writes_what_is_frozen(tmp_path):
    update(tmp_path / "api.json")
    assert (tmp_path / "api.json").read_text() == FROZEN.read_text()


if __name__ == "__main__":
    update(FROZEN)
    print(f"{FROZEN.name}: {len(MODULES)} modules")
