import { config } from 'zod'
import { createRoot } from 'react-dom/client'
import { App } from './app/app.tsx'
import { chooseLanguage } from './messages/index.ts'

// zod would try to compile its checks with new Function, which the policy of the pages forbids and reports.
config({ jitless: true })

await chooseLanguage()
const place = document.getElementById('app')
if (place === null) throw new Error('The page has no place for the application')
createRoot(place).render(<App />)
