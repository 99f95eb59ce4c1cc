# Everything a checkout is built, tested and shown with; `make help` lists it.
# Needs git, make and python3. What else is needed is fetched; nothing is written outside build/.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# The system's Python, which QGIS uses; one of pyenv or conda on PATH knows nothing of QGIS.
PYTHON ?= $(if $(wildcard /usr/bin/python3),/usr/bin/python3,python3)
# Debian 12's qgis_process passes itself an option it does not know; .bin is the program.
QGIS_PROCESS ?= $(shell command -v qgis_process.bin || command -v qgis_process)
export QGIS_PROCESS
# Options of "Set up runtime", for example SETUP="--hardware CUDA" or SETUP="--wheel-folder wheels".
SETUP ?=
# A folder of real imagery for demo, bench-dubai and bench-objects.
DATA ?=

# Paths stay relative, so that a checkout may lie in a folder with blanks in its name.
RUNTIME := build/runtime/bin/python
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo build/uv/bin/uv)
RUN_UV := "$(PYTHON)" .ci/uv.py "$(UV)"
# QGIS and the tests see a home, a profile and temporary files of their own, never the user's.
SANDBOX := env -u PYTHONPATH -u PYTHONHOME -u PROJ_LIB -u PROJ_DATA -u GDAL_DATA PYTHONDONTWRITEBYTECODE=1 \
	HOME="$(CURDIR)/build/home" TMPDIR="$(CURDIR)/build/tmp" XDG_RUNTIME_DIR="$(CURDIR)/build/run" \
	QGIS_PLUGINPATH="$(CURDIR)/build/plugins" QGIS_CUSTOM_CONFIG_PATH="$(CURDIR)/build/profile" \
	IMAGERYDL_PYTHON="$(CURDIR)/$(RUNTIME)"
OFFSCREEN := $(SANDBOX) QT_QPA_PLATFORM=offscreen
# The pinned requirements of development packages, from pyproject.toml.
pinned = $(foreach package,$(1),$(shell sed -nE 's/.*"($(package)==[^"]+)".*/\1/p' pyproject.toml))

.PHONY: help setup system dev demo test test-engine test-frameworks test-qgis lint format docs screenshots bench \
	bench-dubai bench-objects package clean

help: ## this list
	@sed -nE 's/^([a-z][a-z-]*):.*## (.*)/  \1\t\2/p' Makefile | expand -t 16

setup: system build/runtime.stamp ## QGIS (by apt, where missing) and the engine's environment

system:
	@missing=; \
	{ [ -n "$(QGIS_PROCESS)" ] && "$(PYTHON)" -c 'import qgis.core' 2>/dev/null; } || missing="qgis python3-qgis"; \
	{ [ -x "$$(command -v "$(UV)")" ] || "$(PYTHON)" -c 'import ensurepip' 2>/dev/null; } || missing+=" python3-venv"; \
	$(call apt,$$missing)

# $(1): packages to install, none where the string is empty.
define apt
	packages="$(1)"; [ -n "$$packages" ] || exit 0; \
	command -v apt-get >/dev/null || { echo "Install these yourself, then try again: $$packages" >&2; exit 1; }; \
	sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	echo "Installing by apt: $$packages"; \
	$$sudo apt-get -q update; \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $$packages
endef

build/runtime.stamp: engine/requirements.txt | system
	"$(PYTHON)" -I engine/imagerydl setup-runtime --folder build/runtime $(SETUP)
	@touch "$@"

build/uv/bin/uv: | system
	"$(PYTHON)" -m venv build/uv
	build/uv/bin/python -m pip install --quiet uv

build/runtime-tests.stamp: build/runtime.stamp pyproject.toml | $(UV)
	$(RUN_UV) pip install --quiet --python $(RUNTIME) $(call pinned,pytest hypothesis)
	@touch "$@"

# The runtime with every extra, and TensorFlow apart from it: the one runs models that the other makes.
build/frameworks.stamp: $(wildcard engine/requirements*.txt) pyproject.toml | system $(UV)
	"$(PYTHON)" -I engine/imagerydl setup-runtime --folder build/frameworks --extras ALL $(SETUP)
	$(RUN_UV) pip install --quiet --python build/frameworks/bin/python $(call pinned,pytest hypothesis)
	$(RUN_UV) venv --quiet --clear --python build/frameworks/bin/python build/tensorflow
	$(RUN_UV) pip install --quiet --python build/tensorflow/bin/python $(call pinned,tensorflow tf-keras keras)
	@touch "$@"

