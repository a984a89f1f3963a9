"""Reading the authors' checkpoints: sound ones, and everything that must be refused by name."""

import numpy as np
import pytest
from _authors_truth import golden_weights, variable_shapes
from _bundle_writer import write_bundle

from kcorr.io import FormatError
from kcorr.models import DDFlowNet, from_authors_checkpoint
from kcorr.models.authors import authors_name

STEP = np.array(300000, "int32")


def assert_golden(network, family="DDFlow"):
    expected = golden_weights(family)
    found = {authors_name(weight.path): np.asarray(weight) for weight in network.weights}
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_every_weight_arrives(golden_network):
    assert isinstance(golden_network, DDFlowNet)
    assert golden_network.count_params() == 4_273_628
    assert_golden(golden_network)


@pytest.mark.tensorflow_only
def test_a_bundle_that_tensorflow_wrote(tmp_path):
    import tensorflow as tf

    tensors = {**golden_weights(), "Variable": STEP}
    names = sorted(tensors)
    prefix = str(tmp_path / "data distillation")
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(tensors[name]) for name in names],
    )
    # Exactly the released files' size: 4,273,628 weights and the step.
    assert (tmp_path / "data distillation.data-00000-of-00001").stat().st_size == 17_094_516
    assert_golden(from_authors_checkpoint(prefix))


def test_the_step_is_optional_and_file_names_are_understood(golden_prefix, tmp_path):
    prefix = write_bundle(tmp_path / "model-300000", {**golden_weights(), "Variable": STEP})
    assert_golden(from_authors_checkpoint(prefix + ".index"))
    assert_golden(from_authors_checkpoint(prefix + ".data-00000-of-00001"))
    assert_golden(from_authors_checkpoint(tmp_path / "model-300000"))


def test_a_mixed_policy_keeps_the_weights(golden_prefix):
    network = from_authors_checkpoint(golden_prefix, dtype="mixed_bfloat16")
    assert network.compute_dtype == "bfloat16"
    assert_golden(network)


def refusal(tmp_path, tensors):
    prefix = write_bundle(tmp_path / "odd", tensors)
    with pytest.raises(FormatError) as caught:
        from_authors_checkpoint(prefix)
    message = str(caught.value)
    assert message.startswith(f"{prefix}.index: ") and "\n" not in message
    return message


def test_all_wrong_names_and_shapes_are_listed_at_once(tmp_path):
    tensors = golden_weights()
    missing = ["context_network/dilated_conv7/biases", "estimator_level_4/conv3/weights"]
    for name in missing:
        del tensors[name]
    unknown = ["beta1_power", "feature_extractor/conv1_1/weights/Adam"]
    for name in unknown:
        tensors[name] = np.zeros(3, "float32")
    tensors["feature_extractor/conv3_1/weights"] = np.zeros((3, 3, 32, 65), "float32")
    tensors["feature_extractor/conv3_1/biases"] = np.zeros(64, "float64")
    tensors["Variable"] = np.zeros(2, "int32")
    message = refusal(tmp_path, tensors)
    assert f"missing: {', '.join(missing)};" in message
    assert f"unknown: {', '.join(unknown)};" in message
    assert "conv3_1/weights float32 [3, 3, 32, 65] instead of float32 [3, 3, 32, 64]" in message
    assert "conv3_1/biases float64 [64] instead of float32 [64]" in message
    assert "Variable int32 [2] instead of an integer" in message
    assert message.count("/") - str(tmp_path).count("/") < 20  # and nothing that is right


@pytest.mark.parametrize(
    "name", ["estimator_level_2/conv1/weights", "context_network/dilated_conv1/biases"]
)
def test_one_missing_tensor(tmp_path, name):
    tensors = golden_weights()
    del tensors[name]
    assert refusal(tmp_path, tensors).endswith(f"not a checkpoint of DDFlow: missing: {name}")


def test_an_empty_or_foreign_checkpoint_misses_everything(tmp_path):
    message = refusal(tmp_path, {"dense/kernel": np.zeros((2, 2), "float32")})
    names = sorted(variable_shapes())
    assert f"missing: {', '.join(names[:8])} and {len(names) - 8} more;" in message
    assert message.endswith("unknown: dense/kernel")


@pytest.mark.parametrize("family", ["DDFlow", "SelFlow"])
def test_the_family_is_recognised_by_its_shapes(tmp_path, family):
    tensors = {name: np.zeros(shape, "float32") for name, shape in variable_shapes(family).items()}
    prefix = write_bundle(tmp_path / "model", tensors)
    network = from_authors_checkpoint(prefix)
    assert type(network).__name__ == f"{family}Net" and not network.standardise
    # No file says whether its weights expect standardised images: the caller does.
    assert from_authors_checkpoint(prefix, standardise=True).standardise
    missing = "context_network/dilated_conv3/biases"
    del tensors[missing]
    assert refusal(tmp_path, tensors).endswith(f"not a checkpoint of {family}: missing: {missing}")
    # One foreign level does not turn one family into the other.
    other = {"DDFlow": "SelFlow", "SelFlow": "DDFlow"}[family]
    name = "estimator_level_4/conv1/weights"
    tensors[name] = np.zeros(variable_shapes(other)[name], "float32")
    assert f"not a checkpoint of {family}: missing: {missing}; misshapen: {name}" in refusal(
        tmp_path, tensors
    )


def test_a_selflow_bundle_has_the_released_size(tmp_path):
    tensors = {**golden_weights("SelFlow"), "Variable": STEP}
    prefix = write_bundle(tmp_path / "supervise_finetune", tensors)
    assert (tmp_path / "supervise_finetune.data-00000-of-00001").stat().st_size == 19_163_508
    network = from_authors_checkpoint(prefix, dtype="mixed_bfloat16", standardise=True)
    assert network.compute_dtype == "bfloat16"
    assert_golden(network, "SelFlow")


def test_missing_and_truncated_files_are_named(tmp_path):
    prefix = str(tmp_path / "nothing here")
    with pytest.raises(FileNotFoundError, match=r"nothing here\.index: no such file"):
        from_authors_checkpoint(prefix)
    prefix = write_bundle(tmp_path / "half", golden_weights())
    data = tmp_path / "half.data-00000-of-00001"
    whole = data.read_bytes()
    data.write_bytes(whole[:-4])
    with pytest.raises(FormatError, match=r"half\.data-00000-of-00001: truncated: 17094508 bytes"):
        from_authors_checkpoint(prefix)
    data.write_bytes(whole[:5_000_000] + b"!" + whole[5_000_001:])
    with pytest.raises(FormatError, match=r"half\.data.*: damaged: the check sum of .*/weights"):
        from_authors_checkpoint(prefix)
    data.unlink()
    with pytest.raises(FileNotFoundError, match=r"half\.data-00000-of-00001: no such file"):
        from_authors_checkpoint(prefix)
