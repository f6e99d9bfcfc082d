#!/bin/sh
# Installs jitney from the archives of a release into ~/.local/bin, after a check of the checksum.
#
#   curl -LsSf https://github.com/OWNER/jitney/releases/latest/download/install.sh | JITNEY_REPOSITORY=OWNER/jitney sh
#
# JITNEY_REPOSITORY  owner and name of the repository
# JITNEY_VERSION     a version such as v0.1.0 instead of the newest
# JITNEY_BIN         a folder other than ~/.local/bin
# JITNEY_RELEASES    where the archives are, instead of the repository's page of releases
set -eu

main() {
  folder="${JITNEY_BIN:-$HOME/.local/bin}"
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) triple=x86_64-unknown-linux-gnu ;;
    Linux-aarch64 | Linux-arm64) triple=aarch64-unknown-linux-gnu ;;
    Darwin-arm64) triple=aarch64-apple-darwin ;;
    Darwin-x86_64) triple=x86_64-apple-darwin ;;
    *) fail "there is no archive for $(uname -s) on $(uname -m); build it from source" ;;
  esac
  if [ -n "${JITNEY_RELEASES:-}" ]; then
    address="$JITNEY_RELEASES"
  else
    [ -n "${JITNEY_REPOSITORY:-}" ] || fail "set JITNEY_REPOSITORY, such as OWNER/jitney"
    page="https://github.com/$JITNEY_REPOSITORY/releases"
    address="$page/${JITNEY_VERSION:+download/$JITNEY_VERSION}"
    [ -n "${JITNEY_VERSION:-}" ] || address="$page/latest/download"
  fi

  work="$(mktemp -d)"
  trap 'rm -rf "$work"' EXIT
  name="jitney-$triple"
  fetch "$address/$name.tar.gz" "$work/$name.tar.gz"
  fetch "$address/$name.tar.gz.sha256" "$work/$name.tar.gz.sha256"
  (cd "$work" && check "$name.tar.gz.sha256") || fail "the checksum of $name.tar.gz is wrong; nothing was installed"
  tar -xzf "$work/$name.tar.gz" -C "$work"
  "$work/$name/jitney" --version >/dev/null || fail "the program does not run on this system; nothing was installed"
  mkdir -p "$folder"
  mv "$work/$name/jitney" "$folder/jitney"
  echo "installed $("$folder/jitney" --version) as $folder/jitney"
  case ":$PATH:" in
    *":$folder:"*) ;;
    *) echo "add it to PATH:  export PATH=\"$folder:\$PATH\"" ;;
  esac
}

fetch() {
  if command -v curl >/dev/null; then
    curl --fail --location --silent --show-error --output "$2" "$1" || fail "cannot download $1"
  elif command -v wget >/dev/null; then
    wget -q -O "$2" "$1" || fail "cannot download $1"
  else
    fail "curl or wget is needed"
  fi
}

check() {
  if command -v sha256sum >/dev/null; then sha256sum -c "$1" >/dev/null 2>&1; else shasum -a 256 -c "$1" >/dev/null 2>&1; fi
}

fail() {
  echo "error: $1" >&2
  exit 1
}

main
