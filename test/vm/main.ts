/**
 * Runs the tests on kernels with cgroup v2, whatever this machine has: in user-mode Linux and in QEMU, which it sets up
 * itself from Debian's packages (`.cache/vm`, or DRYDOCK_VM). Needs Debian or Ubuntu on x86_64; no virtualisation, no
 * root: as a user the first time takes a range of ids in /etc/subuid.
 *
 *   npm run test:vm -- [--bed uml|qemu] [--mode plain|nested|systemd] [--minutes N] [FILE …]
 *   npm run test:vm -- --bed qemu --command 'uname -a'
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Bed, type Mode, runInGuest } from './bed.ts'
import { project } from './cache.ts'
import { assertDebian } from './debian.ts'
import { guest, tools, umlKernel } from './guest.ts'
import { qemu } from './qemu.ts'
import { uml } from './uml.ts'
import { everything, whole } from './whole.table.ts'

const usage =
  'usage: test/vm/main.ts [--bed uml|qemu] [--mode plain|nested|systemd] [--minutes N] [--command SCRIPT | FILE …]'

/** What .ci/test-reporter.mjs writes. */
type Report = {
  skips: Record<string, number>
  failures: { file: string; name: string }[]
  totals: { tests?: number; passed?: number; failed?: number; cancelled?: number; skipped?: number }
}

type Run = { bed: Bed; mode: Mode; script: string; usualMinutes: number | undefined }
type Result = Run & { code: number | undefined; seconds: number; report: Report | undefined }

/** Tests by themselves, one file after the other: most of them look at the whole machine. */
const testScript = (files: readonly string[]): string =>
  [
    `export DRYDOCK_GUEST=1 UV_USE_IO_URING=0${process.stdout.isTTY ? '' : ' NO_COLOR=1'}`,
    'exec node --test --test-concurrency=1 --test-timeout=900000 \\',
    '  --test-reporter=spec --test-reporter-destination=stdout \\',
    '  --test-reporter=./.ci/test-reporter.mjs --test-reporter-destination=/job/report.json \\',
    `  ${files.map((file) => `'${file}'`).join(' ')}`,
  ].join('\n')

async function runOne(one: Run, minutes: number): Promise<Result> {
  const { bed, mode, script, usualMinutes } = one
  console.log(`\n── ${bed.name}, ${mode}${usualMinutes === undefined ? '' : `: about ${usualMinutes} minutes`} ──`)
  let report: Report | undefined
  const outcome = await runInGuest(bed, mode, script, {
    minutes,
    say: (chunk) => process.stdout.write(chunk),
    collect: (job) => {
      const file = join(job, 'report.json')
      const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
      if (text !== '') report = JSON.parse(text) as Report
    },
  })
  return { ...one, ...outcome, report }
}

function tell({ bed, mode, code, seconds, report }: Result): void {
  const end = code === undefined ? 'ended without an answer' : `exit code ${code}`
  console.log(`\n${bed.name}, ${mode}: ${end} after ${seconds.toFixed(0)} s`)
  if (report === undefined) return
  const { passed = 0, failed = 0, cancelled = 0, skipped = 0 } = report.totals
  console.log(`  passed ${passed}, failed ${failed + cancelled}, skipped ${skipped}`)
  for (const { file, name } of report.failures) console.log(`  failed: ${file}: ${name}`)
  for (const [reason, count] of Object.entries(report.skips)) console.log(`  skipped: ${count} × ${reason}`)
}

function chosen(): { runs: (beds: readonly Bed[]) => Run[]; bed: string | undefined; minutes: number } {
  const { values, positionals } = parseArgs({
    options: {
      bed: { type: 'string' },
      mode: { type: 'string' },
      minutes: { type: 'string', default: '300' },
      command: { type: 'string' },
    },
    allowPositionals: true,
  })
  const { bed, mode, command } = values
  const minutes = Number(values.minutes)
  if ((bed !== undefined && !['uml', 'qemu'].includes(bed)) || !(minutes > 0)) throw new Error(usage)
  if (mode !== undefined && !['plain', 'nested', 'systemd'].includes(mode)) throw new Error(usage)
  if (command !== undefined && positionals.length > 0) throw new Error(usage)
  const files = positionals.map((file) => relative(project, resolve(file)))
  const script = command ?? (files.length > 0 ? testScript(files) : undefined)
  const runs = (beds: readonly Bed[]): Run[] =>
    beds.flatMap((one) => {
      const all = whole[one.name]
      return one.modes
        .filter((its) => (mode === undefined ? all?.[its] !== undefined : its === mode))
        .map((its) => ({
          bed: one,
          mode: its,
          script: script ?? testScript(all?.[its]?.files ?? everything),
          usualMinutes: script === undefined ? all?.[its]?.minutes : undefined,
        }))
    })
  return { runs, bed, minutes }
}

async function main(): Promise<void> {
  const { runs, bed, minutes } = chosen()
  assertDebian()
  // What `drydock setup` installs.
  execFileSync(process.execPath, ['.ci/build.mjs'], { cwd: project, stdio: 'inherit' })
  const built = tools()
  const disk = guest(built)
  const beds = [...(bed === 'qemu' ? [] : [uml(umlKernel(), disk)]), ...(bed === 'uml' ? [] : [qemu(built, disk)])]
  const wanted = runs(beds)
  const known = wanted.map(({ usualMinutes = 0 }) => usualMinutes).reduce((sum, one) => sum + one, 0)
  if (known > 0) console.log(`Everything takes about ${known} minutes here; --bed, --mode and files choose`)
  if (wanted.length === 0) throw new Error('this bed does not have this mode: systemd runs in qemu only')
  const results: Result[] = []
  for (const run of wanted) results.push(await runOne(run, minutes))
  for (const result of results) tell(result)
  process.exitCode = Math.max(...results.map(({ code }) => code ?? 125))
}

await main().catch((error) => {
  console.error(`test:vm: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 2
})
