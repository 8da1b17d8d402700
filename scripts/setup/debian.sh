# shellcheck shell=bash
# What install.sh and scripts/test.sh share: saying what goes on, and bringing a Debian to what Ringfence needs.
# Sourced, never run. Every step names itself and what to do when it fails.

readonly NODE_FLOOR=20.19.0

STEP='starting'
ADVICE='Read the lines above.'

say() { printf '%s\n' "$*"; }

# step WHAT ADVICE: the trap tells both when a command after it fails.
step() {
  STEP=$1
  ADVICE=$2
  printf '\n== %s\n' "$STEP"
}

# fail SENTENCE...: ends with the sentences, for causes that are understood.
fail() {
  trap - ERR
  printf '\n' >&2
  printf '%s\n' "$@" >&2
  exit 1
}

on_error() {
  local status=$1 line=$2
  trap - ERR
  # A subshell's failure becomes its parent's, which tells it once.
  [[ $BASH_SUBSHELL -eq 0 ]] || exit "$status"
  {
    printf '\nFailed (exit code %s, line %s) while: %s\n' "$status" "$line" "$STEP"
    printf 'What to do: %s\n' "$ADVICE"
  } >&2
  exit "$status"
}

require_root() {
  [[ $(id -u) -eq 0 ]] || fail "This needs root. Run: sudo $0"
}

# require_debian FORCED: refuses other systems unless FORCED is yes.
require_debian() {
  local id='' version=''
  if [[ -r /etc/os-release ]]; then
    # shellcheck disable=SC1091
    id=$(. /etc/os-release && printf '%s' "${ID:-}")
    # shellcheck disable=SC1091
    version=$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")
  fi
  if [[ $id == debian && ($version == 12 || $version == 13) ]]; then
    return 0
  fi
  if [[ $1 == yes ]]; then
    say "This is not Debian 12 or 13 but ${id:-an unknown system} ${version}; going on because of --force."
    return 0
  fi
  fail "Ringfence is made for Debian 12 and 13; this is ${id:-an unknown system} ${version:-}." \
    "On a system derived from Debian it may work all the same: repeat with --force."
}

is_installed() {
  [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]
}

APT_IS_FRESH=no

apt_update() {
  [[ $APT_IS_FRESH == yes ]] && return 0
  DEBIAN_FRONTEND=noninteractive apt-get update -q -o DPkg::Lock::Timeout=300
  APT_IS_FRESH=yes
}

# install_packages NAME...: installs those that are missing, and touches the network only if there are such.
install_packages() {
  local missing=() name
  for name in "$@"; do
    is_installed "$name" || missing+=("$name")
  done
  if [[ ${#missing[@]} -eq 0 ]]; then
    say "All packages are there: $*"
    return 0
  fi
  say "Missing: ${missing[*]}"
  apt_update
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get install -y -q --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "${missing[@]}"
}

node_version() {
  node -p process.versions.node 2>/dev/null || true
}

# is_new_enough VERSION: whether a Node of this version (a package's version too) runs Ringfence.
is_new_enough() {
  [[ -n $1 ]] && dpkg --compare-versions "${1%%+*}" ge "$NODE_FLOOR"
}

# The version of a package that apt would install; empty where it knows none.
candidate_of() {
  LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p' | grep -vx '(none)' || true
}

# ensure_node: a Node that is new enough, and npm. Installs Debian's own where that one is new enough.
ensure_node() {
  local found candidate
  found=$(node_version)
  if ! is_new_enough "$found"; then
    candidate=$(candidate_of nodejs)
    if ! is_new_enough "$candidate"; then
      apt_update
      candidate=$(candidate_of nodejs)
    fi
    if is_new_enough "$candidate"; then
      install_packages_anew nodejs
      hash -r
      found=$(node_version)
    fi
  fi
  if ! is_new_enough "$found"; then
    fail "Ringfence needs Node $NODE_FLOOR or newer; found: ${found:-none} (in PATH=$PATH)." \
      "Debian 13 has it: apt-get install nodejs npm. On Debian 12, whose own is 18, take Node 22 from" \
      "NodeSource (https://github.com/nodesource/distributions) or from https://nodejs.org, so that 'node'" \
      "is in root's PATH (sudo drops a PATH set by nvm; a link in /usr/local/bin helps), then repeat this."
  fi
  if ! command -v npm >/dev/null 2>&1; then
    install_packages npm
    hash -r
  fi
  command -v npm >/dev/null 2>&1 || fail "Node $found is there but npm is not. Install it: apt-get install npm"
  say "Node $found, npm $(npm --version 2>/dev/null)"
}

# Like install_packages, but upgrades what is there and too old.
install_packages_anew() {
  apt_update
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get install -y -q --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

# Native modules are compiled against the headers that came with this Node, where they did: no download then.
use_local_node_headers() {
  local prefix
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  if [[ -f $prefix/include/node/node.h ]]; then
    export npm_config_nodedir=$prefix
  fi
}

# install_node_modules DIRECTORY: `npm ci`, unless node_modules is what this lock file and this Node ask for.
install_node_modules() {
  local directory=$1 stamp
  stamp=$(cat "$directory/package.json" "$directory/package-lock.json" <(node -p 'process.version + process.arch') |
    sha256sum | cut -d ' ' -f 1)
  if [[ -f $directory/node_modules/.ringfence-stamp && $(<"$directory/node_modules/.ringfence-stamp") == "$stamp" ]]; then
    say 'node_modules is up to date.'
    return 0
  fi
  use_local_node_headers
  (cd "$directory" && npm ci --no-audit --no-fund)
  # A database is needed; capture modules are not, since tcpdump can take their place.
  (cd "$directory" && node -e "new (require('better-sqlite3'))(':memory:')") ||
    fail 'npm ci ended well, but better-sqlite3 does not load.' \
      'It is compiled where no ready build can be fetched: see above, and check build-essential and python3.'
  printf '%s\n' "$stamp" >"$directory/node_modules/.ringfence-stamp"
}
