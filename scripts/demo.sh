#!/usr/bin/env bash
# From a bare machine to a first result: install napari-medsyn, then show the sample
# patient with its missing FLAIR imputed.  Arguments go to `medsyn demo`.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$ROOT/scripts/_system.sh"

prepare_system
prepare_environment "$ROOT/.venv" demo
export QT_API=pyqt6
exec "$ROOT/.venv/bin/medsyn" demo "$@"
