import type { ComponentChildren } from 'preact'

export type Tone = 'good' | 'warn' | 'bad' | 'idle'

interface PartProps {
  readonly name: string
  readonly tone: Tone
  readonly state: string
  readonly testid: string
  readonly children: ComponentChildren
}

/** One part of Ringfence with its state and figures. */
export function Part({ name, tone, state, testid, children }: PartProps) {
  return (
    <div class="part" data-testid={testid} data-state={state}>
      <h2>
        {name} <span class={`tag ${tone}`}>{state}</span>
      </h2>
      <dl class="facts">{children}</dl>
    </div>
  )
}

interface FactProps {
  readonly name: string
  readonly testid?: string
  readonly isBad?: boolean
  readonly children: ComponentChildren
}

export function Fact({ name, testid, isBad, children }: FactProps) {
  return (
    <div class={isBad ? 'bad' : ''}>
      <dt>{name}</dt>
      <dd data-testid={testid}>{children}</dd>
    </div>
  )
}

/** What is wrong with the part; nothing where there is no sentence. */
export function Note({ children, testid }: { children: string | null; testid?: string }) {
  if (!children) return null
  return (
    <div class="note">
      <dt class="unseen">detail</dt>
      <dd class="wrong" data-testid={testid}>
        {children}
      </dd>
    </div>
  )
}

/** What is worth saying of the part, and not wrong. */
export function Remark({ children, testid }: { children: string; testid?: string }) {
  return (
    <div class="note">
      <dt class="unseen">detail</dt>
      <dd data-testid={testid}>{children}</dd>
    </div>
  )
}
