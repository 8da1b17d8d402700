#!/usr/bin/env bash
# Installs Ringfence on this Debian host, or takes it away. `./install.sh --help` tells how.
set -Eeuo pipefail
umask 022

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/setup/debian.sh
. "$HERE/scripts/setup/debian.sh"
# shellcheck source=scripts/setup/service.sh
. "$HERE/scripts/setup/service.sh"
trap 'on_error "$?" "$LINENO"' ERR

# Where things live. The build has a place of its own, so that a checkout stays as its owner left it.
readonly BUILD=/var/cache/ringfence/build
readonly CONFIG_DIRECTORY=/etc/ringfence
readonly CONFIG=$CONFIG_DIRECTORY/ringfence.yaml
readonly DATA=/var/lib/ringfence
readonly COMMAND=/usr/local/bin/ringfence
readonly GROUP=ringfence

readonly PACKAGES=(iptables ipset libpcap-dev build-essential python3 tcpdump iproute2 procps ca-certificates)

usage() {
  cat <<'TEXT'
Usage: sudo ./install.sh [options]

Installs Ringfence from this checkout and starts it. Run again after an update: configuration, password and data
stay as they are.

  --interfaces A,B   protect these interfaces instead of those that are found (first installation only)
  --ports 5060,5080  protect these SIP ports, UDP and TCP, instead of those found (first installation only)
  --force            go on although this is not Debian 12 or 13
  --uninstall        stop the service and take program, rules and sets away; configuration and data stay
  --purge            with --uninstall: take configuration, data, log and group away as well
  -h, --help         this text

Exit codes: 0 done, 1 a step failed (the text says which and what to do), 2 a wrong option.
TEXT
}

ACTION=install
PURGE=no
FORCE=no
WANTED_INTERFACES=''
WANTED_PORTS=''

wrong_option() {
  printf '%s\n' "$1" 'See: ./install.sh --help' >&2
  exit 2
}

read_options() {
  while [[ $# -gt 0 ]]; do
    case $1 in
      -h | --help)
        usage
        exit 0
        ;;
      --uninstall) ACTION=uninstall ;;
      --purge) PURGE=yes ;;
      --force) FORCE=yes ;;
      --interfaces | --ports)
        [[ $# -ge 2 ]] || wrong_option "$1 needs a value."
        if [[ $1 == --interfaces ]]; then WANTED_INTERFACES=$2; else WANTED_PORTS=$2; fi
        shift
        ;;
      --interfaces=*) WANTED_INTERFACES=${1#*=} ;;
      --ports=*) WANTED_PORTS=${1#*=} ;;
      *) wrong_option "Unknown option: $1" ;;
    esac
    shift
  done
  if [[ $PURGE == yes && $ACTION != uninstall ]]; then
    wrong_option '--purge goes with --uninstall.'
  fi
  if [[ -n $WANTED_INTERFACES && ! $WANTED_INTERFACES =~ ^[^,[:space:]/]{1,15}(,[^,[:space:]/]{1,15})*$ ]]; then
    wrong_option '--interfaces takes names with commas between them, for example: --interfaces eth0,wg0'
  fi
  if [[ -n $WANTED_PORTS && ! $WANTED_PORTS =~ ^[0-9]{1,5}(,[0-9]{1,5})*$ ]]; then
    wrong_option '--ports takes port numbers with commas between them, for example: --ports 5060,5080'
  fi
}

# Two installers at once would build into each other's files.
take_lock() {
  exec 9>/run/ringfence-install.lock
  flock -n 9 || fail 'Another install.sh is running. Wait for it to end, then repeat.'
}

build() {
  step 'copying the sources' "Check free space and rights of /var/cache: df -h /var/cache"
  install -d -m 0755 "$BUILD"
  local part
  for part in agent rules registrar dashboard scripts; do
    rm -rf "${BUILD:?}/$part"
    cp -R --no-preserve=ownership "$HERE/$part" "$BUILD/$part"
  done
  cp --no-preserve=ownership "$HERE"/package.json "$HERE"/package-lock.json "$HERE"/tsconfig*.json "$BUILD/"
  chmod -R u=rwX,go=rX "$BUILD"/{agent,rules,registrar,dashboard,scripts}

  step 'installing the Node packages (npm ci)' \
    'Check that the npm registry can be reached (npm ping; proxies: npm config set proxy URL), then repeat.'
  # Under sudo the home directory may be somebody else's; npm must leave no files of root's there.
  if [[ $(stat -c %u "${HOME:-/}" 2>/dev/null || echo 0) -ne 0 ]]; then
    export npm_config_cache=/var/cache/ringfence/npm
  fi
  install_node_modules "$BUILD"

  step 'building (npm run build)' \
    "The sources may be in the middle of a change: git status. To build afresh: rm -rf $BUILD"
  (cd "$BUILD" && npm run --silent build)
}

