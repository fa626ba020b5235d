/**
 * How often somebody may try to sign in. By address of the network, and by account from one address; an account as a whole
 * has a wide limit, which does not hold for addresses from which it was signed in before: so nobody can shut its owner out.
 */
export interface SignInLimit {
  /** Seconds to wait, or 0. Counts as a try. */
  take(address: string, account: string): number
  succeeded(address: string, account: string): void
}

interface Window {
  readonly tries: number
  readonly seconds: number
}

const BY_ADDRESS: Window = { tries: 60, seconds: 60 }
const BY_ACCOUNT_AND_ADDRESS: Window = { tries: 10, seconds: 300 }
const BY_ACCOUNT: Window = { tries: 100, seconds: 900 }
const KEPT_MAX = 50_000

export function makeSignInLimit(now: () => number): SignInLimit {
  const counted = new Map<string, { count: number; endsAt: number }>()
  const known = new Map<string, true>()
  const count = (key: string, { tries, seconds }: Window): number => {
    const at = now()
    const found = counted.get(key)
    const entry = found === undefined || found.endsAt <= at ? { count: 0, endsAt: at + seconds * 1000 } : found
    counted.delete(key)
    counted.set(key, entry)
    forgetOldest(counted)
    entry.count += 1
    return entry.count > tries ? Math.ceil((entry.endsAt - at) / 1000) : 0
  }
  return {
    take(address, account) {
      const waits = [
        count(`address ${address}`, BY_ADDRESS),
        count(`both ${address} ${account}`, BY_ACCOUNT_AND_ADDRESS),
      ]
      if (!known.has(`${address} ${account}`)) waits.push(count(`account ${account}`, BY_ACCOUNT))
      return Math.max(...waits)
    },
    succeeded(address, account) {
      counted.delete(`both ${address} ${account}`)
      known.delete(`${address} ${account}`)
      known.set(`${address} ${account}`, true)
      forgetOldest(known)
    },
  }
}

function forgetOldest(map: Map<string, unknown>): void {
  const [oldest] = map.keys()
  if (map.size > KEPT_MAX && oldest !== undefined) map.delete(oldest)
}
