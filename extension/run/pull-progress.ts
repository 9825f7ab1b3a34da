import type { ProgressLine } from '../../engine/api/contract/docker.ts'
import { formatBytes } from '../engine-client/format.ts'

type Layer = { current: number; total: number; done: boolean }

const finished = new Set(['Pull complete', 'Already exists'])

/** Sums the layers of a pull up to one number. Downloading counts for all but the last tenth; unpacking for that. */
export class PullProgress {
  readonly #layers = new Map<string, Layer>()
  #shown = 0

  /** What to say and how much the bar grows by, in percent; it never goes back. */
  push(line: ProgressLine): { message: string; increment: number } {
    if (line.id && isLayer(line)) this.#note(line.id, line)
    const layers = [...this.#layers.values()]
    const total = layers.reduce((sum, layer) => sum + layer.total, 0)
    const current = layers.reduce((sum, layer) => sum + Math.min(layer.current, layer.total), 0)
    const done = layers.filter((layer) => layer.done).length
    const share = layers.length === 0 ? 0 : (total > 0 ? current / total : 0) * 90 + (done / layers.length) * 10
    const percent = Math.max(this.#shown, Math.min(100, share))
    const increment = percent - this.#shown
    this.#shown = percent
    const bytes = total > 0 ? `, ${formatBytes(current)} of ${formatBytes(total)}` : ''
    return {
      message: layers.length > 0 ? `${done} of ${layers.length} layers${bytes}` : (line.status ?? ''),
      increment,
    }
  }

  #note(id: string, line: ProgressLine): void {
    const layer = this.#layers.get(id) ?? { current: 0, total: 0, done: false }
    const detail = line.progressDetail
    if (line.status === 'Downloading' && detail?.total) {
      layer.total = detail.total
      layer.current = detail.current ?? layer.current
    }
    if (line.status === 'Download complete' || finished.has(line.status ?? '')) layer.current = layer.total
    if (finished.has(line.status ?? '')) layer.done = true
    this.#layers.set(id, layer)
  }
}

/** Layer lines carry 12 hexadecimal digits; the head line carries the tag. */
const isLayer = (line: ProgressLine): boolean => /^[0-9a-f]{12}$/.test(line.id ?? '')
