#!/usr/bin/env bash
# Tries install.sh on a fresh Debian: sudo ./scripts/test-install.sh [bookworm] [trixie]
#
# Each Debian is bootstrapped into a directory of its own and lives in network, mount and process namespaces of its
# own, reaching the package sources through a user-mode network: nothing of this host's firewall, processes or files
# is touched. Takes some minutes and a gigabyte below /var/tmp.
set -Eeuo pipefail
umask 022

HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/setup/debian.sh
. "$HERE/scripts/setup/debian.sh"
trap 'on_error "$?" "$LINENO"' ERR

CHECKS=0
WORK=''
HOLDER=''
SLIRP=''

main() {
  require_root
  step 'preparing' 'Check the network and /etc/apt/sources.list*.'
  install_packages debootstrap slirp4netns
  local suites=("$@") suite
  [[ ${#suites[@]} -gt 0 ]] || suites=(bookworm trixie)
  trap clean_up EXIT
  for suite in "${suites[@]}"; do
    WORK=$(mktemp -d "/var/tmp/ringfence-$suite.XXXXXX")
    chmod 755 "$WORK"
    bootstrap "$suite"
    enter_namespaces
    try_install "$suite"
    clean_up
  done
  printf '\n%s checks passed on: %s\n' "$CHECKS" "${suites[*]}"
}

# Where this host gets Debian from.
mirror() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    grep -oE '^(deb .*|URIs: *)https?://[^ ]*/debian/?( |$)' | grep -oE 'https?://[^ ]*' | head -n 1
}

bootstrap() {
  step "bootstrapping a fresh $1" 'Check that the Debian mirror of this host serves it.'
  debootstrap --variant=minbase "$1" "$WORK" "$(mirror)" >"$WORK.log" 2>&1 || {
    tail -n 20 "$WORK.log" >&2
    return 1
  }
  rm -f "$WORK.log"
  # How this host reaches package sources: proxies, certificates, registries.
  grep -lr Acquire /etc/apt/apt.conf.d | xargs -r cp -t "$WORK/etc/apt/apt.conf.d"
  [[ ! -e /root/.npmrc ]] || grep -v '^nodedir' /root/.npmrc >"$WORK/root/.npmrc" || true
  [[ ! -e ${NODE_EXTRA_CA_CERTS:-} ]] || cp "$NODE_EXTRA_CA_CERTS" "$WORK/root/extra-ca.crt"
  install -d "$WORK/srv/checkout"
  (cd "$HERE" && git -c safe.directory="$HERE" ls-files -co --exclude-standard -z |
    tar -c --null --ignore-failed-read --files-from - 2>/dev/null) | tar -x -C "$WORK/srv/checkout"
  # The checkout is somebody's: the installer must leave nothing of its own in it.
  chown -R 1234:1234 "$WORK/srv/checkout"
}

enter_namespaces() {
  step 'making the namespaces' 'Needs unshare, slirp4netns and /dev/net/tun.'
  # The first process of a process namespace takes all others with it when it ends, and collects orphans.
  # shellcheck disable=SC2016
  unshare --net --mount --pid --fork --kill-child bash -c 'while :; do sleep 3600 & wait "$!"; done' 2>/dev/null &
  local outer=$!
  HOLDER=''
  while [[ -z $HOLDER ]]; do
    kill -0 "$outer"
    HOLDER=$(tr -d ' ' <"/proc/$outer/task/$outer/children")
  done
  inside_host ip link set lo up
  slirp4netns --configure --mtu=1400 --disable-host-loopback "$HOLDER" tap0 >/dev/null 2>&1 &
  SLIRP=$!
  local deadline=$((SECONDS + 20))
  until inside_host ip route show default | grep -q tap0; do
    [[ $SECONDS -lt $deadline ]]
    kill -0 "$SLIRP"
    sleep 0.1
  done
  inside_host mount --bind "$WORK" "$WORK"
  inside_host mount -t proc proc "$WORK/proc"
  inside_host mount -t sysfs sysfs "$WORK/sys"
  inside_host mount --bind /dev "$WORK/dev"
  inside_host mount -t tmpfs tmpfs "$WORK/run"
  install -d "$WORK/run/lock"
  inside_host mkdir -p "$WORK/run/lock"
  printf 'nameserver 10.0.2.3\n' >"$WORK/etc/resolv.conf"
}

# Runs a program of this host inside the namespaces.
inside_host() { nsenter --target "$HOLDER" --net --mount --pid -- "$@"; }

# Runs a program of the fresh Debian there.
inside() {
  local ca=()
  [[ ! -e $WORK/root/extra-ca.crt ]] || ca=(NODE_EXTRA_CA_CERTS=/root/extra-ca.crt)
  inside_host chroot "$WORK" /usr/bin/env -i \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "${ca[@]}" "$@"
}

clean_up() {
  [[ -z $SLIRP ]] || kill "$SLIRP" 2>/dev/null || true
  [[ -z $HOLDER ]] || kill -KILL "$HOLDER" 2>/dev/null || true
  wait 2>/dev/null || true
  SLIRP=''
  HOLDER=''
  # The mounts were made in a mount namespace that is gone; one file system only, should one be left all the same.
  [[ -z $WORK ]] || rm -rf --one-file-system "$WORK" "$WORK.log"
  WORK=''
}

# check WHAT COMMAND...: the command must succeed.
check() {
  local what=$1
  shift
  if ! "$@" >"$WORK/root/check.log" 2>&1; then
    cat "$WORK/root/check.log" >&2
    fail "NOT SO: $what" "(was run: $*)"
  fi
  CHECKS=$((CHECKS + 1))
  printf '  ok: %s\n' "$what"
}

# check_ends EXIT PATTERN COMMAND...: it must end with this exit code and print this.
check_ends() {
  local status=0 wanted=$1 pattern=$2
  shift 2
  "$@" >"$WORK/root/check.log" 2>&1 || status=$?
  if [[ $status -ne $wanted ]] || ! grep -qE -- "$pattern" "$WORK/root/check.log"; then
    tail -n 60 "$WORK/root/check.log" >&2
    fail "NOT SO: ends with $wanted and says '$pattern' (ended with $status)" "(was run: $*)"
  fi
  CHECKS=$((CHECKS + 1))
  printf '  ok: ends with %s and says: %s\n' "$wanted" "$pattern"
}

absent() { ! "$@"; }

# sums NAME...: what must not change.
sums() { inside sha256sum "$@"; }

raw_rules() { inside sh -c 'iptables-save -t raw; ip6tables-save -t raw'; }
no_rules() { ! raw_rules | grep RINGFENCE >/dev/null; }
no_sets() { ! inside ipset list -n | grep '^rf-' >/dev/null; }
no_daemon() { ! inside sh -c 'cat /proc/[0-9]*/cmdline' 2>/dev/null | tr '\0' ' ' | grep opt/ringfence >/dev/null; }
checkout_untouched() { [[ -z $(find "$WORK/srv/checkout" -not -uid 1234) ]]; }

try_install() {
  local suite=$1 before pid installer=/srv/checkout/install.sh

  step "$suite: wrong use" 'See above.'
  check_ends 0 'Usage: ' inside $installer --help
  check_ends 2 'Unknown option: --frobnicate' inside $installer --frobnicate
  check_ends 2 'purge goes with' inside $installer --purge
  check_ends 1 'needs root' inside setpriv --reuid 1234 --regid 1234 --clear-groups $installer
  check_ends 1 'made for Debian 12 and 13' \
    inside_host unshare --mount bash -c "echo ID=arch >$WORK/root/arch &&
      mount --bind $WORK/root/arch $WORK/usr/lib/os-release && chroot $WORK $installer"

  if [[ $suite == bookworm ]]; then
    step "$suite: its own Node is too old" 'See above.'
    check_ends 1 'needs Node 20\.19\.0 or newer' inside $installer
    lend_node
  fi

  # Something that listens like a softswitch, under its name.
  inside cp /usr/bin/perl /usr/local/bin/kamailio
  {
    inside kamailio -MSocket -e \
      'socket(S, PF_INET, SOCK_DGRAM, 0); bind(S, sockaddr_in(5080, INADDR_ANY)); sleep 3600' || true
  } 2>/dev/null &
  # It ends with the namespaces, which is nothing to tell.
  disown

  step "$suite: installing" 'See above.'
  check_ends 0 'Dashboard: http://127\.0\.0\.1:8560' inside $installer
  grep -A12 '^Interfaces:' "$WORK/root/check.log" || true
  check 'the daemon answers' inside ringfence status
  check_ends 0 'a daemon answers .* nothing was done' inside ringfence restore
  check 'it found the interface' grep -qE 'interfaces:.*tap0' "$WORK/etc/ringfence/ringfence.yaml"
  check 'it found the port' grep -qE 'udp:.*5080' "$WORK/etc/ringfence/ringfence.yaml"
  check 'a daemon runs' absent no_daemon
  check 'rules are in the kernel' eval 'raw_rules | grep RINGFENCE >/dev/null'
  check 'sets are in the kernel' eval 'inside ipset list -n | grep ^rf- >/dev/null'
  check 'the password is for root only' test "$(inside stat -c '%a %U' /etc/ringfence/dashboard.password)" = '600 root'
  check 'no development package is installed' absent test -e "$WORK/opt/ringfence/node_modules/typescript"
  check 'the checkout is as it was' checkout_untouched

  step "$suite: installing again keeps what the user has" 'See above.'
  printf '# mine\n' >>"$WORK/etc/ringfence/ringfence.yaml"
  check 'an address can be blocked' inside ringfence block 198.51.100.7 --for 1h --reason test
  inside iptables -t raw -N FOREIGN
  inside iptables -t raw -A FOREIGN -s 203.0.113.1 -j DROP
  before=$(sums /etc/ringfence/ringfence.yaml /etc/ringfence/dashboard.password)
  pid=$(inside cat /run/ringfence/ringfence.pid)
  check_ends 0 'stays as it is' inside $installer
  check 'configuration and password are unchanged' test "$before" = "$(sums /etc/ringfence/ringfence.yaml /etc/ringfence/dashboard.password)"
  check 'a new daemon runs' test "$pid" != "$(inside cat /run/ringfence/ringfence.pid)"
  check 'the old one does not' absent inside kill -0 "$pid"
  check 'the block is still there' eval 'inside ringfence blocked | grep 198.51.100.7 >/dev/null'

  step "$suite: a wrong configuration stops nothing" 'See above.'
  cp -p "$WORK/etc/ringfence/ringfence.yaml" "$WORK/root/good.yaml"
  printf 'mode: sometimes\n' >"$WORK/etc/ringfence/ringfence.yaml"
  check_ends 1 'ringfence\.yaml' inside $installer
  check 'the daemon before still runs' inside kill -0 "$(inside cat /run/ringfence/ringfence.pid)"
  check 'and answers' inside ringfence status
  cp -p "$WORK/root/good.yaml" "$WORK/etc/ringfence/ringfence.yaml"

  step "$suite: uninstalling" 'See above.'
  # Compiling the Node packages once is enough for this test.
  cp -R "$WORK/var/cache/ringfence" "$WORK/root/cache"
  check_ends 0 'are kept' inside $installer --uninstall
  check 'no daemon runs' no_daemon
  check 'no rule is left' no_rules
  check 'no set is left' no_sets
  check 'a foreign chain is untouched' eval "raw_rules | grep -- '-A FOREIGN -s 203.0.113.1/32 -j DROP' >/dev/null"
  check 'the program is gone' absent test -e "$WORK/opt/ringfence"
  check 'the command is gone' absent test -L "$WORK/usr/local/bin/ringfence"
  check 'the configuration is kept' test "$before" = "$(sums /etc/ringfence/ringfence.yaml /etc/ringfence/dashboard.password)"
  check 'the data is kept' test -d "$WORK/var/lib/ringfence"
  check_ends 0 'are kept' inside $installer --uninstall

  step "$suite: a daemon that was killed leaves rules, which go all the same" 'See above.'
  cp -R "$WORK/root/cache" "$WORK/var/cache/ringfence"
  check_ends 0 'stays as it is' inside $installer
  inside kill -KILL "$(inside cat /run/ringfence/ringfence.pid)"
  check 'rules outlive it' eval 'raw_rules | grep RINGFENCE >/dev/null'

  step "$suite: after a reboot the rules are back before there is a daemon" 'See above.'
  # What a reboot does to the kernel, as far as it is ours.
  inside sh -c 'for tables in iptables ip6tables; do $tables -t raw -F; $tables -t raw -X; done; ipset destroy'
  check 'nothing is left' no_rules
  check_ends 0 'the rules are in the kernel, with 1 block,' inside ringfence restore
  check 'the block is there' eval 'inside ipset list rf-deny4 | grep 198.51.100.7 >/dev/null'
  check_ends 0 'Ringfence is gone, with its configuration' inside $installer --uninstall --purge
  check 'no daemon runs' no_daemon
  check 'no rule is left' no_rules
  check 'no set is left' no_sets
  check 'configuration, data and log are gone' absent eval \
    'ls -d $WORK/etc/ringfence $WORK/var/lib/ringfence $WORK/var/log/ringfence.log $WORK/var/cache/ringfence 2>/dev/null | grep .'
  check 'the group is gone' absent inside getent group ringfence
  check 'the checkout is as it was' checkout_untouched
}

# This host's Node, for a Debian whose own is too old.
lend_node() {
  local prefix
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  install -d "$WORK/usr/local/lib/node_modules" "$WORK/usr/local/include"
  cp "$prefix/bin/node" "$WORK/usr/local/bin/node"
  cp -R "$prefix/lib/node_modules/npm" "$WORK/usr/local/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$WORK/usr/local/bin/npm"
  [[ ! -d $prefix/include/node ]] || cp -R "$prefix/include/node" "$WORK/usr/local/include/node"
}

main "$@"
