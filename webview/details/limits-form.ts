import type { LimitField, LimitTexts } from '../messages.ts'
import { element } from './dom.ts'

const fields: readonly { field: LimitField; label: string; hint: string }[] = [
  { field: 'memory', label: 'Memory', hint: 'for example 512m or 2g; empty is no limit' },
  { field: 'cpus', label: 'Processors', hint: 'for example 1.5; empty is all of them' },
  { field: 'pids', label: 'Processes', hint: 'for example 200; empty is no limit' },
]

/** The limits, to be changed in place. What somebody is writing is not overwritten by what the engine says. */
export class LimitsForm {
  readonly root: HTMLFormElement
  readonly #inputs = new Map<LimitField, HTMLInputElement>()
  readonly #message = element('p', { role: 'status', id: 'limits-message', class: 'message' })
  readonly #buttons: HTMLButtonElement[]
  #current: LimitTexts = { memory: '', cpus: '', pids: '' }

  constructor(save: (limits: LimitTexts) => void) {
    this.#buttons = [
      element('button', { type: 'submit', disabled: true }, 'Apply'),
      element('button', { type: 'button', class: 'secondary', disabled: true, click: () => this.#revert() }, 'Revert'),
    ]
    const submit = (event: Event): void => {
      event.preventDefault()
      this.refused(null, '')
      save(this.#written())
    }
    const rows = fields.map(({ field, label, hint }) => this.#row(field, label, hint))
    const buttons = element('div', { class: 'buttons' }, ...this.#buttons)
    this.root = element('form', { submit, input: () => this.#changed() }, ...rows, buttons, this.#message)
  }

  show(limits: LimitTexts): void {
    const dirty = this.#isDirty()
    this.#current = limits
    if (!dirty) this.#revert(false)
    this.#changed()
  }

  saved(warnings: readonly string[]): void {
    this.#current = this.#written()
    this.#changed()
    this.#say(['The limits are in force.', ...warnings].join(' '), false)
  }

  refused(field: LimitField | null, sentence: string): void {
    for (const [name, input] of this.#inputs) input.setAttribute('aria-invalid', String(name === field))
    this.#say(sentence, sentence !== '')
    if (field) this.#inputs.get(field)?.focus()
  }

  #row(field: LimitField, label: string, hint: string): HTMLElement {
    const hintId = `hint-${field}`
    const described = `${hintId} limits-message`
    const input = element('input', {
      id: `limit-${field}`,
      type: 'text',
      autocomplete: 'off',
      spellcheck: 'false',
      'aria-describedby': described,
    })
    this.#inputs.set(field, input)
    const hintText = element('span', { class: 'hint', id: hintId }, hint)
    return element('div', { class: 'field' }, element('label', { for: input.id }, label), input, hintText)
  }

  #written(): LimitTexts {
    const text = (field: LimitField): string => this.#inputs.get(field)?.value.trim() ?? ''
    return { memory: text('memory'), cpus: text('cpus'), pids: text('pids') }
  }

  #isDirty(): boolean {
    const written = this.#written()
    return fields.some(({ field }) => written[field] !== this.#current[field])
  }

  #revert(quietly = true): void {
    for (const [field, input] of this.#inputs) input.value = this.#current[field]
    if (quietly) this.refused(null, '')
    this.#changed()
  }

  #changed(): void {
    for (const button of this.#buttons) button.disabled = !this.#isDirty()
  }

  #say(text: string, wrong: boolean): void {
    this.#message.textContent = text
    this.#message.classList.toggle('wrong', wrong)
  }
}
