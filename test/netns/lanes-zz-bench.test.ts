import { test } from 'vitest'
import { benchPacketCost } from '../../scripts/bench/packet-cost.ts'
test('bench', { timeout: 600_000 }, async () => { await benchPacketCost((w, v) => console.log(`FIG ${w}: ${v}`)) })
