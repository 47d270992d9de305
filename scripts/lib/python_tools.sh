# shellcheck shell=bash
# To be sourced: tools that come from PyPI, pinned by hash, in a virtual environment of their own. Nothing is installed
# into the system's Python.

# python_tools FOLDER REQUIREMENTS: makes FOLDER hold exactly what the file pins, unless it does already.
python_tools() {
    local folder=$1 requirements=$2
    if cmp -s "$requirements" "$folder/installed.txt"; then return; fi
    if ! python3 -c 'import ensurepip, venv' 2> /dev/null; then
        echo "error: there is no python3 with venv; on Debian: apt-get install python3-venv" >&2
        return 1
    fi
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        --requirement "$requirements" >&2
    # Last, so that what was cut off is made again.
    cp "$requirements" "$folder/installed.txt"
}
