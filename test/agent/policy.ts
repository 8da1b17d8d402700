import type { DetectionPolicy } from '../../agent/detect/verdict.ts'

/** The thresholds of the defaults, for tests of what they lead to; the others are the detectors' own. */
export const POLICY: DetectionPolicy = {
  registerRetry: 6,
  registerSuspend: true,
  registerSuspendTime: 180,
  flood: { registers: 100, within: 10, for: 600 },
  block: { failures: 20, within: 600, for: 3_600 },
}
