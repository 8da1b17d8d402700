# shellcheck shell=bash
# Starts and stops the daemon: by systemd where it runs, else in the background with a pid file and a log.
# Sourced by install.sh after debian.sh.

readonly PROGRAM=/opt/ringfence
readonly UNITS=/etc/systemd/system
# The daemon, and what puts rules and blocks back before the network when the host starts.
readonly UNIT_NAMES=(ringfence.service ringfence-restore.service)
readonly PIDFILE=/run/ringfence/ringfence.pid
readonly LOG=/var/log/ringfence.log
readonly LOGROTATE=/etc/logrotate.d/ringfence
readonly START_SECONDS=60

has_systemd() { [[ -d /run/systemd/system ]]; }

advice_for_start() {
  if has_systemd; then
    say 'Look at: journalctl -u ringfence -n 50; systemctl status ringfence. Then repeat.'
  else
    say "Look at the end of $LOG, then repeat."
  fi
}

start_service() {
  if has_systemd; then
    write_units "$(readlink -f "$(command -v node)")"
    # A daemon that was started in the background, before this host had systemd, must not stay beside the unit.
    stop_background
    systemctl daemon-reload
    systemctl enable --quiet "${UNIT_NAMES[@]}"
    if ! systemctl restart ringfence.service; then
      show_log_end
      fail 'systemd could not start the daemon; the end of its log is above.' "$(advice_for_start)"
    fi
  else
    stop_background
    start_background
  fi
}

write_units() {
  local node=$1 home=yes name
  # A Node in somebody's home directory (nvm) must stay within the service's sight.
  [[ $node != /home/* && $node != /root/* ]] || home=read-only
  for name in "${UNIT_NAMES[@]}"; do
    sed -e "s#@NODE@#$node#g" -e "s#^ProtectHome=.*#ProtectHome=$home#" \
      "$PROGRAM/scripts/systemd/$name" >"$UNITS/$name"
    chmod 0644 "$UNITS/$name"
  done
}

start_background() {
  install -d -m 0755 "$(dirname "$PIDFILE")"
  [[ -e $LOG ]] || install -m 0640 /dev/null "$LOG"
  if [[ -d /etc/logrotate.d ]]; then
    printf '%s {\n  size 10M\n  rotate 3\n  compress\n  copytruncate\n  missingok\n  notifempty\n}\n' "$LOG" >"$LOGROTATE"
  fi
  local node
  node=$(readlink -f "$(command -v node)")
  # Each of these becomes the next, so that the pid stays the daemon's. It gets no environment of the person who
  # installs, and not the installer's lock.
  cd /
  setsid env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    nohup "$node" "$PROGRAM/dist/agent/cli/main.js" run --config /etc/ringfence/ringfence.yaml \
    </dev/null >>"$LOG" 2>&1 9>&- &
  printf '%s\n' "$!" >"$PIDFILE"
}

# The pid in the pid file, if that process is the daemon and not one that got its number later.
daemon_pid() {
  local pid=''
  [[ -r $PIDFILE ]] && read -r pid <"$PIDFILE" || return 0
  [[ $pid =~ ^[0-9]+$ && -r /proc/$pid/cmdline ]] || return 0
  local words
  { mapfile -d '' -t words <"/proc/$pid/cmdline"; } 2>/dev/null || return 0
  if [[ ${words[1]:-} == "$PROGRAM/dist/agent/cli/main.js" && ${words[2]:-} == run ]]; then
    printf '%s' "$pid"
  fi
}

stop_background() {
  local pid deadline
  pid=$(daemon_pid)
  if [[ -n $pid ]]; then
    kill -TERM "$pid" 2>/dev/null || true
    deadline=$((SECONDS + 20))
    while [[ -n $(daemon_pid) ]]; do
      if [[ $SECONDS -ge $deadline ]]; then
        say "The daemon (pid $pid) did not end within 20 s; it is killed."
        kill -KILL "$pid" 2>/dev/null || true
        break
      fi
      sleep 0.2
    done
  fi
  rm -f "$PIDFILE"
}

stop_service() {
  local name
  for name in "${UNIT_NAMES[@]}"; do
    if has_systemd && [[ -e $UNITS/$name ]]; then
      systemctl disable --quiet --now "$name"
    fi
  done
  stop_background
}

remove_service() {
  rm -f "$LOGROTATE"
  local name removed=no
  for name in "${UNIT_NAMES[@]}"; do
    [[ -e $UNITS/$name ]] || continue
    rm -f "$UNITS/$name"
    removed=yes
  done
  if [[ $removed == yes ]] && has_systemd; then
    systemctl daemon-reload
  fi
  rm -rf "$(dirname "$PIDFILE")"
}

# Waits until the daemon answers; shows the end of its log when it does not.
await_service() {
  local deadline=$((SECONDS + START_SECONDS))
  until node "$PROGRAM/dist/agent/cli/main.js" status >/dev/null 2>&1; do
    if [[ $SECONDS -ge $deadline ]] || is_service_dead; then
      show_log_end
      fail 'The daemon did not come up; the end of its log is above.' "$(advice_for_start)" \
        "The build before this one, if there was one, is in $PROGRAM.previous."
    fi
    sleep 0.5
  done
  say 'The daemon answers.'
}

is_service_dead() {
  if has_systemd; then
    systemctl is-failed --quiet ringfence.service
  else
    ! kill -0 "$(<"$PIDFILE")" 2>/dev/null
  fi
}

show_log_end() {
  if has_systemd; then
    journalctl -u ringfence -n 30 --no-pager || true
  else
    tail -n 30 "$LOG" || true
  fi
}

show_service() {
  if has_systemd; then
    say '  Service:       systemctl status ringfence; log: journalctl -u ringfence'
    say '                 (ringfence-restore puts rules and blocks back before the network when this host starts)'
  else
    say "  Process:       pid $(daemon_pid), pid file $PIDFILE, log $LOG"
    say '                 (without systemd it does not start by itself after a reboot: run install.sh again)'
  fi
}
