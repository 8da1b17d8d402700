# shellcheck shell=bash
# Installing programs whose services nobody asked for: a softswitch must not take port 5060 of this host, and a firewall or
# a log watcher must lock nobody out. Sourced, after debian.sh.

# install_quietly SERVICE... -- PACKAGE...: installs what is missing; none of these services starts, now or after a boot.
install_quietly() {
  local policy=/usr/sbin/policy-rc.d service services=() new=()
  while [[ $1 != -- ]]; do
    services+=("$1")
    shift
  done
  shift
  for service in "${services[@]}"; do
    is_installed "$service" || new+=("$service")
  done
  if [[ -e $policy ]]; then
    install_packages "$@"
  else
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    # shellcheck disable=SC2064
    trap "rm -f $policy" EXIT
    install_packages "$@"
    rm -f "$policy"
    trap - EXIT
  fi
  if [[ -d /run/systemd/system ]]; then
    for service in "${new[@]}"; do
      systemctl disable --quiet "$service.service" || true
    done
  fi
}
