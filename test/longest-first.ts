import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Seconds that a file took, by its path; what is short is left out. `scripts/record-durations.mjs` writes it. */
const SECONDS = JSON.parse(readFileSync(new URL('durations.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, number>
>

/**
 * Within a project the longest file first: one that is begun last is waited for by everybody. vitest itself knows
 * durations only of earlier runs in the same checkout, and a fresh one would begin with the largest file.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { root } = this.ctx.config
    const seconds = (file: TestSpecification) => SECONDS[relative(root, file.moduleId)] ?? 0
    // What is as long, or not written down, stays in vitest's own order; projects stay apart by their groups.
    return (await super.sort(files)).sort(
      (a, b) =>
        a.project.config.sequence.groupOrder - b.project.config.sequence.groupOrder ||
        seconds(b) - seconds(a),
    )
  }
}
