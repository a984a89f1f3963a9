"""The client, against a small server that speaks TF Serving's protocols from the SavedModel."""

import json
import re
import socket
import subprocess
import sys
import threading
import types
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np
import pytest
import tensorflow as tf
from _serving_protos import PredictRequest, PredictResponse

from kcorr.export import ask_grpc, ask_rest, client, predict_grpc, predict_rest

SERVICE = "tensorflow.serving.PredictionService"


class Handler(BaseHTTPRequestHandler):
    """POST /v1/models/planted[/versions/1]:predict in the columnar format; all else is an error."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = re.fullmatch(r"/v1/models/(\w+)(/versions/\d+)?:predict", self.path)
        if path is None:
            return self.answer(404, b"<html>nothing here</html>")
        if path[1] == "html":
            return self.answer(200, b"<html>a proxy</html>")
        if path[1] == "list":
            return self.answer(200, b"[1, 2]")
        if path[1] != "planted" or path[2] not in (None, "/versions/1"):
            text = f"Servable not found for request: Latest({path[1]})\nsecond line"
            return self.answer(404, json.dumps({"error": text}).encode())
        signature = self.server.model.signatures[asked["signature_name"]]
        kinds = signature.structured_input_signature[1]
        inputs = {
            name: tf.constant(rows, kinds[name].dtype) for name, rows in asked["inputs"].items()
        }
        outputs = {name: value.numpy().tolist() for name, value in signature(**inputs).items()}
        # TF Serving drops the name where there is one output.
        columns = outputs if len(outputs) > 1 else next(iter(outputs.values()))
        return self.answer(200, json.dumps({"outputs": columns}).encode())

    def answer(self, code, body):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def rest(served):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.model = served
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/models"
    server.shutdown()
    server.server_close()


@pytest.fixture
def serving_api(monkeypatch):
    """Stands in for tensorflow-serving-api: the same two modules, from `_serving_protos`."""

    class PredictionServiceStub:
        def __init__(self, channel):
            self.Predict = channel.unary_unary(
                f"/{SERVICE}/Predict", PredictRequest.SerializeToString, PredictResponse.FromString
            )

    apis = types.ModuleType("tensorflow_serving.apis")
    apis.predict_pb2 = types.SimpleNamespace(PredictRequest=PredictRequest)
    apis.prediction_service_pb2_grpc = types.SimpleNamespace(
        PredictionServiceStub=PredictionServiceStub
    )
    monkeypatch.setitem(sys.modules, "tensorflow_serving", types.ModuleType("tensorflow_serving"))
    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", apis)


@pytest.fixture(scope="module")
def grpc_target(served):
    def predict(request, context):
        spec = request.model_spec
        if spec.name != "planted" or spec.version.value not in (0, 1):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Servable not found: {spec.name}\nmore")
        inputs = {key: tf.constant(tf.make_ndarray(t)) for key, t in request.inputs.items()}
        response = PredictResponse()
        for key, value in served.signatures[spec.signature_name](**inputs).items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
        return response

    method = grpc.unary_unary_rpc_method_handler(
        predict, PredictRequest.FromString, PredictResponse.SerializeToString
    )
    server = grpc.server(futures.ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(SERVICE, {"Predict": method})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def asked_directly(served, signature, first, second):
    answer = served.signatures[signature](image1=tf.constant(first), image2=tf.constant(second))
    return {name: value.numpy() for name, value in answer.items()}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype == np.float32
        assert np.array_equal(found[name], value)  # decimal text holds a float32 exactly


@pytest.mark.parametrize("signature", client.SIGNATURES)
def test_rest_gives_what_the_model_gives(rest, served, image_pair, signature):
    pair = image_pair(2, 20, 24)
    if signature == "serving_float":
        pair = [np.float32(image / 255) for image in pair]
    expected = asked_directly(served, signature, *pair)
    assert np.abs(expected["flow"]).max() > 0.01
    assert_same(predict_rest(f"{rest}/planted", *pair, signature=signature), expected)


def test_rest_takes_single_images_floats_and_versions(rest, served, image_pair):
    first, second = (image[0] for image in image_pair(1, 18, 22))
    expected = asked_directly(served, "serving_default", first[None], second[None])
    single = {name: value[0] for name, value in expected.items()}
    assert_same(predict_rest(f"{rest}/planted/versions/1", first, second), single)
    assert_same(predict_rest(f"{rest}/planted:predict", first, second), single)
    floats = [image / 255 for image in (first, second)]  # float64
    found = predict_rest(f"{rest}/planted/", *floats)
    np.testing.assert_allclose(found["flow"], single["flow"], atol=1e-5)


@pytest.mark.parametrize("signature", client.SIGNATURES)
def test_grpc_gives_what_the_model_gives(grpc_target, serving_api, served, image_pair, signature):
    pair = image_pair(2, 20, 24)
    if signature == "serving_float":
        pair = [np.float32(image / 255) for image in pair]
    expected = asked_directly(served, signature, *pair)
    found = predict_grpc(grpc_target, *pair, model="planted", version=1, signature=signature)
    assert_same(found, expected)
    if signature == "serving_default":
        single = predict_grpc(grpc_target, pair[0][1], pair[1][1], model="planted")
        assert single["flow"].shape == (20, 24, 2)


def test_any_signature_can_be_asked(rest, grpc_target, serving_api, served, image_pair):
    first, second = image_pair(1, 16, 16)
    answer = served.signatures["features"](image=tf.constant(first))
    expected = {name: value.numpy() for name, value in answer.items()}
    assert_same(ask_rest(f"{rest}/planted", {"image": first}, "features"), expected)
    assert_same(ask_grpc(grpc_target, {"image": first}, "planted", signature="features"), expected)
    # TF Serving leaves the only output's name out, and numbers that are not uint8 are float32.
    pair = {"image1": (first / 255).tolist(), "image2": second / 255}
    answer = asked_directly(served, "serving_float", *map(np.float32, pair.values()))
    found = ask_rest(f"{rest}/planted", pair, "serving_float", only="some_flow")
    assert_same(found, {"some_flow": answer["flow"]})
    assert_same(ask_grpc(grpc_target, pair, "planted", 1, "serving_float"), answer)


@pytest.mark.parametrize(
    "path, message",
    [
        ("other", "404: Servable not found for request: Latest(other)"),
        ("planted/versions/9", "404: Servable not found"),
        ("a/b/c", "404: Not Found"),
        ("html", "the answer is not JSON"),
        ("list", "expected a JSON object with 'outputs'"),
    ],
)
def test_a_refusing_server_is_quoted_in_one_line(rest, image_pair, path, message):
    with pytest.raises(RuntimeError) as caught:
        predict_rest(f"{rest}/{path}", *image_pair(1, 4, 4))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_refusing_grpc_server_is_quoted_in_one_line(grpc_target, serving_api, image_pair):
    with pytest.raises(RuntimeError, match=r"NOT_FOUND: Servable not found: other$"):
        predict_grpc(grpc_target, *image_pair(1, 4, 4), model="other")


def test_a_server_that_is_not_there_is_named(serving_api, image_pair):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ConnectionError, match=f"http://{address}/v1/models/x:predict: no answer"):
        predict_rest(f"http://{address}/v1/models/x", *image_pair(1, 4, 4))
    with pytest.raises(ConnectionError, match=f"{address}: UNAVAILABLE"):
        predict_grpc(address, *image_pair(1, 4, 4))


@pytest.mark.parametrize(
    "answer", [b"", b"\x00\x00\x12\x04\x00", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]
)
def test_what_is_no_http_answer_is_a_connection_error(image_pair, answer):
    """A server that hangs up, TF Serving's port for gRPC, an answer that breaks off."""

    def serve(server):
        connection, _ = server.accept()
        with connection:
            asked = b""
            while not asked.endswith(b"}"):
                asked += connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=[server], daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1/models/x"
        with pytest.raises(ConnectionError, match=f"^{url}:predict: no ") as caught:
            predict_rest(url, *image_pair(1, 4, 4))
    assert "\n" not in str(caught.value)


