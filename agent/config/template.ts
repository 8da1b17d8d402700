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

# Packets a second of one source that is not yet known to be good, and how many at once before that counts.
limits:
  register:
    perSecond: 5
    burst: 10
  # SIP other than REGISTER. It can hurt trunks that never register, so it only lists whom it would limit until
  # \`ringfence enforce sip\`, or enforce: true here.
  sip:
    perSecond: 20
    burst: 50
    enforce: false

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

# Addresses and prefixes that are never blocked, for example [198.51.100.7, 203.0.113.0/24, '2001:db8:7::/48'].
# More can be added while it runs: ringfence allow ADDRESS
allow: []

sensor:
  # How packets are captured: pcap, cap or tcpdump; auto takes the first that works.
  engine: auto

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
