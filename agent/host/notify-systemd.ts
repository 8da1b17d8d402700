import { execa } from 'execa'

/**
 * Tells systemd how the service stands (sd_notify(3)), by its own program. Does nothing where systemd did not
 * start us.
 */
export async function notifySystemd(state: 'READY=1' | 'STOPPING=1' | 'RELOADING=1'): Promise<void> {
  if (!process.env.NOTIFY_SOCKET) return
  await execa('systemd-notify', [state], { timeout: 5_000, reject: false, env: { LC_ALL: 'C' } })
}