def test_a_silent_server_is_not_waited_for_longer_than_asked(image_pair):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1/models/x"
        with pytest.raises(ConnectionError, match="no answer"):
            predict_rest(url, *image_pair(1, 4, 4), timeout=0.2)


GOOD = np.zeros((4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    "first, second, signature, message",
    [
        (GOOD[0], GOOD, None, r"image1: expected \[h, w, 3\] or \[b, h, w, 3\], got \(5, 3\)"),
        (GOOD, GOOD[..., :1], None, "image2: expected"),
        (GOOD[:0], GOOD[:0], None, "image1: expected"),
        (GOOD, GOOD[:3], None, "same shape"),
        (GOOD, GOOD / 255, None, "same shape and kind"),
        (GOOD.astype(int), GOOD, None, "image1: expected uint8 or floating point, got int64"),
        (GOOD / 255, GOOD / 255, "serving_default", "takes uint8, got float64"),
        (GOOD, GOOD, "serving_float", "takes floating point"),
        (GOOD, GOOD, "features", "signature must be one of serving_default,"),
        (GOOD * np.nan, GOOD * np.nan, None, "must be finite"),
    ],
)
def test_images_are_checked_before_they_are_sent(first, second, signature, message):
    for ask, address in ((predict_rest, "http://127.0.0.1:1"), (predict_grpc, "127.0.0.1:1")):
        with pytest.raises(ValueError, match=message):
            ask(address, first, second, signature=signature)


@pytest.mark.parametrize("missing", ["grpc", "tensorflow_serving.apis"])
def test_grpc_without_its_packages_says_what_to_install(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not installed
    with pytest.raises(ModuleNotFoundError) as caught:
        predict_grpc("127.0.0.1:1", GOOD, GOOD)
    assert "pip install --no-deps tensorflow-serving-api" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_client_does_not_import_tensorflow():
    code = (
        "import sys, kcorr.export; kcorr.export.predict_rest; kcorr.export.client\n"
        "print([name for name in ('tensorflow', 'keras', 'grpc') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
