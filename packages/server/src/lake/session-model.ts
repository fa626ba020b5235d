/** `model.json` of the Common Data Model: which files belong to which table, and the names and types of their columns. */
import type { DeliveredFile } from '@patchbay/connector-sdk'
import { fileStems } from '../domain/file-names.ts'
import type { Plan, PlanColumn } from '../domain/plan.ts'
import { CHANGE_COLUMN } from './plan-sql/rows-sql.ts'
import { hasChangeColumn } from './session-check.ts'

const DATA_TYPE: Readonly<Record<PlanColumn['type'], string>> = {
  text: 'string',
  integer: 'int64',
  decimal: 'double',
  boolean: 'boolean',
  // The form has no type for a day alone.
  date: 'dateTime',
  timestamp: 'dateTimeOffset',
}

/** Locations are relative to the model, since nobody but the destination knows where that is. */
export function describeModel(
  plan: Plan,
  files: readonly { readonly source: string; readonly file: DeliveredFile }[],
): unknown {
  const stems = fileStems(plan.sources.map(({ name }) => name))
  const change = hasChangeColumn(plan.mode) ? [{ name: CHANGE_COLUMN, dataType: 'string' }] : []
  return {
    name: 'Patchbay',
    version: '1.0',
    modifiedTime: plan.now,
    entities: plan.sources.map((source) => ({
      $type: 'LocalEntity',
      name: stems.get(source.name) ?? source.name,
      description: source.name,
      attributes: [...change, ...source.columns.map(({ to, type }) => ({ name: to, dataType: DATA_TYPE[type] }))],
      partitions: files
        .filter((file) => file.source === source.name)
        .map(({ file }) => ({
          name: file.name.slice(file.name.lastIndexOf('/') + 1).replace(/\..*$/, ''),
          location: file.name,
          'patchbay:rows': file.rows,
          'patchbay:sha256': file.sha256,
          ...formatSettings(plan),
        })),
    })),
  }
}

/** The Common Data Model knows settings for CSV alone; other formats are told by the file's ending. */
function formatSettings({ format }: Plan): object {
  if (format.type !== 'csv') return {}
  return {
    fileFormatSettings: {
      $type: 'CsvFormatSettings',
      columnHeaders: format.header,
      delimiter: format.delimiter,
      quoteStyle: 'QuoteStyle.Csv',
      csvStyle: 'CsvStyle.QuoteAlways',
      encoding: 'UTF-8',
    },
  }
}
