#!/usr/bin/env bash
# pip install for tox: PYTHON ARGUMENTS…, with the CPU build of PyTorch on machines
# without an NVIDIA card.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$ROOT/scripts/_system.sh"

python=$1
shift
install_torch "$python"
exec "$python" -m pip install "$@"
