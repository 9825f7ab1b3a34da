/** For node --test: totals, failures and the reasons of skipped tests as one JSON document, for test.mjs to tell. */
import { relative } from 'node:path'

export default async function* reporter(events) {
  const skips = {}
  const failures = []
  let totals = {}
  for await (const { type, data } of events) {
    if (type === 'test:pass' && data.skip !== undefined) {
      const reason = data.skip === true || data.skip === '' ? 'no reason given' : data.skip
      skips[reason] = (skips[reason] ?? 0) + 1
    }
    if (type === 'test:fail' && data.todo === undefined)
      failures.push({ file: relative(process.cwd(), data.file ?? ''), name: data.name })
    if (type === 'test:summary' && data.file === undefined) totals = { ...data.counts, success: data.success }
  }
  yield JSON.stringify({ skips, failures, totals })
}
