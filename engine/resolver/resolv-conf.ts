/** The resolver's configuration file, read; resolv.conf(5). Pure. */

export type ResolvConf = { servers: string[]; search: string[]; options: string[] }

/** The last `search` or `domain` counts. */
export function parseResolvConf(text: string): ResolvConf {
  const found: ResolvConf = { servers: [], search: [], options: [] }
  for (const raw of text.split('\n')) {
    const [keyword, ...values] = raw
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/)
    if (keyword === 'nameserver' && values[0] !== undefined) found.servers.push(values[0])
    else if (keyword === 'search' || keyword === 'domain') found.search = values
    else if (keyword === 'options') found.options.push(...values)
  }
  return found
}

/** The value of `name:N` among options; the last one counts. */
export function numericOption(options: readonly string[], name: string): number | undefined {
  const text = options.findLast((option) => option.startsWith(`${name}:`))?.slice(name.length + 1)
  return text !== undefined && /^\d{1,4}$/.test(text) ? Number(text) : undefined
}
