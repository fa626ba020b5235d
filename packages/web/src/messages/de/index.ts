import { admin } from './admin.ts'
import { app } from './app.ts'
import { connections } from './connections.ts'
import { data } from './data.ts'
import { home } from './home.ts'
import { signIn } from './sign-in.ts'
import { ui } from './ui.ts'

export const de = { ...app, ...ui, ...signIn, ...home, ...admin, ...connections, ...data }
