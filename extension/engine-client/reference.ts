/**
 * Splits an image reference the way the pull call wants it: a digest or a tag apart, `latest` where neither stands.
 * A colon before the last slash is a registry's port.
 */
export function splitReference(reference: string): { name: string; tag: string } {
  const at = reference.indexOf('@')
  if (at > 0) return { name: withoutTag(reference.slice(0, at)), tag: reference.slice(at + 1) }
  const name = withoutTag(reference)
  return { name, tag: reference.slice(name.length + 1) || 'latest' }
}

function withoutTag(reference: string): string {
  const colon = reference.lastIndexOf(':')
  return colon > reference.lastIndexOf('/') ? reference.slice(0, colon) : reference
}

const component = /^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*$/
const tagForm = /^[\w][\w.-]{0,127}$/
const digestForm = /^sha256:[0-9a-f]{64}$/
const hostForm = /^(?:localhost|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9-]+(?=:))(?::\d+)?$/

/** One sentence for the input box, or undefined where the reference can be pulled. */
export function referenceProblem(reference: string): string | undefined {
  if (reference.trim() === '') return 'Type the name of an image, for example node:22.'
  if (/\s/.test(reference)) return 'The name of an image has no spaces.'
  if (/[:@]$/.test(reference)) return 'A tag or a digest is missing at the end.'
  const { name, tag } = splitReference(reference)
  const [first = '', ...rest] = name.split('/')
  const parts = rest.length > 0 && hostForm.test(first) ? rest : [first, ...rest]
  if (!parts.every((part) => component.test(part))) return `${JSON.stringify(name)} is not a name of an image.`
  if (reference.includes('@') ? !digestForm.test(tag) : !tagForm.test(tag))
    return `${JSON.stringify(tag)} is not a tag.`
  return undefined
}
