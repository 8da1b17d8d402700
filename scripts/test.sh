#!/usr/bin/env bash
# Sets up what the tests need and runs them all: sudo ./scripts/test.sh [options of vitest]
set -Eeuo pipefail
umask 022

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=setup/debian.sh
. "$HERE/scripts/setup/debian.sh"
# shellcheck source=setup/quiet.sh
. "$HERE/scripts/setup/quiet.sh"
# shellcheck source=setup/checkout.sh
. "$HERE/scripts/setup/checkout.sh"
trap 'on_error "$?" "$LINENO"' ERR

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  cat <<'TEXT'
Usage: sudo ./scripts/test.sh [options of vitest]

Installs what the tests need (Debian packages, Node packages), builds, checks types and style, and runs every test:
fast ones, those with the real kernel in network namespaces of their own, and those in a headless browser.
Whatever comes after goes to vitest, for example: sudo ./scripts/test.sh --project fast
Full tables, guessers and storms take minutes each and are run by: sudo ./scripts/test.sh --project siege
TEXT
  exit 0
fi

require_root
require_debian "${RINGFENCE_FORCE:-no}"

# What Ringfence needs itself, and the programs that the tests play softswitch, phone and attacker with.
readonly PACKAGES=(
  iptables ipset libpcap-dev build-essential python3 tcpdump iproute2 procps ca-certificates
  kamailio baresip-core sip-tester sipsak sipvicious hydra
  netsniff-ng tcpreplay tshark conntrack chromium
  ufw firewalld nftables python3-nftables dbus-daemon
)

step 'installing the Debian packages that the tests need' \
  'Check the network and /etc/apt/sources.list*; if dpkg was interrupted: dpkg --configure -a. Then repeat.'
install_quietly kamailio firewalld ufw -- "${PACKAGES[@]}"

build_checkout

step 'checking style and types (npm run check)' 'Mend what is named above; npm run format mends the style.'
status=0
npm run --silent check || status=$?

step 'running the tests' 'The summary above names each test that failed.'
# Root on Debian with all programs installed: a test that skips itself for want of them is a failure.
export RINGFENCE_REQUIRE_ALL=${RINGFENCE_REQUIRE_ALL:-1}
# Those that take minutes each are run when they are asked for: --project siege
projects=(--project fast --project kernel --project browser)
[[ " $* " != *' --project'* ]] || projects=()
tested=0
node node_modules/vitest/vitest.mjs run "${projects[@]}" "$@" || tested=$?
if [[ $status -ne 0 ]]; then
  fail 'The check of style and types, before the tests, failed: npm run check'
fi
exit "$tested"
