import {
  Button,
  makeStyles,
  Menu,
  MenuDivider,
  MenuGroup,
  MenuGroupHeader,
  MenuItem,
  MenuItemRadio,
  MenuList,
  MenuPopover,
  MenuTrigger,
  tokens,
} from '@fluentui/react-components'
import { Navigation20Regular, Person20Regular, SignOut20Regular } from '@fluentui/react-icons'
import { Link } from '@tanstack/react-router'
import { changeLanguage, currentLanguage, LANGUAGES, t } from '../messages/index.ts'
import { client } from '../api/client.ts'
import { useMe } from './session.ts'
import { THEMES, useTheme } from './theme.tsx'

const useStyles = makeStyles({
  header: {
    display: 'flex',
    alignItems: 'center',
    gap: tokens.spacingHorizontalS,
    height: '48px',
    flexShrink: 0,
    paddingInline: tokens.spacingHorizontalM,
    backgroundColor: tokens.colorNeutralBackground1,
    borderBottom: `1px solid ${tokens.colorNeutralStroke2}`,
  },
  brand: {
    display: 'flex',
    alignItems: 'center',
    gap: tokens.spacingHorizontalS,
    fontWeight: tokens.fontWeightSemibold,
    fontSize: tokens.fontSizeBase400,
    color: tokens.colorNeutralForeground1,
    textDecorationLine: 'none',
    borderRadius: tokens.borderRadiusMedium,
    ':focus-visible': { outline: `2px solid ${tokens.colorStrokeFocus2}` },
  },
  end: { marginInlineStart: 'auto', display: 'flex', alignItems: 'center', gap: tokens.spacingHorizontalXS },
})

export function Header({ onMenu }: { readonly onMenu: (() => void) | undefined }) {
  const styles = useStyles()
  return (
    <header className={styles.header}>
      {onMenu === undefined ? null : (
        <Button appearance="subtle" icon={<Navigation20Regular />} aria-label={t('nav.open')} onClick={onMenu} />
      )}
      <Link to="/" className={styles.brand}>
        <img src="/icon.svg" alt="" width={24} height={24} />
        Patchbay
      </Link>
      <div className={styles.end}>
        <AccountMenu />
      </div>
    </header>
  )
}

function AccountMenu() {
  const { name, role } = useMe()
  const { choice, choose } = useTheme()
  return (
    <Menu
      checkedValues={{ theme: [choice], language: [currentLanguage()] }}
      onCheckedValueChange={(_, { name, checkedItems: [value] }) => {
        if (name === 'theme') choose(THEMES.find((known) => known === value) ?? 'system')
        const language = LANGUAGES.find((known) => known === value)
        if (name === 'language' && language !== undefined) changeLanguage(language)
      }}
    >
      <MenuTrigger disableButtonEnhancement>
        <Button appearance="subtle" icon={<Person20Regular />} aria-label={t('account.menu')} />
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          <MenuGroup>
            <MenuGroupHeader>{t('account.signed-in', { name, role: t(`role.${role}`) })}</MenuGroupHeader>
            <MenuItem icon={<SignOut20Regular />} onClick={() => void signOut()}>
              {t('account.sign-out')}
            </MenuItem>
          </MenuGroup>
          <MenuDivider />
          <MenuGroup>
            <MenuGroupHeader>{t('account.theme')}</MenuGroupHeader>
            {THEMES.map((theme) => (
              <MenuItemRadio key={theme} name="theme" value={theme}>
                {t(`account.theme.${theme}`)}
              </MenuItemRadio>
            ))}
          </MenuGroup>
          <MenuDivider />
          <MenuGroup>
            <MenuGroupHeader>{t('account.language')}</MenuGroupHeader>
            {LANGUAGES.map((language) => (
              <MenuItemRadio key={language} name="language" value={language}>
                {NAME_OF[language]}
              </MenuItemRadio>
            ))}
          </MenuGroup>
        </MenuList>
      </MenuPopover>
    </Menu>
  )
}

/** In the language itself, so that it is found by whoever reads no other. */
const NAME_OF = { en: 'English', de: 'Deutsch' } as const

/** Loaded anew afterwards, so that nothing of this person's stays in the page. */
async function signOut(): Promise<void> {
  await client.session.close().catch(() => undefined)
  location.assign('/sign-in')
}
