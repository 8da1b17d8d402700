import { connect, createServer } from 'node:net'

/**
 * Runs where the dashboard listens: joins connections to a Unix socket (first argument), which every namespace sees, to
 * the dashboard's address and port (second and third).
 */
const [path = '', host = '', port = ''] = process.argv.slice(2)
createServer((arriving) => {
  const leaving = connect(Number(port), host)
  arriving.pipe(leaving).pipe(arriving)
  arriving.on('error', () => leaving.destroy())
  leaving.on('error', () => arriving.destroy())
}).listen(path, () => console.log('ready'))
// Whoever started it is gone.
process.stdin.resume().on('close', () => process.exit(0))
