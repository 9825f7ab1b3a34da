/** For node --test: the totals and the reasons of skipped tests as one JSON document, for test.mjs to tell. */
export default async function* reporter(events) {
  const skips = {}
  let totals = {}
  for await (const { type, data } of events) {
    if (type === 'test:pass' && data.skip !== undefined) {
      const reason = data.skip === true || data.skip === '' ? 'no reason given' : data.skip
      skips[reason] = (skips[reason] ?? 0) + 1
    }
    if (type === 'test:summary' && data.file === undefined) totals = { ...data.counts, success: data.success }
  }
  yield JSON.stringify({ skips, totals })
}