# Makes the new /opt/ringfence beside the one in use. What follows can still refuse it.
stage() {
  step 'putting the program together' 'Check free space: df -h /opt'
  rm -rf "$PROGRAM.new"
  install -d -m 0755 "$PROGRAM.new" "$PROGRAM.new/scripts"
  cp -R "$BUILD/dist" "$BUILD/node_modules" "$BUILD/package.json" "$BUILD/package-lock.json" "$PROGRAM.new/"
  cp -R "$BUILD/scripts/systemd" "$PROGRAM.new/scripts/systemd"
  # Only takes packages away; without scripts, since nothing may be compiled again here.
  (cd "$PROGRAM.new" && npm prune --omit=dev --ignore-scripts --no-audit --no-fund)
  node "$PROGRAM.new/dist/agent/cli/main.js" --version >/dev/null
}

make_places() {
  step 'making the group and the directories' 'See the message above.'
  getent group "$GROUP" >/dev/null || groupadd --system "$GROUP"
  # Only what is missing is made: the admin's own rights on them stay.
  [[ -d $CONFIG_DIRECTORY ]] || install -d -m 0750 -o root -g "$GROUP" "$CONFIG_DIRECTORY"
  [[ -d $DATA ]] || install -d -m 0750 -o root -g "$GROUP" "$DATA"
}

# The list of one field of the discovery, with commas.
found_list() {
  node -e '
    const found = JSON.parse(process.argv[1])
    process.stdout.write(found[process.argv[2]].map((one) => one.name ?? one.port).join(","))
  ' "$1" "$2"
}

configure() {
  step 'looking for interfaces and SIP ports' \
    'Name them yourself: ./install.sh --interfaces eth0 --ports 5060'
  local found='' status=0
  found=$(node "$PROGRAM.new/dist/agent/discover/main.js") || status=$?

  if [[ -e $CONFIG ]]; then
    say "$CONFIG is there and stays as it is; compare it with what was found above."
  else
    # 3: no interface, which does not matter where one was named. Anything else: nothing was found out at all.
    if [[ ($status -eq 3 && -z $WANTED_INTERFACES) || ($status -ne 0 && $status -ne 3 && (-z $WANTED_INTERFACES || -z $WANTED_PORTS)) ]]; then
      fail 'No configuration was written, since what to protect is not known. Name it:' \
        '  ./install.sh --interfaces eth0 --ports 5060'
    fi
    step "writing $CONFIG" 'See the message above.'
    local interfaces=$WANTED_INTERFACES udp=$WANTED_PORTS tcp=$WANTED_PORTS
    [[ -n $interfaces ]] || interfaces=$(found_list "$found" interfaces)
    [[ -n $WANTED_PORTS ]] || udp=$(found_list "$found" udpPorts)
    [[ -n $WANTED_PORTS ]] || tcp=$(found_list "$found" tcpPorts)
    node "$PROGRAM.new/dist/agent/cli/main.js" config init \
      --interfaces "$interfaces" --udp-ports "$udp" --tcp-ports "$tcp" --out "$CONFIG"
    chgrp "$GROUP" "$CONFIG"
    chmod 0640 "$CONFIG"
  fi

  step "checking $CONFIG" \
    "Mend the line that is named above, then repeat. The installation that was there before, if any, still runs."
  node "$PROGRAM.new/dist/agent/cli/main.js" config check --config "$CONFIG"
}

# The build before this one is kept until the new one answers.
swap_program() {
  step "putting the new build in place" "The build is in $PROGRAM.new; the one before in $PROGRAM or $PROGRAM.previous."
  rm -rf "$PROGRAM.previous"
  [[ ! -e $PROGRAM ]] || mv -T "$PROGRAM" "$PROGRAM.previous"
  mv -T "$PROGRAM.new" "$PROGRAM"
  ln -sfn "$PROGRAM/dist/agent/cli/main.js" "$COMMAND"
}

