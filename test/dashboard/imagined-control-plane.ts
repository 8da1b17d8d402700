import type { AccountView, BindingView } from '../../dashboard/api/accounts.ts'
import type { ComparisonView } from '../../dashboard/api/comparison.ts'
import {
  type BlockOrder,
  type ControlPlane,
  OrderRefused,
  type TargetOrder,
} from '../../dashboard/api/control-plane.ts'
import type { AllowView, DecisionView } from '../../dashboard/api/decisions.ts'
import type { SourceStory } from '../../dashboard/api/source-story.ts'
import type { LiveSnapshot, RatePoint, StatusSnapshot } from '../../dashboard/api/status.ts'
import type { StrictView } from '../../dashboard/api/weather.ts'
import type { AppliedView, ApplyOrder, PlanView, TraceView, TrialView } from '../../dashboard/api/what-if.ts'
import type { Clock } from '../../registrar/net/time.ts'

/** What a test may set on the imagined host; everything else follows from the orders given. */
export interface Scene {
  state: LiveSnapshot['state']
  sentence: string
  sensor: StatusSnapshot['sensor']
  rules: StatusSnapshot['rules']
  sipWouldLimit: { address: string; packets: number }[]
  looks: StatusSnapshot['looks']
  registrar: StatusSnapshot['registrar']
  strict: StrictView
  lanes: StatusSnapshot['lanes']
  weather: StatusSnapshot['weather']
  gateways: StatusSnapshot['gateways']
  sight: StatusSnapshot['sight']
  nonces: StatusSnapshot['nonces']
  trial: TrialView | null
  /** What is said with an order that nothing comes of. */
  notice: string | null
}

export interface ImaginedControlPlane extends ControlPlane {
  readonly scene: Scene
  /** Every order that reached the plane, oldest first. */
  readonly orders: readonly { readonly order: string; readonly by: string }[]
  /** One more second of traffic. */
  passSecond(rates: Partial<RatePoint>): void
  /** A verdict's decision, as the detector would make it. */
  decide(decision: Partial<DecisionView> & { target: string }): DecisionView
  /** Packets that the kernel dropped for a target. */
  drop(target: string, packets: number): void
  addBinding(binding: BindingView): void
  /** Tells the watchers that the picture has changed. */
  announce(): void
  readonly watchers: number
}

