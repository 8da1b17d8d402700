/** What the installer found out about the host. */
export interface TemplateFacts {
  readonly interfaces: readonly string[]
  readonly udpPorts: readonly number[]
  readonly tcpPorts: readonly number[]
}

/** The commented configuration file that an installation starts with: every key, with its default. */
export function renderConfigTemplate({ interfaces, udpPorts, tcpPorts }: TemplateFacts): string {
  return `# Ringfence configuration. Check it after a change: ringfence config check
# Times are written like 90s, 10m, 1h30m or 7d; a bare number is seconds.
# Every key but protect.interfaces may be left out: the values below are the defaults.

# enforce: the kernel drops what the rules say. observe: everything but touching the kernel.
mode: enforce

protect:
  # The interfaces that SIP from outside arrives on. Never lo.
  interfaces: [${interfaces.map(plainOrQuoted).join(', ')}]
  # local: every address of this host. On a gateway in front of the softswitch: a list of the addresses and
  # prefixes behind it, for example [192.0.2.10, 2001:db8:1::/64].
  addresses: local
  # Every port that SIP is served on. Nothing but these ports is ever touched.
  ports:
    udp: [${udpPorts.join(', ')}]
    tcp: [${tcpPorts.join(', ')}]
  # asked: a SIP response passes freely only from an address that the softswitch lately sent a request to. any: from
  # everybody, for a host that does not see the softswitch's own requests.
  responses: asked

# Packets a second, and how many at once before that counts. Each kind of source has buckets of its own, so that a
# flood of one kind leaves the others alone.
limits:
  # REGISTERs a second that the softswitch can answer. auto: as its own answers tell, see \`ringfence status\`.
  capacity: auto
  # REGISTERs of one source that nothing is known of (an IPv4 address, an IPv6 /64) …
  register:
    perSecond: 5
    burst: 10
  # … of all such sources in one /24 (IPv6: /48) …
  prefix:
    perSecond: 100
    burst: 200
  # … and of all of them together. perSecond: auto follows what the known phones leave of the capacity, as soon as that
  # is known; burst grows and shrinks with it.
  total:
    perSecond: 2000
    burst: 4000
  # The same under attack. Then an address and port is served from its second packet on, so that forged sources,
  # which do not come back, get nothing.
  strict:
    # auto: while unknown sources are over limits.total, and a minute longer. Or always, or never.
    # While it runs: ringfence strict on, off or auto
    when: auto
    # One address and port that is not proven. A minute, not a second: an honest phone needs two packets.
    port:
      perMinute: 6
      burst: 6
    source:
      perSecond: 5
      burst: 10
    prefix:
      perSecond: 100
      burst: 200
    total:
      perSecond: 1500
      burst: 1500
  # One address and port from which an account registered lately.
  proven:
    perSecond: 10
    burst: 50
  # One address and port that answered a challenge within the last minute, beside what it has as an unknown one.
  answered:
    perMinute: 12
    burst: 6
  # One address that somebody registered from within a week. With over 5 accounts behind it 4 times as much, with
  # over 50 accounts 20 times.
  returning:
    perSecond: 5
    burst: 20
  # One source that was challenged several times and never answered.
  ignoring:
    perMinute: 6
    burst: 2
  # SIP other than REGISTER of one unknown source; requests inside calls (ACK, BYE, CANCEL, PRACK, UPDATE, INFO) have a
  # limit of their own, five times as high. It can hurt trunks that never register, so nothing is dropped and it only lists
  # whom it would limit until \`ringfence enforce sip\`, or enforce: true here.
  sip:
    perSecond: 20
    burst: 50
    # Once it is enforced: the same for all such sources in one /24 (IPv6: /48) …
    prefix:
      perSecond: 200
      burst: 400
    # … and for all of them together. That is what bounds forged sources. It is for whom nothing is known of: registered and
    # returning phones, gateways, allowed prefixes and peers of the softswitch do not share it.
    total:
      perSecond: 1000
      burst: 2000
    enforce: false
  # What is trusted but could be forged: a prefix on the allowlist, a gateway's requests inside calls, a peer that the
  # softswitch sent a request to.
  ceiling:
    perSecond: 2000
    burst: 4000
  # What nobody asked for, of everybody together: keepalives of unknown sources, stray responses.
  rest:
    perSecond: 1000
    burst: 2000
  # New TCP connections of one source, and of a /24 (IPv6: /48). Established ones are never touched.
  connections:
    perSecond: 5
    burst: 20
    prefix:
      perSecond: 50
      burst: 100
    # How many may stand at once of one source: a number, or none. Counting them switches the kernel's connection
    # tracking on for everything on this host, every RTP stream included; so auto counts (500) only where something
    # else uses connection tracking already.
    most: auto

# Trunks, limited by calls a second (INVITE and REGISTER together) and by nothing that unknown sources can fill.
# All prefixes of a gateway share its cps, but IPv4 and IPv6 are counted apart: each family has the whole cps.
# Every INVITE counts: a call that is challenged for a password counts twice, and a re-INVITE (hold, session timer)
# once more. So set the cps higher than the calls a second that the softswitch shows.
# VOS3000: CPS limit of a mapping gateway
#   - { name: carrier-1, prefixes: [198.51.100.0/28], profile: wholesale }
#   - { name: office, prefixes: [203.0.113.7, '2001:db8:7::/64'], cps: 30, burst: 60 }
# Profiles: single-phone 5, small-office 20, call-center 80, wholesale 150, reseller 50. burst: twice the cps.
gateways: []

# How much the kernel may remember. auto follows the memory of this host: when all is full, elements, buckets and
# seen take a 64th of it each (at least 65536, 65536 and 100000 entries). The memory is taken only as they fill.
kernel:
  # Entries of each list: blocks, suspensions, proven phones.
  elements: auto
  # Sources in each table of limits; at most 1048576.
  buckets: auto
  # First packets that are remembered for 5 s under attack.
  seen: auto

policy:
  # Consecutive failed registrations before a suspension; a success resets the count.
  # VOS3000: SS_ENDPOINTREGISTERRETRY
  registerRetry: 6
  # Whether to suspend at all.
  # VOS3000: SS_ENDPOINTREGISTERSUSPEND
  registerSuspend: true
  # For how long.
  # VOS3000: SS_ENDPOINTREGISTERSUSPENDTIME
  registerSuspendTime: 180s
  # The same two under attack: far more REGISTERs than usual at this hour of the week, and few of them succeed. Back by
  # itself a minute after that is over.
  attack:
    registerRetry: 3
    registerSuspendTime: 900s
  # A source that sends so many REGISTERs within the window, none of which leads to a success, is blocked
  # from registering.
  flood:
    registers: 100
    within: 10s
    for: 10m
  # Brute-force lockout: so many wrong passwords within the window, and the source is blocked on all SIP ports.
  block:
    failures: 20
    within: 10m
    for: 1h
  # The same over hours, for who stays under all of that: failures over three or more accounts.
  slowGuessing:
    failures: 60
    within: 1d
    for: 4h
  # A source that asks for so many accounts that never registered here, and registers none, is blocked from registering when
  # it has gone on for a minute, or asked for three times as many at once; half as many are enough where it calls itself
  # like a scanner.
  scan:
    accounts: 10
    within: 10m
    for: 10m
  # The same for REGISTERs that cannot be read, or whose Contact is over 2 kB.
  malformed:
    registers: 10
    within: 1m
    for: 10m
  # An account that fails from so many addresses raises an alert; nothing is done to anybody.
  accountGuessed:
    sources: 10
    within: 1d

# Addresses and prefixes that are never blocked, for example [198.51.100.7, 203.0.113.0/24, '2001:db8:7::/48'].
# More can be added while it runs: ringfence allow ADDRESS
allow: []

sensor:
  # How packets are captured: pcap, cap or tcpdump; auto takes the first that works.
  engine: auto
  # Under a flood requests are read from the kernel's own log (NFLOG) of those that pass, so that the flood costs
  # nothing. One program can listen to a group of it: auto is 5060, or a number from 1 to 65535, or off.
  nflog: auto

# The softswitch's own logs, for ports on which registrations cannot be seen (TLS, WSS, answers that leave another way).
# Of ports that are seen nothing is taken from them. See docs/logs.md for what a line proves and what follows from it.
evidence:
  # The security log: security => security under [logfiles] of logger.conf, then /var/log/asterisk/security
  # asterisk: /var/log/asterisk/security
  # With log-auth-failures in the Sofia profile. Its lines name no port: they only raise alerts.
  # freeswitch: /var/log/freeswitch/freeswitch.log
  # mbx.log. Its form is not published: its lines only raise alerts.
  # vos3000: /home/kunshi/mbx3000/log/mbx.log

# What is kept of traffic (registrations and failures by account and source, rates by source, no packets), so that
# \`ringfence backtest\` can try another policy on it.
history:
  # For so many days, within some hundred megabytes; 0 keeps nothing.
  days: 7

dashboard:
  enabled: true
  # Loopback only. To reach it from elsewhere: ssh -L 8560:127.0.0.1:8560 THIS-HOST
  listen: '127.0.0.1:8560'
  # Holds the password for the login, readable by root alone. Made where it is missing.
  passwordFile: /etc/ringfence/dashboard.password

# Ringfence's own SIP registrar, for where no softswitch does the registering.
registrar:
  enabled: false
  # Part of every stored password hash: a change makes all added accounts useless.
  realm: ringfence
  # UDP and TCP on each.
  listen: ['0.0.0.0:5060']
  minExpires: 60s
  maxExpires: 3600s
  # Bindings of one account.
  # VOS3000: SERVER_REGISTRAR_MAX_BINDINGS
  maxBindings: 10
  # Whether, at maxBindings, a new registration takes the place of the oldest, or is refused.
  # VOS3000: SS_ENDPOINT_REGISTER_REPLACE
  registerReplace: true
  # One a line, or better added with: ringfence account add USER
  #   - { user: '1001', password: 'correct horse' }
  #   - { user: '1002', ha1: { md5: '…32 hex digits…', sha256: '…64 hex digits…' } }
  accounts: []

control:
  # The socket that the command line talks to, and the group that may open it beside root.
  socket: /run/ringfence/control.sock
  group: ringfence

# The journal: decisions, verdicts, accounts, bindings.
data: /var/lib/ringfence
`
}

/** YAML reads `1`, `0x1` or `null` as something else than a name. */
function plainOrQuoted(name: string): string {
  return /^[A-Za-z][A-Za-z0-9._-]*$/.test(name) && !/^(true|false|null)$/i.test(name)
    ? name
    : JSON.stringify(name)
}
