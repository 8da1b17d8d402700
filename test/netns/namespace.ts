import { execa } from 'execa'

let made = 0

/** A network namespace of this test run's own, with a name that nobody else has. */
export class Namespace {
  readonly name: string

  constructor(purpose: string) {
    this.name = `rf-${purpose}-${process.pid}-${made++}`
  }

  async create(): Promise<this> {
    await execa('ip', ['netns', 'add', this.name])
    await this.run('ip', 'link', 'set', 'lo', 'up')
    return this
  }

  /** Runs a program inside, and gives what it wrote. */
  async run(program: string, ...args: readonly string[]): Promise<string> {
    const { stdout } = await execa('ip', ['netns', 'exec', this.name, program, ...args], { timeout: 20_000 })
    return stdout
  }

  async feed(input: string, program: string, ...args: readonly string[]): Promise<void> {
    await execa('ip', ['netns', 'exec', this.name, program, ...args], { input, timeout: 20_000 })
  }

  async remove(): Promise<void> {
    await execa('ip', ['netns', 'del', this.name])
  }
}