/** A whole control plane in memory: no kernel, no sensor, and decisions that expire by its clock. */
export function imagineControlPlane(options: { now?: Clock } = {}): ImaginedControlPlane {
  const now = options.now ?? Date.now
  const startedAt = now()
  const watchers = new Set<(snapshot: LiveSnapshot) => void>()
  const orders: { order: string; by: string }[] = []
  const history: RatePoint[] = []
  const allowed: AllowView[] = []
  const accounts: AccountView[] = []
  const bindings: BindingView[] = []
  let decisions: DecisionView[] = []
  let past: DecisionView[] = []
  let nextId = 1
  let sipEnforced = false
  let isOff = false

  const scene: Scene = {
    state: 'peace',
    sentence: 'All is quiet: 12 REGISTERs/s, all answered.',
    sensor: {
      state: 'running',
      engine: 'pcap',
      framesSeen: 1_204_332,
      framesLost: 0,
      malformed: 3,
      sourcesTracked: 512,
      learntBindings: 3,
      detail: 'eth0',
    },
    rules: {
      state: 'applied',
      backend: 'iptables-nft',
      lastAppliedAt: startedAt,
      pendingChanges: 0,
      lastError: null,
      repairs: 0,
      lastRepair: null,
      contestedUntil: null,
      full: [],
      notInPath: null,
      judged: { udp: 1_204_000, tcp: 332 },
      dropped: { blocks: 0, registerLimit: 0 },
      registerPacketsDropped: 0,
      wouldHaveDone: [],
    },
    sipWouldLimit: [],
    looks: { count: 0, first: [] },
    registrar: { state: 'off', accounts: 0, bindings: 0, detail: '' },
    strict: {
      state: 'peace',
      since: startedAt,
      why: 'Unknown sources are within their limit.',
      order: 'auto',
    },
    lanes: { proven: 500, answered: 2, returning: 480, ignoring: 1, letGo: {} },
    weather: {
      state: 'peace',
      since: startedAt,
      why: 'No more REGISTERs than usual, or as many of them succeed.',
      baseline: { state: 'learning', hours: 3, hoursNeeded: 24, usual: null, bound: null },
      capacity: {
        perSecond: null,
        how: 'unknown',
        why: 'Too few REGISTERs were answered so far to tell.',
        leftForUnknown: null,
      },
      anomalies: [],
      policy: { registerRetry: 6, registerSuspendTime: 180 },
      outage: null,
      changes: [],
    },
    gateways: [],
    sight: [
      {
        port: 5060,
        transport: 'udp',
        state: 'sighted',
        since: startedAt,
        detail: 'requests and answers are seen',
      },
    ],
    nonces: [],
    trial: null,
    notice: null,
  }

  const quiet = (): RatePoint => ({
    time: now(),
    registers: 0,
    sipMessages: 0,
    successes: 0,
    failures: 0,
    cpu: 0,
  })
  const standing = (): DecisionView[] => {
    const isOver = (decision: DecisionView) => decision.until !== null && decision.until <= now()
    past = [...decisions.filter(isOver), ...past]
    decisions = decisions.filter((decision) => !isOver(decision))
    return decisions.map((decision) => ({
      ...decision,
      secondsLeft: decision.until === null ? null : Math.ceil((decision.until - now()) / 1000),
    }))
  }
  const live = (): LiveSnapshot => ({
    time: now(),
    state: isOff ? 'off' : scene.state,
    sentence: isOff ? 'Protection is off: nothing is in the kernel.' : scene.sentence,
    rates: history.at(-1) ?? quiet(),
    blocked: standing(),
    blockedTotal: decisions.length,
    trial: scene.trial,
  })
  const announce = () => {
    for (const watcher of watchers) watcher(live())
  }
  const record = (order: string, by: string) => {
    orders.push({ order, by })
    announce()
  }
  const decide: ImaginedControlPlane['decide'] = (decision) => {
    const made: DecisionView = {
      id: nextId++,
      kind: 'block',
      scope: 'register',
      since: now(),
      until: now() + 600_000,
      secondsLeft: null,
      by: 'register-flood',
      grade: 'packet',
      reason: '100 REGISTERs within 10 s and no success',
      evidence: { registers: 100, seconds: 10 },
      packetsDropped: 0,
      bytesDropped: 0,
      ...decision,
    }
    decisions = [made, ...decisions]
    announce()
    return standing().find(({ id }) => id === made.id) ?? made
  }

  const applied = (trial: TrialView | null): AppliedView => ({
    state: trial ? 'trial' : 'kept',
    trial,
    file: '/etc/ringfence/ringfence.yaml',
    previous: trial ? null : '/etc/ringfence/ringfence.yaml.previous',
    warnings: [],
    notice: scene.notice,
  })

  return {
    scene,
    orders,
    decide,
    announce,
    get watchers() {
      return watchers.size
    },
    passSecond(rates) {
      history.push({ ...quiet(), ...rates })
      if (history.length > 600) history.shift()
      announce()
    },
    drop(target, packets) {
      decisions = decisions.map((decision) =>
        decision.target === target
          ? { ...decision, packetsDropped: packets, bytesDropped: packets * 420 }
          : decision,
      )
      announce()
    },
    addBinding(binding) {
      bindings.push(binding)
    },
    async status() {
      return {
        version: '0.1.0',
        time: now(),
        startedAt,
        mode: 'enforce',
        state: live().state,
        sentence: live().sentence,
        traffic: {
          interfaces: ['eth0'],
          udpPorts: [5060],
          tcpPorts: [5060],
          destinations: ['192.0.2.10/32'],
        },
        rates: history.at(-1) ?? quiet(),
        history: [...history],
        sensor: scene.sensor,
        rules: isOff ? { ...scene.rules, state: 'off' } : scene.rules,
        logs: [],
        strict: scene.strict,
        sight: scene.sight,
        nonces: scene.nonces,
        lanes: scene.lanes,
        weather: scene.weather,
        gateways: scene.gateways,
        trial: scene.trial,
        limits: {
          register: { perSecond: 5, burst: 10 },
          sip: {
            perSecond: 20,
            burst: 50,
            prefix: { perSecond: 200, burst: 400 },
            total: { perSecond: 1_000, burst: 2_000 },
            enforced: sipEnforced,
          },
          sipWouldLimit: scene.sipWouldLimit,
        },
        host: { cpu: history.at(-1)?.cpu ?? 0, memoryUsed: 3_100_000_000, memoryTotal: 8_200_000_000 },
        counts: {
          blocks: standing().filter(({ kind }) => kind === 'block').length,
          suspensions: decisions.filter(({ kind }) => kind === 'suspend').length,
          allowed: allowed.length,
        },
        looks: scene.looks,
        registrar: { ...scene.registrar, accounts: accounts.length, bindings: bindings.length },
      }
    },
    async blocked() {
      return standing()
    },
    async block(order: BlockOrder) {
      if (allowed.some(({ target }) => target === order.target)) {
        throw new OrderRefused(
          'conflict',
          `${order.target} is on the allowlist; take it off first: ringfence disallow ${order.target}`,
        )
      }
      record(`block ${order.target}`, order.by)
      const made = decide({
        target: order.target,
        scope: 'sip',
        until: order.seconds === undefined ? null : now() + order.seconds * 1000,
        by: 'operator',
        grade: null,
        reason: order.reason ?? 'by the operator',
        evidence: { by: order.by },
      })
      return { ...made, notice: scene.notice }
    },
    async unblock(order: TargetOrder) {
      const removed = standing().filter(({ target }) => target === order.target)
      decisions = decisions.filter(({ target }) => target !== order.target)
      past = [...removed, ...past]
      record(`unblock ${order.target}`, order.by)
      return { removed }
    },
    async allow(order) {
      const view = {
        target: order.target,
        since: now(),
        by: 'operator',
        reason: order.reason ?? '',
      }
      allowed.push(view)
      const lifted = decisions.filter(({ target }) => target === order.target)
      decisions = decisions.filter(({ target }) => target !== order.target)
      record(`allow ${order.target}`, order.by)
      const first = lifted.map(({ target }) => target)
      return { ...view, lifted: { count: first.length, first }, wider: { count: 0, first: [] } }
    },
    async disallow(order) {
      const removed = allowed.filter(({ target }) => target === order.target)
      for (const view of removed) allowed.splice(allowed.indexOf(view), 1)
      record(`disallow ${order.target}`, order.by)
      return { removed }
    },
    async allowed() {
      return [...allowed]
    },
    async explain(address): Promise<SourceStory> {
      const own = standing().filter(({ target }) => target === address)
      return {
        address,
        source: address,
        lane: own.length > 0 ? 'blocked' : 'unknown',
        laneReason: own[0]?.reason ?? 'never seen before',
        notice: null,
        overSipLimit: null,
        firstSeen: null,
        lastSeen: null,
        registers: 0,
        challenges: 0,
        successes: 0,
        failures: 0,
        registersInWindow: 0,
        accounts: [],
        userAgents: [],
        decisions: own,
        verdicts: [],
        pastDecisions: past.filter(({ target }) => target === address),
      }
    },
    async enforceSip(order) {
      sipEnforced = order.enforced
      record(`enforce-sip ${order.enforced}`, order.by)
      return { enforced: sipEnforced, notice: scene.notice }
    },
    async strict({ order, by }) {
      const state = order === 'on' ? 'strict' : 'peace'
      scene.strict = { state, since: now(), why: `The operator ordered it ${order}.`, order }
      record(`strict ${order}`, by)
      return { ...scene.strict, notice: scene.notice }
    },
    async apply(order: ApplyOrder): Promise<AppliedView> {
      if (order.text.includes('misspelt')) {
        throw new OrderRefused(
          'bad-config',
          `${order.file}:1:1: misspelt is not known\n${order.file}:2:1: nor this`,
        )
      }
      const seconds = order.confirmWithin
      if (seconds !== undefined) {
        scene.trial = { file: order.file, by: order.by, until: now() + seconds * 1000, secondsLeft: seconds }
      }
      record(`apply ${order.file}`, order.by)
      return applied(scene.trial)
    },
    async confirm({ by }) {
      if (!scene.trial) throw new OrderRefused('not-found', 'No configuration is on trial.')
      scene.trial = null
      record('confirm', by)
      return applied(null)
    },
    async revert({ by }) {
      if (!scene.trial) throw new OrderRefused('not-found', 'No configuration is on trial.')
      const reverted = scene.trial.file
      scene.trial = null
      record('revert', by)
      return { reverted }
    },
    async plan(candidate): Promise<PlanView> {
      return {
        file: candidate?.file ?? '/etc/ringfence/ringfence.yaml',
        same: true,
        needsRestart: [],
        limits: [],
        warmed: false,
        chains: [],
        sets: [],
        elements: { added: { count: 0, first: [] }, removed: { count: 0, first: [] } },
        phones: { proven: 0, traced: 0, worse: 0, first: [] },
        warnings: [],
        notes: [],
      }
    },
    async backtest({ candidate }): Promise<ComparisonView> {
      const side = { blocks: 0, suspensions: 0, informing: 0, sources: 0, phonesTouched: 0 }
      const none = { count: 0, first: [] }
      return {
        from: null,
        to: null,
        before: { ...side, name: 'the present policy' },
        after: { ...side, name: candidate.file },
        phones: { registered: 0, touched: none, relieved: none, spared: 0 },
        changes: { new: none, gone: none, harder: none, softer: none, other: none },
        same: 0,
        notes: [],
      }
    },
    async trace({ source, method }): Promise<TraceView> {
      return {
        packet: `${method ?? 'REGISTER'} from ${source}`,
        verdict: 'pass',
        says: 'nothing is known of it',
        notice: null,
        lane: 'unknown',
        rule: null,
        steps: [],
        assumptions: [],
      }
    },
    async off(order) {
      isOff = true
      record('off', order.by)
      return { removed: ['chain RINGFENCE'] }
    },
    async on(order) {
      isOff = false
      record('on', order.by)
      return { notice: scene.notice }
    },
    async accounts() {
      return [...accounts]
    },
    async addAccount(order) {
      if (accounts.some(({ aor }) => aor === order.aor)) {
        throw new OrderRefused('conflict', `There is an account ${order.aor} already; remove it first.`)
      }
      const account: AccountView = { aor: order.aor, origin: 'added', bindings: 0 }
      accounts.push(account)
      record(`add account ${order.aor}`, order.by)
      return account
    },
    async removeAccount(order) {
      const at = accounts.findIndex(({ aor }) => aor === order.aor)
      if (at < 0) throw new OrderRefused('not-found', `There is no account ${order.aor}.`)
      const [account] = accounts.splice(at, 1)
      record(`remove account ${order.aor}`, order.by)
      return account!
    },
    async bindings() {
      return [...bindings]
    },
    watch(listener) {
      watchers.add(listener)
      return () => {
        watchers.delete(listener)
      }
    },
  }
}
