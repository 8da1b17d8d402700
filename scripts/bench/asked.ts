export const EXIT_FAILED = 1
export const EXIT_USAGE = 2

/** A command of ours that is run by hand: how its words are read, what it says of itself, and what it does. */
export interface AskedCommand<Asked extends { readonly help: boolean }> {
  /** What is asked, or a sentence on what is wrong with it; throws where `parseArgs` does. */
  readonly read: (args: string[]) => Asked | string
  readonly usage: () => string
  /** Resolves to the exit code. */
  readonly run: (asked: Asked) => Promise<number>
}

/** Runs what the words of a command line ask for, or says why they ask for nothing. Resolves to the exit code. */
export async function runAsked<Asked extends { readonly help: boolean }>(
  args: string[],
  { read, usage, run }: AskedCommand<Asked>,
): Promise<number> {
  let asked: Asked | string
  try {
    asked = read(args)
  } catch (error) {
    asked = `${error instanceof Error ? error.message : String(error)}\n\n${usage()}`
  }
  if (typeof asked === 'string') {
    console.error(asked)
    return EXIT_USAGE
  }
  if (asked.help) {
    console.log(usage())
    return 0
  }
  return run(asked)
}
