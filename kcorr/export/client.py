"""Asks a model that TF Serving serves; needs numpy, and for gRPC two more packages.

    flow = predict_rest("http://localhost:8501/v1/models/ddflow", image1, image2)["flow"]
    points = ask_rest("http://localhost:8501/v1/models/faces", {"image": images})["points"]

REST sends and receives arrays as nested lists of numbers (TF Serving takes base64 for string
tensors only): some 3 bytes a pixel value to the server and 20 bytes a flow component back. That
is fine for thumbnails and tests; large pictures should go by gRPC, which sends the bytes as they
are.
"""

import http.client
import json
import urllib.error
import urllib.request

import numpy as np

SIGNATURES = ("serving_default", "serving_float", "flow_and_occlusion")


def predict_rest(url, image1, image2, signature=None, timeout=60.0):
    """Flow of two images by TF Serving's REST interface.

    The request is `POST <url>:predict` with {"signature_name": ..., "inputs": {"image1": rows,
    "image2": rows}}, rows being the nested lists of a [b, h, w, 3] array.

    Args:
        url: "http://host:8501/v1/models/NAME", or with "/versions/N" at its end.
        image1: [h, w, 3] or [b, h, w, 3], uint8, or floating point in [0, 1]. Frame 1.
        image2: the same for frame 2.
        signature: "serving_default" (uint8), "serving_float" (float) or "flow_and_occlusion"
            (uint8); default: the one of the first two that fits the images.
        timeout: seconds.

    Returns:
        dict of float32 arrays: `flow` [h, w, 2] in pixels, (x, y), and for "flow_and_occlusion"
        also `flow_backward`, `occlusion` [h, w, 1] and `occlusion_backward`; with a batch axis if
        the images had one.

    Raises:
        ValueError: the images do not fit each other or the signature.
        ConnectionError: nobody answers at the address.
        RuntimeError: the server refused; the message is the server's.
    """
    inputs, signature, single = _request(image1, image2, signature)
    return _unbatched(ask_rest(url, inputs, signature, timeout, only="flow"), single)


def ask_rest(url, inputs, signature="serving_default", timeout=60.0, only="labels"):
    """Any signature by TF Serving's REST interface: `landmarks`, `match`, `match_points`, ...

    Args:
        url: as in `predict_rest`.
        inputs: {name: array}, with a batch axis, as the model card beside the SavedModel names
            them: {"image": uint8 [b, h, w, 3]} of landmarks and labels; "image1" and "image2" of
            `match`; these and "points" [b, n, 2] of `match_points`. What is not uint8 is sent as
            float32.
        signature: its name.
        timeout: seconds.
        only: name of the output where there is but one, which TF Serving leaves out: "labels" of
            `label`.

    Returns:
        {name: float32 array}, with the batch axis.

    Raises:
        ConnectionError, RuntimeError: as `predict_rest`.
    """
    body = {
        "signature_name": signature,
        "inputs": {key: _as_sent(array).tolist() for key, array in inputs.items()},
    }
    address = url.rstrip("/") if url.endswith(":predict") else f"{url.rstrip('/')}:predict"
    answer = _post(address, json.dumps(body).encode(), timeout)
    if not isinstance(answer, dict) or "outputs" not in answer:
        raise RuntimeError(f"{address}: expected a JSON object with 'outputs', as of TF Serving")
    outputs = answer["outputs"]
    outputs = outputs if isinstance(outputs, dict) else {only: outputs}
    return {key: np.asarray(value, np.float32) for key, value in outputs.items()}


def predict_grpc(target, image1, image2, model="ddflow", version=None, signature=None, timeout=60):
    """Flow of two images by TF Serving's gRPC interface.

    Args:
        target: "host:8500".
        image1: as in `predict_rest`.
        image2: as in `predict_rest`.
        model: name under which the model is served.
        version: its version; default: the server's choice, normally the newest.
        signature: as in `predict_rest`.
        timeout: seconds.

    Returns:
        As `predict_rest`.

    Raises:
        ModuleNotFoundError: grpcio or tensorflow-serving-api is not installed.
        ValueError, ConnectionError, RuntimeError: as `predict_rest`.
    """
    inputs, signature, single = _request(image1, image2, signature)
    return _unbatched(ask_grpc(target, inputs, model, version, signature, timeout), single)


