import type { Command } from 'commander'
import type { AccountView, BindingView } from '../../../dashboard/api/accounts.ts'
import { showDuration } from '../../../registrar/net/time.ts'
import { newCommand, openSession } from '../command.ts'
import type { CliDeps } from '../deps.ts'
import { CliFailure, EXIT } from '../outcome.ts'
import { number, plain, showTime, table } from '../terminal.ts'

export function accountCommand(deps: CliDeps): Command {
  return newCommand('account', {
    says: "the accounts of Ringfence's own registrar",
    examples: ['ringfence account add 1001', 'ringfence account list', 'ringfence account remove 1001'],
  })
    .addCommand(addCommand(deps))
    .addCommand(listCommand(deps))
    .addCommand(removeCommand(deps))
}

function addCommand(deps: CliDeps): Command {
  return newCommand('add <user>', {
    says: 'add an account; its password is asked for twice, or read from standard input, and kept as digest hashes',
    examples: ['ringfence account add 1001', 'ringfence account add 1001 --password-stdin < password-file'],
  })
    .option('--password-stdin', 'read the password from the only line of standard input')
    .action(async (user: string, options: { passwordStdin?: boolean }, command: Command) => {
      const session = openSession(deps, command)
      refuseUser(user)
      const password = options.passwordStdin
        ? await passwordFromInput(deps)
        : await passwordFromTerminal(deps)
      const answer = await session.ask({ method: 'POST', path: 'accounts', body: { aor: user, password } })
      session.show(answer as AccountView, ({ aor }) => `the account ${plain(aor)} is added\n`)
    })
}

function listCommand(deps: CliDeps): Command {
  return newCommand('list', {
    says: 'list the accounts, those of the configuration file too',
    examples: ['ringfence account list'],
  }).action(async (_options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const answer = await session.ask({ method: 'GET', path: 'accounts' })
    session.show(answer as readonly AccountView[], (accounts) =>
      accounts.length === 0
        ? 'there is no account\n'
        : table(
            [{ title: 'ACCOUNT' }, { title: 'ORIGIN' }, { title: 'BINDINGS', align: 'right' }],
            accounts.map(({ aor, origin, bindings }) => [aor, origin, number(bindings)]),
            deps,
          ),
    )
  })
}

function removeCommand(deps: CliDeps): Command {
  return newCommand('remove <user>', {
    says: 'remove an account that was added, with its bindings',
    examples: ['ringfence account remove 1001'],
  }).action(async (user: string, _options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const answer = await session.ask({ method: 'DELETE', path: `accounts/${encodeURIComponent(user)}` })
    session.show(answer as AccountView, ({ aor }) => `the account ${plain(aor)} is removed\n`)
  })
}

export function bindingsCommand(deps: CliDeps): Command {
  return newCommand('bindings', {
    says: "who is registered, and from where: with Ringfence's own registrar, or as the softswitch's answers told",
    examples: ['ringfence bindings'],
  }).action(async (_options: unknown, command: Command) => {
    const session = openSession(deps, command)
    const answer = await session.ask({ method: 'GET', path: 'bindings' })
    session.show(answer as readonly BindingView[], (bindings) =>
      bindings.length === 0
        ? 'nobody is registered\n'
        : table(
            [
              { title: 'ACCOUNT' },
              { title: 'CONTACT' },
              { title: 'SOURCE' },
              { title: 'VIA' },
              { title: 'SINCE' },
              { title: 'LEFT', align: 'right' },
              { title: 'ONLINE' },
              { title: 'USER AGENT' },
            ],
            bindings.map((binding) => [
              binding.aor,
              binding.contact || '(not known yet)',
              binding.source === '' ? 'not seen' : binding.source,
              binding.transport,
              showTime(binding.registeredAt),
              showDuration(binding.secondsLeft),
              onlineInWords(binding),
              binding.userAgent,
            ]),
            deps,
          ),
    )
  })
}

function onlineInWords({ online }: BindingView): string {
  return { online: 'yes', silent: 'silent', unasked: '-' }[online ?? 'unasked']
}

function refuseUser(user: string): void {
  // The same as ACCOUNT_USER of the configuration; that one is not loaded here, for it brings zod with it.
  if (/^[A-Za-z0-9._~!*+#-]{1,64}$/.test(user)) return
  const message = `${JSON.stringify(plain(user))} is no account; write the user part alone, like 1001 or alice`
  throw new CliFailure(EXIT.usage, 'bad-input', message)
}

async function passwordFromInput({ readInput }: CliDeps): Promise<string> {
  const text = await readInput(1_024)
  if (text === undefined) throw badPassword('standard input holds more than a password')
  const password = text.replace(/\r?\n$/, '')
  return checked(password)
}

async function passwordFromTerminal({ askSecret }: CliDeps): Promise<string> {
  if (!askSecret) {
    throw badPassword('there is no terminal to ask for the password; use --password-stdin')
  }
  const password = checked(await askSecret('Password: '))
  if ((await askSecret('Password again: ')) !== password) throw badPassword('the two passwords differ')
  return password
}

function checked(password: string): string {
  if (password === '') throw badPassword('the password is empty')
  if (/[\x00-\x1f\x7f]/.test(password))
    throw badPassword('the password must be a single line without control characters')
  if (password.length > 128) throw badPassword('the password is longer than 128 characters')
  return password
}

function badPassword(message: string): CliFailure {
  return new CliFailure(EXIT.usage, 'bad-input', message)
}
