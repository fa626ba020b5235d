import type { Fields } from './fields.ts'

/** A new dated folder for each run, as data platforms read them. */
const DATED = '{table}/{yyyy}/{MM}/{dd}/{HHmm}/{table}_{part}'

/** Fields of a files destination by which an export says how its files are called; `layoutOf` makes its `layout` of them. */
export const layoutFields = {
  layout: {
    kind: 'choice',
    label: 'Files',
    choices: [
      { value: 'plain', label: 'In a folder for each table' },
      {
        value: 'dated',
        label: 'In a folder for each table and run',
        help: 'table/2026/01/31/0600/table_001.csv, by the moment of the run in UTC; model.json stands beside the tables and names what is current',
      },
      { value: 'own', label: 'As a template of my own says' },
    ],
    default: 'plain',
  },
  template: {
    kind: 'text',
    label: 'Template of file names',
    help: 'Below the folder, without the ending. Places: {table}, {part}, {yyyy}, {MM}, {dd}, {HH}, {mm}, {HHmm}; {table} and {part} must be in it',
    example: DATED,
    maxLength: 300,
    showWhen: { field: 'layout', is: 'own' },
  },
} as const satisfies Fields

export function layoutOf(chosen: {
  readonly layout: 'plain' | 'dated' | 'own'
  readonly template?: string
}): string | undefined {
  if (chosen.layout === 'own') return chosen.template ?? ''
  return chosen.layout === 'dated' ? DATED : undefined
}