# QGIS's Python with pytest beside it, and none of the engine's packages.
build/qgis-tests.stamp: pyproject.toml | system $(UV)
	$(RUN_UV) venv --quiet --clear --system-site-packages --python "$(PYTHON)" build/qgis-tests
	$(RUN_UV) pip install --quiet --python build/qgis-tests/bin/python $(call pinned,pytest)
	@touch "$@"

build/lint.stamp: pyproject.toml | $(UV)
	$(RUN_UV) venv --quiet --clear --python "$(PYTHON)" build/lint
	$(RUN_UV) pip install --quiet --python build/lint/bin/python $(call pinned,ruff)
	@touch "$@"

dev: ## link the checkout as a plugin in build/plugins
	@mkdir -p build/plugins build/profile build/home build/tmp
	@mkdir -p -m 700 build/run
	@ln -sfn "$(CURDIR)" build/plugins/imagerydl

build/profile.stamp: | system dev
	$(OFFSCREEN) "$(QGIS_PROCESS)" plugins enable imagerydl
	@touch "$@"

demo: build/runtime.stamp build/profile.stamp dev ## export, train, classify a generated town, or the imagery in DATA
	$(OFFSCREEN) $(RUNTIME) examples/demo.py $(if $(DATA),--data "$(DATA)")

test: test-engine test-qgis ## every test

test-engine: build/runtime-tests.stamp dev
	$(OFFSCREEN) $(RUNTIME) -m pytest -q tests/engine tests/contract tests/examples

test-frameworks: build/frameworks.stamp dev ## Keras and TensorFlow models against their own frameworks, RT-DETR; 4 to 8 GB
	IMAGERYDL_TENSORFLOW="$(CURDIR)/build/tensorflow/bin/python" $(OFFSCREEN) build/frameworks/bin/python \
		-m pytest -q tests/engine/models/runtimes/test_keras.py tests/engine/models/runtimes/test_tensorflow.py \
		tests/engine/models/runtimes/test_tensorflow_detection.py tests/engine/models/architectures/test_rtdetr.py \
		tests/engine/training/test_rtdetr.py tests/engine/environment/test_proof.py

test-qgis: build/qgis-tests.stamp build/runtime.stamp dev
	$(OFFSCREEN) build/qgis-tests/bin/python -m pytest -q tests/qgis

lint: build/lint.stamp ## style, format, and docs that have drifted from the declarations
	build/lint/bin/ruff check .
	build/lint/bin/ruff format --check .
	"$(PYTHON)" docs/generate.py --check

format: build/lint.stamp ## put the code into shape
	build/lint/bin/ruff check --fix .
	build/lint/bin/ruff format .

docs: ## write docs/tools/ from the declarations
	"$(PYTHON)" docs/generate.py

screenshots: build/runtime.stamp build/profile.stamp dev ## pictures of the Toolbox and the dialogs, under Xvfb
	@missing=; command -v xvfb-run >/dev/null || missing="xvfb xauth"; $(call apt,$$missing)
	$(SANDBOX) IMAGERYDL_PICTURES_ONLY="$(ONLY)" "$(PYTHON)" tests/ui/screenshots.py

bench: build/runtime.stamp dev ## ratios: training and export against bare loops, the worker's overhead
	$(OFFSCREEN) $(RUNTIME) benchmarks/bench.py

bench-dubai: build/runtime.stamp dev ## the article's protocol; DATA=../shared/data/seg_dubai_mbrsc
	$(OFFSCREEN) $(RUNTIME) benchmarks/dubai.py --data "$(DATA)"

bench-objects: build/runtime.stamp dev ## detectors and classifiers on real imagery; DATA=../shared/data [ONLY=cars]
	$(OFFSCREEN) $(RUNTIME) benchmarks/objects.py --data "$(DATA)" $(if $(ONLY),--only $(ONLY))

package: ## the plugin as a zip in build/, from what is committed
	"$(PYTHON)" .ci/package.py

clean: ## remove build/ and everything in it
	rm -rf build
