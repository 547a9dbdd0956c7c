# Shared by demo.sh and test.sh: find a Python, bring the system libraries that Qt and
# OpenGL need, make a virtual environment and install the package into it.
# To be sourced; the caller has set -euo pipefail and ROOT, the top of the repository.

# The release that the tests run with; used only to ask for its CPU build by name.
TESTED_TORCH=2.13.0

# Library that Qt or OpenGL loads, then its Debian and Ubuntu package.  Several names,
# newest first, stand for one package that was renamed between releases.
SYSTEM_LIBRARIES="
libEGL.so.1              libegl1
libGL.so.1               libgl1
libOpenGL.so.0           libopengl0
libglib-2.0.so.0         libglib2.0-0t64|libglib2.0-0
libfontconfig.so.1       libfontconfig1
libdbus-1.so.3           libdbus-1-3
libxkbcommon.so.0        libxkbcommon0
libxkbcommon-x11.so.0    libxkbcommon-x11-0
libxcb-cursor.so.0       libxcb-cursor0
libxcb-icccm.so.4        libxcb-icccm4
libxcb-image.so.0        libxcb-image0
libxcb-keysyms.so.1      libxcb-keysyms1
libxcb-randr.so.0        libxcb-randr0
libxcb-render-util.so.0  libxcb-render-util0
libxcb-shape.so.0        libxcb-shape0
libxcb-xkb.so.1          libxcb-xkb1
"
# Packages without a library of their own to look for: the software renderer, a font,
# the virtual screen.
SYSTEM_PACKAGES="libgl1-mesa-dri fonts-dejavu-core xvfb xauth"

say() { printf '==> %s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Run a command without its output, which is shown only if it fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if [ "$status" -ne 0 ]; then tail -n 30 "$log" >&2; fi
    rm -f "$log"
    return "$status"
}

is_debian() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }
may_install() { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# ------------------------------------------------------------------ system libraries

# Print those of the Debian packages ("a|b": either) that are not installed.
missing_packages() {
    local names name found
    for names in $(awk 'NF { print $2 }' <<<"$SYSTEM_LIBRARIES") $SYSTEM_PACKAGES; do
        found=
        for name in ${names//|/ }; do
            case $(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) in
                installed) found=1 ;;
            esac
        done
        [ -n "$found" ] || echo "$names"
    done
}

# Print the first of the given names that this release knows, or nothing.
known_package() {
    local name
    for name in "$@"; do
        if apt-cache show "$name" >/dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
}

# Print libraries that the dynamic linker does not find, and Xvfb if it is not there.
missing_libraries() {
    local library _ known
    known=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null || true)
    while read -r library _; do
        [ -z "$library" ] || grep -qF "$library" <<<"$known" || echo "$library"
    done <<<"$SYSTEM_LIBRARIES"
    command -v Xvfb >/dev/null || echo Xvfb
}

install_packages() {
    local names name chosen=() unknown=()
    quietly as_root apt-get update -q || warn "apt-get update failed; going on with what is known"
    for names in "$@"; do
        # shellcheck disable=SC2086
        name=$(known_package ${names//|/ })
        if [ -n "$name" ]; then chosen+=("$name"); else unknown+=("$names"); fi
    done
    [ ${#unknown[@]} -eq 0 ] || warn "this release has no package ${unknown[*]}; going on without"
    [ ${#chosen[@]} -eq 0 ] || quietly apt_install "${chosen[@]}" ||
        warn "could not install ${chosen[*]}; the window may not open"
}

prepare_system() {
    local missing
    [ "$(uname -s)" = Linux ] || return 0
    if is_debian; then
        missing=$(missing_packages | tr '\n' ' ')
        [ -n "$missing" ] || return 0
        if may_install; then
            say "Installing system libraries: $missing"
            # shellcheck disable=SC2086
            install_packages $missing
        else
            warn "these system packages are missing: $missing"
            warn "install them: sudo apt-get install $(sed 's/[^ ]*|//g' <<<"$missing")"
        fi
    else
        missing=$(missing_libraries | tr '\n' ' ')
        [ -z "$missing" ] || warn "Qt and OpenGL may need what this system lacks: $missing"
    fi
}

# ------------------------------------------------------------------ Python

is_supported_python() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

# Print the first Python of a supported version; MEDSYN_PYTHON, if set, names it.
find_python() {
    local candidate
    for candidate in ${MEDSYN_PYTHON:-python3 python3.11 python3.12 python3.13}; do
        if is_supported_python "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "no Python 3.11, 3.12 or 3.13 found; install one (Debian 12, Ubuntu 24.04:" \
        "apt-get install python3 python3-venv) or name it by MEDSYN_PYTHON=/path/to/python"
}

# Debian keeps the part of Python that makes environments in a package of its own.
ensure_venv_module() {
    local python=$1 version
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    is_debian && may_install ||
        fail "$python cannot make virtual environments; run: sudo apt-get install python$version-venv"
    say "Installing python$version-venv"
    install_packages "python$version-venv|python3-venv"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python still cannot make virtual environments; name another by MEDSYN_PYTHON"
}

# ------------------------------------------------------------------ packages

# Install torch for the Python $1 before anything asks for it.  On Linux the default
# build brings gigabytes of CUDA libraries, of no use without an NVIDIA card: there,
# take the CPU build, from wherever pip is set up to look or else from PyTorch's index.
install_torch() {
    local python=$1
    "$python" -c 'import importlib.util as u; raise SystemExit(not u.find_spec("torch"))' && return
    if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null; then
        say "Installing PyTorch for the CPU"
        "$python" -m pip install -qq "torch==$TESTED_TORCH+cpu" >/dev/null 2>&1 && return
        "$python" -m pip install -qq --retries 0 --timeout 15 \
            --index-url https://download.pytorch.org/whl/cpu torch >/dev/null 2>&1 && return
        warn "no CPU build of PyTorch could be had; taking the default one, a large download"
    fi
    "$python" -m pip install -qq torch
}

# Make the environment $1 and install the package with the extra $2 into it, editable.
# Done again only when Python, the place or the list of dependencies has changed.
prepare_environment() {
    local environment=$1 extra=$2 python stamp
    python=$(find_python)
    stamp=$(printf '%s\n' "$("$python" -VV)" "$ROOT" "$extra" "$(cat "$ROOT/pyproject.toml")" |
        cksum)
    if [ "$(cat "$environment/stamp" 2>/dev/null)" = "$stamp" ]; then return; fi
    ensure_venv_module "$python"
    say "Installing napari-medsyn[$extra] into $environment (a few minutes the first time)"
    "$python" -m venv --clear "$environment"
    export PIP_DISABLE_PIP_VERSION_CHECK=1
    install_torch "$environment/bin/python"
    "$environment/bin/python" -m pip install -qq -e "$ROOT[$extra]"
    echo "$stamp" >"$environment/stamp"
}
