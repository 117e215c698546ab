#!/bin/sh
# Makes the two virtual environments that everything here runs in: .venv for the project and its tools, .venv-emulator
# for the AWS emulator, which pins its own botocore. Installs only what the lock files name, by hash. Does nothing if
# neither the lock files, the interpreter nor the folder has changed. Needs no root and no package manager.
set -eu
cd "$(dirname "$0")/.."

say() {
    printf 'setup: %s\n' "$1"
}

fail() {
    printf '\nsetup: %s\n' "$1" >&2
    exit 1
}

is_fit() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null
}

find_python() {
    # Once made, the environments keep their Python until another is named.
    if [ -z "${PYTHON:-}" ] && is_fit .venv/bin/python; then
        kept=$(.venv/bin/python -c 'import sys; print(getattr(sys, "_base_executable", ""))')
        if [ -x "$kept" ]; then
            printf '%s' "$kept"
            return
        fi
    fi
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if command -v "$candidate" > /dev/null 2>&1 && is_fit "$candidate"; then
            printf '%s' "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed; the python3 here is: $(python3 -V 2>&1 || true).
       Install one, or name one you have:  make setup PYTHON=/path/to/python3.13"
}

# What a virtual environment depends on for good: its own place and the interpreter it was made with.
identity() {
    pwd
    "$python" -c 'import sys; print(sys.version.split()[0], sys.base_prefix)'
}

make_environment() { # folder, lock file
    if [ "$(cat "$1/.identity" 2> /dev/null)" != "$(identity)" ] || ! is_fit "$1/bin/python"; then
        say "making $1 with $("$python" -V)"
        rm -rf "$1"
        "$python" -m venv "$1" || fail "Python's venv module does not work. On Debian and Ubuntu it is a package of its own:
       apt install python3-venv    (or name another Python:  make setup PYTHON=/path/to/python3.13)"
        identity > "$1/.identity"
    fi
    wanted=$(cat local/setup.sh requirements/bootstrap.txt "requirements/$2.txt" | cksum)
    [ "$(cat "$1/.locked" 2> /dev/null)" != "$wanted" ] || return 0
    say "installing what requirements/$2.txt locks into $1 (a minute or two the first time)"
    if ! .venv/bin/python -m uv --version > /dev/null 2>&1; then
        .venv/bin/python -m pip install --quiet --require-hashes --requirement requirements/bootstrap.txt \
            || fail "pip could not install uv; is a package index reachable? pip's own settings apply."
    fi
    .venv/bin/python -m uv pip sync --quiet --require-hashes --python "$1/bin/python" "requirements/$2.txt" \
        || fail "uv could not install the packages; is a package index reachable? uv's own settings apply."
    printf '%s\n' "$wanted" > "$1/.locked"
}

# The checkout is importable as it is: nothing is built or copied, an edit works at once.
make_importable() {
    packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n%s\n' "$(pwd)" "$(pwd)/layers/core/python" > "$packages/recado.pth"
    # The WhatsApp client needs libmagic, a system library. Where it is not installed, a locked package brings one.
    # Asked without the search path that this very package leaves to the processes below it, or it would vouch for itself.
    if ! env -u LD_LIBRARY_PATH -u LIBRARY_PATH .venv/bin/python -c 'import magic' 2> /dev/null; then
        printf 'import pylibmagic\n' > "$packages/libmagic.pth"
        .venv/bin/python -c 'import magic' 2> /dev/null || fail "libmagic is missing and the bundled one does not load here.
       Install it: apt install libmagic1, dnf install file-libs, apk add libmagic or brew install libmagic"
    fi
}

python=$(find_python)
make_environment .venv development
make_environment .venv-emulator emulator
make_importable
