#!/usr/bin/env bash
# Besieges a softswitch with every attack and every guard, and says who kept it reachable: sudo ./scripts/siege.sh [options]
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
Usage: sudo ./scripts/siege.sh [--attack NAME,...] [--guard NAME,...] [--nonces shared,unique] [--short] [--seconds N]
                               [--share X] [--seed N] [--times N] [--out FOLDER]
       sudo ./scripts/siege.sh --soak DURATION [--nonces shared|unique] [--share X] [--seed N] [--out FOLDER]

Installs what sieges need (Debian packages, Node packages; no service is started), builds, and besieges a softswitch in
network namespaces with each attack, beside each guard: none, Ringfence, the well-known hashlimit recipe, Kamailio's pike,
fail2ban, CrowdSec. Writes FOLDER/sieges.md and sieges.json (/var/tmp/ringfence-sieges). Exit code 0: Ringfence met all targets.
All of it takes a night; --short --guard ringfence some 25 minutes. All names: npm run siege -- --help

--soak 2h: one softswitch and one Ringfence, attacked again and again with another method while customers register. Writes
FOLDER/soak.md and soak.json. Exit code 0: nothing leaked (memory, files, processes, kernel tables), nobody honest was blocked.
TEXT
  exit 0
fi

require_root
require_debian "${RINGFENCE_FORCE:-no}"

# What Ringfence needs itself, the softswitch and its callers, and the other guards.
readonly PACKAGES=(
  iptables ipset libpcap-dev build-essential python3 tcpdump iproute2 procps ca-certificates
  kamailio sip-tester fail2ban python3-pyinotify crowdsec crowdsec-firewall-bouncer
)

# Debian's CrowdSec tells its central API of the host that it is installed on, unless this file has something in it.
offline_crowdsec() {
  local file=/etc/crowdsec/online_api_credentials.yaml
  is_installed crowdsec && return 0
  [[ -s $file ]] && return 0
  mkdir -p "${file%/*}"
  printf '# This host takes no part in the central API.\n' >"$file"
}

step 'installing the Debian packages that sieges need' \
  'Check the network and /etc/apt/sources.list*; if dpkg was interrupted: dpkg --configure -a. Then repeat.'
offline_crowdsec
install_quietly kamailio fail2ban crowdsec crowdsec-firewall-bouncer -- "${PACKAGES[@]}"

build_checkout

program=campaign
[[ " $* " != *' --soak'* ]] || program=soak
step 'besieging' 'The lines above say which siege; /var/tmp/ringfence-sieges, or --out, has the figures so far.'
besieged=0
node "dist/scripts/siege/$program/main.js" "$@" || besieged=$?
exit "$besieged"
