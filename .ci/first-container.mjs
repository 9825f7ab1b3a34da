/** The first container: this folder in the embedded image `host`, and what each layer did to run it. */
import { performance } from 'node:perf_hooks'
import { ask, attach } from './engine-api.mjs'

const script = [
  'echo "Hello from a container: I am process $$ on $(hostname), and my folder is $PWD:"',
  'ls -A | head -n 8',
  'echo "… and this file system, these processes and this network are mine alone."',
].join('; ')

/** The order in which a run goes down the stack. */
const layers = ['command', 'api', 'lifecycle', 'images', 'snapshot', 'network', 'shim', 'runtime', 'kernel']

const now = () => performance.timeOrigin + performance.now()

/** Runs it, prints its output as it comes, and answers its exit code with the spans of the run. */
export async function runFirstContainer(socket, folder) {
  const start = now()
  const config = {
    Image: 'host',
    Cmd: ['sh', '-c', script],
    WorkingDir: folder,
    HostConfig: { Binds: [`${folder}:${folder}`] },
  }
  const { Id: id } = await ask(socket, 'POST', '/containers/create', config)
  try {
    const output = await attach(socket, id, (stream, bytes) => process[stream].write(bytes))
    await ask(socket, 'POST', `/containers/${id}/start`)
    const started = now()
    const [{ StatusCode: exitCode }] = await Promise.all([ask(socket, 'POST', `/containers/${id}/wait`), output.ended])
    const { Spans: spans } = await ask(socket, 'GET', `/drydock/containers/${id}/trace`)
    const command = { Layer: 'command', Name: 'create, attach, start', Start: start, End: started }
    return { exitCode, spans: [command, ...spans] }
  } finally {
    await ask(socket, 'DELETE', `/containers/${id}?force=1&v=1`)
  }
}

const ms = (duration) => (duration < 10 ? duration.toFixed(2) : duration.toFixed(1)).padStart(7)

/** A line for each span, in the order of the stack and then of time, with a bar where in the run it was. */
export function traceLines(spans, columns = 28) {
  const first = Math.min(...spans.map(({ Start }) => Start))
  const last = Math.max(...spans.map(({ End }) => End))
  const scale = columns / Math.max(last - first, 1e-6)
  const ordered = [...spans].sort(
    (a, b) => layers.indexOf(a.Layer) - layers.indexOf(b.Layer) || a.Start - b.Start || b.End - a.End,
  )
  const width = Math.max(...ordered.map(({ Name }) => Name.length))
  let layer = ''
  return ordered.map(({ Layer, Name, Start, End }) => {
    const left = Math.min(Math.floor((Start - first) * scale), columns - 1)
    const bar = `${' '.repeat(left)}${'█'.repeat(Math.max(1, Math.min(Math.round((End - Start) * scale), columns - left)))}`
    const title = Layer === layer ? '' : Layer
    layer = Layer
    return `  ${title.padEnd(10)}${Name.padEnd(width)} ${ms(End - Start)} ms  ${bar}`.trimEnd()
  })
}
