/** The person or the program on the other side: answers on stdout, everything else on stderr. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { Problem } from '../domain/problem.ts'

export interface Terminal {
  /** One JSON value on stdout, and nothing else there. */
  readonly isJson: boolean
  /** A person sits there, who can be asked and likes to see progress. */
  readonly isInteractive: boolean
  readonly stderr: NodeJS.WriteStream
  /** The answer: `value` for programs, `text` for people. */
  answer(value: unknown, text: () => string): void
  /** Beside the answer: what is going on. */
  note(text: string): void
  ask(question: string): Promise<string>
  /** What is typed is not shown. */
  askSecret(question: string): Promise<string>
  readStdin(): Promise<string>
}

export function openTerminal(isJson: boolean): Terminal {
  const { stdin, stdout, stderr } = process
  const isInteractive = stdin.isTTY && stderr.isTTY
  const ask = async (question: string, isHidden: boolean): Promise<string> => {
    if (!isInteractive)
      throw new Problem('invalid', `There is nobody to ask: ${question}`, {
        cure: 'Give it by an option; secrets by --secret-file or the environment (PATCHBAY_SECRET_…)',
      })
    // What is typed is echoed by the reader's output, so for a secret that leads nowhere.
    const output = isHidden ? new Writable({ write: (_chunk, _encoding, done) => done() }) : stderr
    const reader = createInterface({ input: stdin, output, terminal: true })
    // Readline takes ^C for itself; here it means what it means everywhere.
    reader.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
    try {
      if (isHidden) stderr.write(question)
      return await reader.question(isHidden ? '' : question)
    } finally {
      reader.close()
      if (isHidden) stderr.write('\n')
    }
  }
  return {
    isJson,
    isInteractive,
    stderr,
    answer(value, text) {
      stdout.write(isJson ? `${JSON.stringify(value, null, 2)}\n` : `${text()}\n`)
    },
    note(text) {
      stderr.write(`${text}\n`)
    },
    ask: (question) => ask(question, false),
    askSecret: (question) => ask(question, true),
    async readStdin() {
      const pieces: Buffer[] = []
      for await (const piece of stdin) pieces.push(piece as Buffer)
      return Buffer.concat(pieces).toString('utf8')
    },
  }
}
