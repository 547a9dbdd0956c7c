#!/usr/bin/env bash
# From a bare machine to all checks passed: lint, types, floors, manifest, tests.
# Arguments go to pytest.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
source "$ROOT/scripts/_system.sh"

prepare_system
prepare_environment "$ROOT/.venv-test" test
cd "$ROOT"
PATH="$ROOT/.venv-test/bin:$PATH"

# The user's settings of napari neither decide the outcome nor are changed by it.
HOME_OF_TEST=$(mktemp -d)
trap 'rm -rf "$HOME_OF_TEST"' EXIT
for kind in CONFIG_HOME CACHE_HOME DATA_HOME STATE_HOME RUNTIME_DIR; do
    mkdir -m 700 "$HOME_OF_TEST/$kind"
    export "XDG_$kind=$HOME_OF_TEST/$kind"
done
export QT_API=pyqt6 PYTEST_QT_API=pyqt6
unset QT_QPA_PLATFORM NAPARI_ASYNC MEDSYN_HOME

failed=()
check() {
    local name=$1
    shift
    say "$name"
    "$@" || failed+=("$name")
}

# A window has real pixels only on an X screen; a virtual one keeps it out of the way.
screen=()
if command -v xvfb-run >/dev/null; then
    screen=(xvfb-run -a -s "-screen 0 1920x1080x24")
elif [ "$(uname -s)" = Linux ] && [ -z "${DISPLAY:-}" ]; then
    fail "neither xvfb-run nor a display: install xvfb, the tests open windows"
fi

check "ruff check" ruff check .
check "ruff format" ruff format --check .
check "mypy" mypy
check "import-linter" lint-imports --no-logo
check "npe2 validate" npe2 validate napari-medsyn
check "pytest" ${screen[@]+"${screen[@]}"} python -m pytest "$@"

if [ ${#failed[@]} -gt 0 ]; then
    fail "$(printf '%s, ' "${failed[@]}" | sed 's/, $//') failed; see above"
fi
