import { Button, Input, makeStyles, tokens } from '@fluentui/react-components'
import { Checkmark20Regular, Copy20Regular } from '@fluentui/react-icons'
import { useState } from 'react'
import { t } from '../messages/index.ts'

const useStyles = makeStyles({
  row: { display: 'flex', gap: tokens.spacingHorizontalS },
  text: { flexGrow: 1, fontFamily: tokens.fontFamilyMonospace },
})

/** A text to be taken elsewhere, whole. */
export function CopyText({ label, text }: { readonly label: string; readonly text: string }) {
  const styles = useStyles()
  const [isCopied, setCopied] = useState(false)
  return (
    <div className={styles.row}>
      <Input
        readOnly
        aria-label={label}
        className={styles.text}
        value={text}
        onFocus={(event) => event.target.select()}
      />
      <Button
        icon={isCopied ? <Checkmark20Regular /> : <Copy20Regular />}
        onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(true))}
      >
        {t(isCopied ? 'action.copied' : 'action.copy')}
      </Button>
    </div>
  )
}