def ask_grpc(target, inputs, model, version=None, signature="serving_default", timeout=60):
    """Any signature by TF Serving's gRPC interface, see `ask_rest`.

    Args:
        target, model, version, timeout: as in `predict_grpc`.
        inputs, signature: as in `ask_rest`.

    Returns:
        As `ask_rest`.

    Raises:
        ModuleNotFoundError, ConnectionError, RuntimeError: as `predict_grpc`.
    """
    try:
        import grpc
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"predict_grpc needs {error.name}: pip install grpcio tensorflow, and "
            "pip install --no-deps tensorflow-serving-api",
            name=error.name,
        ) from error
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for key, array in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(_as_sent(array)))
    unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(target, options=unlimited) as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            answer = service.Predict(request, timeout=timeout)
        except grpc.RpcError as error:
            lost = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
            kind = ConnectionError if error.code() in lost else RuntimeError
            raise kind(f"{target}: {error.code().name}: {_first_line(error.details())}") from error
    return {key: np.float32(tf.make_ndarray(t)) for key, t in answer.outputs.items()}


def _request(image1, image2, signature):
    """Checked ({input name: array with a batch axis}, signature, whether there was no batch)."""
    images = [np.asarray(image1), np.asarray(image2)]
    for name, image in zip(("image1", "image2"), images, strict=True):
        if image.ndim not in (3, 4) or image.shape[-1] != 3 or 0 in image.shape:
            raise ValueError(f"{name}: expected [h, w, 3] or [b, h, w, 3], got {image.shape}")
        if image.dtype != np.uint8 and image.dtype.kind != "f":
            raise ValueError(f"{name}: expected uint8 or floating point, got {image.dtype}")
    if images[0].shape != images[1].shape or (images[0].dtype.kind != images[1].dtype.kind):
        raise ValueError(
            f"image1 and image2 must have the same shape and kind, got {images[0].dtype} "
            f"{images[0].shape} and {images[1].dtype} {images[1].shape}"
        )
    floats = images[0].dtype.kind == "f"
    signature = signature or ("serving_float" if floats else "serving_default")
    if signature not in SIGNATURES:
        raise ValueError(f"signature must be one of {', '.join(SIGNATURES)}, got {signature!r}")
    if floats != (signature == "serving_float"):
        wanted = "floating point in [0, 1]" if signature == "serving_float" else "uint8"
        raise ValueError(f"signature {signature!r} takes {wanted}, got {images[0].dtype}")
    if floats:
        images = [np.asarray(image, np.float32) for image in images]
        if not all(np.isfinite(image).all() for image in images):
            raise ValueError("image1 and image2 must be finite")
    single = images[0].ndim == 3
    if single:
        images = [image[None] for image in images]
    return dict(zip(("image1", "image2"), images, strict=True)), signature, single


def _as_sent(array):
    array = np.asarray(array)
    return array if array.dtype == np.uint8 else array.astype(np.float32)


def _unbatched(arrays, single):
    return {key: array[0] if single else array for key, array in arrays.items()}


def _post(address, body, timeout):
    """The JSON value that the server answers."""
    request = urllib.request.Request(
        address, body, {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{address}: {error.code}: {_reason(error)}") from error
    except urllib.error.URLError as error:
        raise ConnectionError(f"{address}: no answer ({error.reason})") from error
    except TimeoutError as error:
        raise ConnectionError(f"{address}: no answer within {timeout} s") from error
    except (http.client.HTTPException, ConnectionError) as error:
        # It hung up half way, or speaks something else: 8500 is TF Serving's port for gRPC.
        reason = _first_line(error) or type(error).__name__
        raise ConnectionError(f"{address}: no HTTP answer ({reason})") from error
    try:
        return json.loads(text)
    except ValueError as error:
        raise RuntimeError(f"{address}: the answer is not JSON") from error


def _reason(error):
    """TF Serving explains itself in {"error": ...}."""
    try:
        return _first_line(json.loads(error.read())["error"])
    except (ValueError, KeyError, TypeError):
        return error.reason


def _first_line(text):
    return str(text).strip().split("\n")[0]