install_ringfence() {
  step 'checking the system' 'See the message above.'
  require_debian "$FORCE"
  take_lock

  step 'installing the Debian packages that are missing' \
    'Check the network and /etc/apt/sources.list*; if dpkg was interrupted: dpkg --configure -a. Then repeat.'
  install_packages "${PACKAGES[@]}"

  step "checking Node (at least $NODE_FLOOR)" 'Install nodejs and npm by hand (Debian 13: apt-get install nodejs npm).'
  ensure_node

  build
  stage
  make_places
  configure
  swap_program

  step 'starting the daemon' "$(advice_for_start)"
  start_service
  await_service
  rm -rf "$PROGRAM.previous"
  show_end
}

# The address of the dashboard and the file with its password, as the configuration has them.
show_end() {
  local facts
  facts=$(cd "$PROGRAM" && node --input-type=module -e '
    import { readFileSync } from "node:fs"
    import { parse } from "yaml"
    const { dashboard = {}, mode } = parse(readFileSync(process.argv[1], "utf8")) ?? {}
    const { enabled = true, listen = "127.0.0.1:8560" } = dashboard
    const password = dashboard.passwordFile ?? "/etc/ringfence/dashboard.password"
    console.log(enabled ? `http://${listen}` : "")
    console.log(password)
    console.log(mode ?? "enforce")
  ' "$CONFIG")
  local address password mode
  { read -r address && read -r password && read -r mode; } <<<"$facts" || true
  say ''
  say "Ringfence runs (mode: $mode)."
  if [[ -n $address ]]; then
    say "  Dashboard: $address"
    say "  Password:  in $password (read it with: sudo cat $password)"
    if [[ $address == http://127.* ]]; then
      say "             from your own computer: ssh -L ${address##*:}:${address#http://} root@THIS-HOST"
    fi
  fi
  say "  Configuration: $CONFIG"
  show_service
  say ''
  say 'Try next:'
  say '  ringfence status'
  say '  ringfence blocked'
  say '  ringfence explain 192.0.2.7'
}

uninstall_ringfence() {
  take_lock
  step 'stopping the daemon' "$(advice_for_start)"
  stop_service
  remove_service

  step 'taking rules and sets out of the kernel' \
    'Repeat ./install.sh --uninstall; to see what is left: iptables-save -t raw | grep RINGFENCE; ipset list -n'
  if [[ -f $PROGRAM/dist/agent/cli/main.js ]]; then
    node "$PROGRAM/dist/agent/cli/main.js" off
  fi
  refuse_leftovers

  step 'removing the program' 'See the message above.'
  rm -rf "$PROGRAM" "$PROGRAM.new" "$PROGRAM.previous" /var/cache/ringfence
  if [[ -L $COMMAND && $(readlink "$COMMAND") == "$PROGRAM"/* ]]; then
    rm -f "$COMMAND"
  fi
  if [[ $PURGE == yes ]]; then
    step 'removing configuration, data, log and group' 'See the message above.'
    rm -rf "$CONFIG_DIRECTORY" "$DATA"
    rm -f "$LOG" "$LOG".[0-9]*
    ! getent group "$GROUP" >/dev/null || groupdel "$GROUP"
    say 'Ringfence is gone, with its configuration and data.'
  else
    say "Ringfence is gone. $CONFIG_DIRECTORY and $DATA are kept; --uninstall --purge takes them too."
  fi
  rm -f /run/ringfence-install.lock
}

# The program may have been deleted by hand, so that nothing was there to take its rules away.
refuse_leftovers() {
  local left='' save
  # Both kinds of iptables, whichever is in use now. Without a table's name they load none that is not there.
  for save in iptables-{nft,legacy}-save ip6tables-{nft,legacy}-save; do
    command -v "$save" >/dev/null || continue
    left+=$("$save" 2>/dev/null | grep -o '^:RINGFENCE[A-Z0-9_-]*' | sed "s/^:/$save: /" | tr '\n' ' ' || true)
  done
  if command -v ipset >/dev/null; then
    left+=$(ipset list -n 2>/dev/null | grep '^rf-' | tr '\n' ' ' || true)
  fi
  [[ -z $left ]] || fail "Still in the kernel: $left" \
    'Install once more (./install.sh) and then uninstall: that takes them away.'
}

read_options "$@"
require_root
case $ACTION in
  install) install_ringfence ;;
  uninstall) uninstall_ringfence ;;
esac
