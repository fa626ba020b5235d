/** The API for people: one page without a script, made from the same description as everything else. */
type Json = { readonly [name: string]: unknown }

export function makeDocsPage(openApi: object): string {
  const { info, paths, components } = openApi as {
    readonly info: { readonly title: string; readonly version: string; readonly description: string }
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
    readonly components: { readonly schemas: Readonly<Record<string, Json>> }
  }
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  const groups = [...Map.groupBy(operations, ({ operation }) => operation.tags[0] ?? '')]
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${text(info.title)} API</title>
<style>${STYLE}</style>
<a class="skip" href="#main">To the endpoints</a>
<header><h1>${text(info.title)} API <small>${text(info.version)}</small></h1></header>
<div class="page">
<nav aria-label="Resources"><ul>
${groups.map(([name]) => `<li><a href="#${text(name)}">${text(name)}</a></li>`).join('\n')}
<li><a href="#schemas">Shapes</a></li></ul></nav>
<main id="main">
<p>${text(info.description)} For programs: <a href="/api/openapi.json">openapi.json</a>.</p>
<h2>Manners</h2>
<ul>
<li>Every request carries a key: <code>Authorization: Bearer pbk_…</code>. Default is deny; each endpoint says which permission it needs.</li>
<li>Errors are <code>application/problem+json</code> with a stable <code>code</code>, the <code>path</code> of the field, and a <code>cure</code>. Every answer has an <code>X-Request-Id</code>, which the server's log has too.</li>
<li>Lists are paged: give back <code>next</code> as <code>cursor</code>. <code>sort=-name</code> is the other way round.</li>
<li>What is edited has an <code>ETag</code>: send it as <code>If-Match</code>. A stale edit is a 409 with <code>versions</code>, both of them.</li>
<li>What starts or makes things takes an <code>Idempotency-Key</code>: the same again within a day does nothing a second time.</li>
<li><code>RateLimit-Limit</code>, <code>-Remaining</code> and <code>-Reset</code> say how many requests are left; a 429 says when in <code>Retry-After</code>.</li>
<li>Events are server-sent; reconnect with <code>Last-Event-ID</code>.</li>
</ul>
${groups.map(([name, of]) => `<section><h2 id="${text(name)}">${text(name)}</h2>\n${of.map(operationHtml).join('\n')}</section>`).join('\n')}
<section><h2 id="schemas">Shapes</h2>
${Object.entries(components.schemas)
  .toSorted(([a], [b]) => (a < b ? -1 : 1))
  .map(
    ([name, schema]) =>
      `<details id="schema-${text(name)}"><summary><code>${text(name)}</code></summary>${schemaHtml(schema)}</details>`,
  )
  .join('\n')}
</section>
</main></div>
</html>
`
}

interface Operation {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly description: string
  readonly parameters: readonly {
    readonly name: string
    readonly in: string
    readonly required: boolean
    readonly description?: string
    readonly schema: Json
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema?: Json }>> }
  readonly responses: Readonly<
    Record<
      string,
      { readonly description: string; readonly content?: Readonly<Record<string, { readonly schema?: Json }>> }
    >
  >
}

function operationHtml({
  path,
  method,
  operation,
}: {
  readonly path: string
  readonly method: string
  readonly operation: Operation
}): string {
  const { parameters, requestBody, responses } = operation
  return `<details id="${text(operation.operationId)}"><summary><b class="${method}">${method.toUpperCase()}</b> <code>${text(path)}</code> <span>${text(operation.summary)}</span></summary>
<p>${text(operation.description)}</p>
${
  parameters.length === 0
    ? ''
    : `<table><tr><th scope="col">Parameter</th><th scope="col">In</th><th scope="col">What</th></tr>${parameters
        .map(
          (parameter) =>
            `<tr><td><code>${text(parameter.name)}</code>${parameter.required ? ' (required)' : ''}</td><td>${text(parameter.in)}</td><td>${text(parameter.description ?? (parameter.schema['description'] as string | undefined) ?? '')}${schemaHtml(parameter.schema)}</td></tr>`,
        )
        .join('')}</table>`
}
${requestBody === undefined ? '' : `<h3>Body</h3>${contentHtml(requestBody.content)}`}
<h3>Answers</h3>
<dl>${Object.entries(responses)
    .map(
      ([status, { description, content }]) =>
        `<dt>${text(status)} ${text(description)}</dt><dd>${content === undefined ? '' : contentHtml(content)}</dd>`,
    )
    .join('')}</dl></details>`
}

function contentHtml(content: Readonly<Record<string, { readonly schema?: Json }>>): string {
  return Object.entries(content)
    .map(([type, { schema }]) => `<p><code>${text(type)}</code></p>${schema === undefined ? '' : schemaHtml(schema)}`)
    .join('')
}

/** A named shape is linked, everything else written out. */
function schemaHtml(schema: Json): string {
  const { $ref: reference } = schema
  if (typeof reference === 'string') {
    const name = reference.slice(reference.lastIndexOf('/') + 1)
    return `<p><a href="#schema-${text(name)}">${text(name)}</a></p>`
  }
  return `<pre tabindex="0">${text(JSON.stringify(schema, null, 2))}</pre>`
}

const ESCAPED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function text(value: string): string {
  return value.replaceAll(/[&<>"']/g, (character) => ESCAPED[character] ?? '')
}

const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d6d6d6, #555); --soft: light-dark(#f5f5f5, #2b2b2b) }
body { font: 1rem/1.5 'Segoe UI', system-ui, sans-serif; margin: 0; color: light-dark(#242424, #f5f5f5); background: light-dark(#fff, #1f1f1f) }
header { padding: .75rem 1.5rem; border-bottom: 1px solid var(--line) } h1 { font-size: 1.25rem; margin: 0 } small { font-weight: 400 }
.page { display: grid; grid-template-columns: 12rem minmax(0, 1fr); max-width: 80rem } @media (max-width: 48rem) { .page { display: block } }
nav { padding: 1rem 1.5rem } nav ul { list-style: none; padding: 0; position: sticky; top: 1rem } main { padding: 0 1.5rem 4rem }
a { color: light-dark(#0f6cbd, #62abf5) } details { border: 1px solid var(--line); border-radius: 4px; margin: .5rem 0; padding: 0 .75rem }
summary { padding: .5rem 0; cursor: pointer } summary b { display: inline-block; min-width: 4rem } pre, code { font-family: Consolas, monospace; font-size: .875rem }
pre { background: var(--soft); padding: .75rem; overflow: auto; max-height: 24rem; border-radius: 4px } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .5rem; border-bottom: 1px solid var(--line) } dt { font-weight: 600; margin-top: .5rem } dd { margin: 0 }
.skip { position: absolute; left: -99rem } .skip:focus { left: 1rem; top: 1rem }`
