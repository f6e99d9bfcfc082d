# A Python environment in the user's cache folder, for servers that tests use. Sourced by scripts that have set `what` (what
# is set up, for messages). Neither root nor a certain Python is needed: see `make_environment`.

cache="${JITNEY_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/jitney}"

give_up() { printf '%s cannot be set up: %s\n' "$what" "$1" >&2; exit 1; }

fits() { [ -x "$1" ] && "$1" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 12), (3, 13)))' 2>/dev/null; }

# A Python that the BigQuery emulator runs on: the one named, one on PATH, or one of pyenv's.
installed_python() {
  local candidate
  for candidate in "${JITNEY_TEST_PYTHON:-}" $(type -aP python3.13 python3 python3.12) \
    "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1{3,2}*/bin/python; do
    if fits "$candidate"; then echo "$candidate"; return; fi
  done
  return 1
}

# uv, from PATH or from PyPI; not every Python has pip, and not every one can make a venv.
find_uv() {
  command -v uv && return
  if python3 -m venv "$1/uv" >/dev/null 2>&1; then "$1/uv/bin/python" -m pip install --quiet uv >&2 && echo "$1/uv/bin/uv"
  else python3 -m pip install --quiet --target "$1/uv" uv >&2 && echo "$1/uv/bin/uv"; fi
}

# Debian 13's Python and all that it stands on, unpacked into a folder: needs neither root nor Debian 13.
debian_python() {
  local root="$1/debian" state="$1/apt" machine loader mirror
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  # The mirror that this machine's own packages come from.
  mirror="$(apt-get indextargets --format '$(SITE)' 2>/dev/null |
    awk '/\/debian\/*$/ { site = $0 } END { if (site == "") exit 1; print site }')" || return 1
  mkdir -p "$state"/{lists/partial,archives/partial} "$root"
  : >"$state/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$state/sources"
  local apt=(apt-get -qq -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state"
    -o Dir::Etc::SourceList="$state/sources" -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=
    -o Debug::NoLocking=1 -o APT::Install-Recommends=0)
  "${apt[@]}" update >&2
  "${apt[@]}" --download-only --yes install python3.13 python3-pip libstdc++6 ca-certificates >&2
  local package
  for package in "$state"/archives/*.deb; do dpkg-deb -x "$package" "$root" >&2; done
  machine="$(uname -m)-linux-gnu"
  loader="$(compgen -G "$root/usr/lib/$machine/ld-linux-*.so.*" | head -n 1)"
  # With its own loader it does not mind what system is around it.
  printf '#!/bin/sh\nexport PYTHONHOME=%q\nexec %q --library-path %q --argv0 "$0" %q "$@"\n' \
    "$root/usr" "$loader" "$root/usr/lib/$machine" "$root/usr/bin/python3.13" >"$1/python"
  chmod +x "$1/python"
  echo "$1/python"
}

# A venv's Python knows its packages only by its own path.
wrap() { printf '#!/bin/sh\nexec %q "$@"\n' "$1/venv/bin/python" >"$1/python"; chmod +x "$1/python"; }

# Makes the environment in $1 with the packages of the list $2: `python` runs in it.
make_environment() {
  local folder="$1" python uv
  if python="$(installed_python)" && "$python" -m venv "$folder/venv" >/dev/null 2>&1; then
    wrap "$folder"
    "$folder/venv/bin/python" -m pip install --quiet --no-deps --ignore-requires-python -r "$2" >&2
  elif uv="$(find_uv "$folder")" && UV_HTTP_TIMEOUT=20 "$uv" venv --quiet --python "${python:-3.13}" "$folder/venv" >&2; then
    wrap "$folder"
    "$uv" pip install --quiet --no-deps --python "$folder/venv/bin/python" -r "$2" >&2
  elif python="$(debian_python "$folder")"; then
    "$python" -m pip install --quiet --no-deps --break-system-packages --target "$folder/site" -r "$2" >&2
  else
    give_up "there is no Python 3.12 or 3.13, and none can be fetched; install one, or name it in JITNEY_TEST_PYTHON"
  fi
}


# Runs $2 once to fill the folder $1, whichever of several test programs comes first. `say` tells what takes so long.
once() {
  local folder="$1" fill="$2" say="$3"
  [ ! -e "$folder/complete" ] || return 0
  mkdir -p "$cache"
  # Several test programs may come here at once; where there is no `flock` they have to be lucky.
  if command -v flock >/dev/null; then exec 9>"$folder.lock"; flock 9; fi
  [ ! -e "$folder/complete" ] || return 0
  echo "$say" >&2
  rm -rf "$folder"
  mkdir -p "$folder"
  "$fill" "$folder"
  rm -rf "$folder/apt"
  touch "$folder/complete"
  exec 9>&-
}
