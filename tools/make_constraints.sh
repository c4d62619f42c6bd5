#!/usr/bin/env bash
# Resolve pyproject.toml again and write the pins, with hashes, for every supported Python, naming no host.
# Extra arguments go to uv: `tools/make_constraints.sh --upgrade-package polars`, `--upgrade` for everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv=${UV:-.venv/bin/uv}
export UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1

compile() { # compile OUTPUT ARGUMENTS...
    local output=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-emit-index-url --no-header --output-file "$output" "$@"
    if grep -nE '://' "$output"; then
        echo "$output names a host (above)" >&2
        return 1
    fi
}

# Great Expectations holds others back: it is never in the environment that develops.
extras=$(sed -n '/^\[project.optional-dependencies\]/,/^\[/s/^\([a-z0-9-]*\) = .*/--extra \1/p' pyproject.toml | grep -vx -- '--extra gx')
# shellcheck disable=SC2086
compile constraints-dev.txt $extras --group dev pyproject.toml "$@"
# The smaller sets are cuts of that one, so that one environment can hold them all.
cut=$(mktemp)
trap 'rm -f "$cut"' EXIT
sed -E 's/ *\\$//; /^ +--hash/d' constraints-dev.txt >"$cut"
compile constraints.txt --group build -c "$cut" pyproject.toml
echo uv | compile constraints-uv.txt -c "$cut" -
# The oldest releases that pyproject.toml admits.
compile constraints-floors.txt --resolution lowest-direct $extras --group dev pyproject.toml
