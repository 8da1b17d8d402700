import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { Line } from '../phones/line.ts'
import { randomFrom } from '../phones/random.ts'
import { type Dialog, register } from '../phones/register.ts'
import {
  CUSTOMER,
  type HonestPhase,
  type HonestPlan,
  type HonestProgress,
  type HonestResult,
  type HonestTry,
  NEWCOMER,
} from './honest-plan.ts'

/**
 * Plays the honest phones of a simulation. Its argument is the file of a `HonestPlan`; it hears `attack`, `peace` and `end`
 * on its input, says each second how many were answered, and at the end what became of each question.
 */
const EVERY = { REGISTER: 2_000, OPTIONS: 250 } as const
/** Transactions of one phone come one after the other; several ask, so that one that waits does not end the asking. */
const PHONES = { REGISTER: 1, OPTIONS: 4 } as const
const PORT = 5_060
const EXPIRES = 120
const RETRY = 2_000
const FAREWELL = 1_500

const plan = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as HonestPlan
const { account } = plan
const asks = account ? 'REGISTER' : 'OPTIONS'
const server = { address: plan.server, port: plan.port }
const random = randomFrom(plan.seed)
const own = () => Math.floor(random() * 2 ** 32).toString(16)
const tries: { -readonly [Key in keyof HonestTry]: HonestTry[Key] }[] = []
const bound: { readonly line: Line; readonly address: string; readonly dialog: Dialog }[] = []
let phase: HonestPhase = 'before'
let newcomer: { begun: number; took: number | null } | null = null
let isOver = false

for (let index = 0; index < PHONES[asks]; index++) play(index).catch(fail)
const ticking = setInterval(() => {
  const count = (outcome: HonestTry['outcome']) => tries.filter((one) => one.outcome === outcome).length
  say({ answered: count('answered'), refused: count('refused') } satisfies HonestProgress)
}, 1_000)
setTimeout(() => void end(), plan.longest * 1_000)
const input = createInterface({ input: process.stdin })
input.on('line', (line) => {
  if (line === 'attack') {
    phase = 'during'
    if (account) setTimeout(() => void comeNew().catch(fail), plan.newcomerAfter * 1_000)
  } else if (line === 'peace') phase = 'after'
  else if (line === 'end') void end()
})
// Whoever started it is gone.
input.on('close', () => process.exit(1))

async function play(index: number): Promise<void> {
  const from = { address: CUSTOMER, port: PORT + 2 * index }
  const line = await Line.open(from, server)
  const dialog = newDialog(CUSTOMER)
  if (account) bound.push({ line, address: CUSTOMER, dialog })
  await pause((EVERY[asks] * index) / PHONES[asks])
  while (!isOver) {
    const begun = performance.now()
    const one: (typeof tries)[number] = { phase, took: null, outcome: 'open' }
    tries.push(one)
    one.outcome = account ? await registerOnce(line, from, dialog) : await askOptions(line, from, dialog)
    if (one.outcome === 'answered') one.took = performance.now() - begun
    await pause(Math.max(50, EVERY[asks] * PHONES[asks] - (performance.now() - begun)))
  }
}

async function registerOnce(
  line: Line,
  from: { readonly address: string; readonly port: number },
  dialog: Dialog,
): Promise<'answered' | 'refused' | 'silence'> {
  const { domain, ...credentials } = account!
  const outcome = await register(line, { ...credentials, ...from }, dialog, {
    server: domain,
    expires: EXPIRES,
    random,
  })
  return outcome === 'registered' ? 'answered' : outcome
}

/** Whatever it says, an answer shows that the softswitch serves. */
async function askOptions(
  line: Line,
  { address, port }: { readonly address: string; readonly port: number },
  dialog: Dialog,
): Promise<'answered' | 'silence'> {
  dialog.cseq += 1
  const text = [
    `OPTIONS sip:${plan.server} SIP/2.0`,
    `Via: SIP/2.0/UDP ${address}:${port};branch=z9hG4bK${own()}${own()};rport`,
    'Max-Forwards: 70',
    `From: <sip:honest@${address}>;tag=${own()}`,
    `To: <sip:${plan.server}>`,
    `Call-ID: ${own()}${own()}@${address}`,
    `CSeq: ${dialog.cseq} OPTIONS`,
    `Contact: <sip:honest@${address}:${port}>`,
    'Accept: application/sdp',
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n')
  return (await line.transact(text, dialog.cseq)) === null ? 'silence' : 'answered'
}

/** A phone that nobody has seen before: it tries until it is served. */
async function comeNew(): Promise<void> {
  const from = { address: NEWCOMER, port: PORT }
  const line = await Line.open(from, server)
  const dialog = newDialog(NEWCOMER)
  bound.push({ line, address: NEWCOMER, dialog })
  const mine = { begun: performance.now(), took: null as number | null }
  newcomer = mine
  while (!isOver) {
    if ((await registerOnce(line, from, dialog)) === 'answered') {
      mine.took = performance.now() - mine.begun
      return
    }
    await pause(RETRY)
  }
}

async function end(): Promise<void> {
  if (isOver) return
  isOver = true
  clearInterval(ticking)
  const result: HonestResult = {
    asks,
    tries: tries.map((one) => ({ ...one })),
    newcomer: newcomer && { took: newcomer.took, waited: performance.now() - newcomer.begun },
  }
  await Promise.race([Promise.all(bound.map(leave)), pause(FAREWELL)])
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
}

/** The bindings of a test must not stay with the softswitch. */
async function leave({ line, address, dialog }: (typeof bound)[number]): Promise<void> {
  const { domain, ...credentials } = account!
  const from = { address, port: PORT }
  await register(line, { ...credentials, ...from }, dialog, { server: domain, expires: 0, random })
}

function newDialog(address: string): Dialog {
  return { callId: `${own()}${own()}@${address}`, tag: own(), cseq: 0, nonce: null }
}

function say(line: HonestProgress): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function fail(error: unknown): never {
  console.error(error)
  process.exit(1)
}
