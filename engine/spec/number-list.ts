/** Lists of processors and memory nodes as the kernel writes them: `0-3,7`; cpuset(7) "List format". Pure. */

/** Throws for what is no list. Blanks may stand around the commas; an empty list has no members. */
export function parseNumberList(text: string): number[] {
  const members = new Set<number>()
  for (const part of text.split(',').map((one) => one.trim())) {
    if (part === '' && text.trim() === '') continue
    const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part) ?? []
    if (first === undefined || Number(last) < Number(first))
      throw new Error(`${JSON.stringify(text)} is not a list of numbers`)
    for (let member = Number(first); member <= Number(last); member += 1) members.add(member)
  }
  return [...members].toSorted((one, other) => one - other)
}
