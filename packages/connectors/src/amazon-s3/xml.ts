import { Unavailable } from '@patchbay/connector-sdk'
import { XMLParser } from 'fast-xml-parser'

/** Everything stays text, also where it looks like a number or has spaces at its ends; `isArray` are those that repeat. */
const parser = new XMLParser({
  parseTagValue: false,
  trimValues: false,
  ignoreAttributes: true,
  isArray: (name) => name === 'Contents' || name === 'CommonPrefixes',
})

/** The one element with which the answer begins, by its name; undefined where it is no XML. */
export function readXml(text: string): { readonly name: string; readonly value: Node } | undefined {
  if (!text.trimStart().startsWith('<')) return undefined
  try {
    const found = Object.entries(parser.parse(text) as Node).find(([name]) => !name.startsWith('?'))
    return found === undefined ? undefined : { name: found[0], value: asNode(found[1]) }
  } catch {
    return undefined
  }
}

/** An answer of an unknown shape is never taken for a success. */
export function expectXml(text: string, name: string): Node {
  const root = readXml(text)
  if (root?.name !== name) throw new Unavailable('maybe', `The service answered something else than ${name}`)
  return root.value
}

export type Node = Readonly<Record<string, unknown>>

export function textOf(node: Node, name: string): string {
  const value = node[name]
  return typeof value === 'string' ? value : ''
}

export function nodesOf(node: Node, name: string): readonly Node[] {
  const value = node[name]
  return Array.isArray(value) ? value.map(asNode) : []
}

function asNode(value: unknown): Node {
  return typeof value === 'object' && value !== null ? (value as Node) : {}
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
