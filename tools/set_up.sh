#!/usr/bin/env bash
# Make a virtual environment, or bring one up to date: pinned dependencies (checked by hash), Headrace itself
# (editable) and the bytecode of both. Needs a Python 3.11-3.13 and a package index, nothing else.
#
#   tools/set_up.sh FOLDER PINS [PYTHON_VERSION]      e.g.  tools/set_up.sh .venv-3.12 constraints-dev.txt 3.12
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=$1 pins=$2 version=${3:-}
export UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# uv brings its own list of authorities; where the system has one, that one counts, as it does for pip.
if [ -e /etc/ssl/certs/ca-certificates.crt ]; then export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-1}; fi

say() { echo "set-up: $*" >&2; }

fits() { # is "$1" an interpreter that Headrace supports (and of the version asked for)?
    "$1" - "$version" <<'PY' 2>/dev/null
import sys
asked = sys.argv[1]
here = sys.version_info[:2]
sys.exit(not ((3, 11) <= here < (3, 14) and asked in ("", "%d.%d" % here)))
PY
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-} "python${version:-3}" python3.13 python3.12 python3.11; do
        if fits "$candidate"; then command -v "$candidate" && return; fi
    done
    # pyenv's shims answer only for the versions that are switched on: look into its folders too.
    if command -v pyenv >/dev/null; then
        for candidate in "$(pyenv root)"/versions/"${version:-3}"*/bin/python; do
            if fits "$candidate"; then echo "$candidate" && return; fi
        done
    fi
    say "no Python ${version:-3.11, 3.12 or 3.13} found. Hint: install one, or name it: PYTHON=/path/to/python3 make ..."
    return 1
}

make_venv() { # Debian ships venv and pip apart from Python; whoever is root here gets them.
    local python=$1
    "$python" -m venv --clear "$folder" >/dev/null 2>&1 && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "installing python3-venv (this Python has no ensurepip)"
        apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
        "$python" -m venv --clear "$folder" && return
    fi
    say "$python can't make a virtual environment. Hint: sudo apt-get install python3-venv"
    return 1
}

if ! [ -x "$folder/bin/python" ] || ! fits "$folder/bin/python"; then
    python=$(find_python)
    say "making $folder with $("$python" --version)"
    make_venv "$python"
fi

uv="$folder/bin/uv"
wanted=$(sed -n 's/^uv==\([^ ]*\).*/\1/p' constraints-uv.txt)
if ! [ -x "$uv" ] || [ "$("$uv" --version | cut -d' ' -f2)" != "$wanted" ]; then
    say "installing uv $wanted"
    "$folder/bin/python" -m pip install --quiet --require-hashes -r constraints-uv.txt
fi

say "installing $pins, with bytecode"
"$uv" pip install --quiet --python "$folder/bin/python" --require-hashes --compile-bytecode -r "$pins"
"$uv" pip install --quiet --python "$folder/bin/python" --no-deps --no-build-isolation --editable .
"$folder/bin/python" -m compileall -q src
say "$folder is ready"
