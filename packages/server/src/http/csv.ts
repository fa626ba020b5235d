/** CSV for people: a spreadsheet runs no cell of it, whatever a service or a customer wrote into it (OWASP, "CSV injection"). */
export function csvLine(cells: readonly (string | null)[]): string {
  return `${cells.map((cell) => (cell === null ? '' : quoted(neutral(cell)))).join(',')}\r\n`
}

function neutral(text: string): string {
  return /^[=+\-@\t\r\n|%]/.test(text) ? `'${text}` : text
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
