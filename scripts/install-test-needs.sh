#!/usr/bin/env bash
# Installs the real servers that tests start for themselves: OpenSSH, PostgreSQL, MariaDB, the sandbox of the data engine, and
# a browser.
# Meant for CI and for machines of developers; Debian also starts an sshd and a PostgreSQL where it runs services.
set -euo pipefail

missing=()
has() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1; }
has sshd || missing+=(openssh-server)
has sftp || missing+=(openssh-client)
has postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
has mariadbd || missing+=(mariadb-server)
has bwrap || missing+=(bubblewrap)
has chromium || missing+=(chromium)

if [ ${#missing[@]} -eq 0 ]; then
  echo 'The servers for the tests are all here.'
  exit 0
fi

if ! has apt-get; then
  echo "Missing: ${missing[*]} (Debian's names). This machine has no apt-get: install them by its own means;" >&2
  echo 'without them, npm test skips the tests that need them, each by name.' >&2
  exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! has sudo; then
    echo "Missing: ${missing[*]}. Run this as root, or install sudo." >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "Installing ${missing[*]}"
install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}")
"${as_root[@]}" apt-get update -q
"${as_root[@]}" "${install[@]}"
