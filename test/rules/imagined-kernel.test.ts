import { expect, test } from 'vitest'
import { ImaginedKernel } from '../../rules/imagined-kernel.ts'
import { kernelContract } from './kernel-contract.ts'

kernelContract('the imagined kernel', async () => ({
  kernel: new ImaginedKernel({ clock: Date.now }),
  dispose: async () => {},
}))

test('tells what would have been done, and keeps only so much of it', async () => {
  let now = 1_000
  const kernel = new ImaginedKernel({ clock: () => now, maxActions: 3 })
  await kernel.applySets([
    'create rf-sip4 hash:net family inet timeout 0 counters',
    'add rf-sip4 192.0.2.1 timeout 5 -exist',
  ])
  now = 2_000
  await kernel.applySets(['add rf-sip4 0.0.0.0/0 -exist'])
  await kernel.applyChains(
    4,
    '*raw\n:RINGFENCE - [0:0]\n-A RINGFENCE -i lo -j RETURN\n-I PREROUTING -j RINGFENCE\nCOMMIT\n',
  )
  expect([kernel.forgottenActions, kernel.actions()]).toEqual([
    1,
    [
      { at: 1_000, text: 'add rf-sip4 192.0.2.1 timeout 5' },
      { at: 2_000, text: 'IPv4: -A RINGFENCE -i lo -j RETURN' },
      { at: 2_000, text: 'IPv4: -I PREROUTING -j RINGFENCE' },
    ],
  ])
})

test('lets elements go when their time is over', async () => {
  let now = 0
  const kernel = new ImaginedKernel({ clock: () => now })
  await kernel.applySets(['create rf-sip4 hash:net timeout 0', 'add rf-sip4 192.0.2.1 timeout 5 -exist'])
  now = 4_999
  expect((await kernel.observe({ elements: [] })).sets.get('rf-sip4')?.size).toBe(1)
  now = 5_000
  expect((await kernel.observe({ elements: [] })).sets.get('rf-sip4')?.size).toBe(0)
})
