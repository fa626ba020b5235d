import { readdirSync, readFileSync } from 'node:fs'

/** Proportional set size of one process in MB: shared pages are counted once over all that share them. 0 where it has gone. */
function pssMb(pid: number): number {
  try {
    const found = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))
    return found === null ? 0 : Number(found[1]) / 1024
  } catch {
    return 0
  }
}

function childrenOf(): ReadonlyMap<number, readonly number[]> {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const parent = /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]
      if (parent !== undefined) children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(name)])
    } catch {
      // It ended between the list and the look.
    }
  }
  return children
}

/** All memory of a process and its descendants now, in MB. */
function treeMb(root: number): number {
  const children = childrenOf()
  const todo = [root]
  let sum = 0
  for (let pid = todo.pop(); pid !== undefined; pid = todo.pop()) {
    sum += pssMb(pid)
    todo.push(...(children.get(pid) ?? []))
  }
  return sum
}

/** Watches a process and its descendants, ten times a second; `stop` gives the highest sum that was seen, in MB. */
export function watchMemory(root: number): { readonly stop: () => number } {
  let highest = 0
  const look = (): void => {
    highest = Math.max(highest, treeMb(root))
  }
  look()
  const timer = setInterval(look, 100)
  return {
    stop() {
      clearInterval(timer)
      return Math.round(highest)
    },
  }
}
