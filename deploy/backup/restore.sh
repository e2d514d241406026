#!/usr/bin/env bash
# Put a backup back. Stop the service first. Settings are the service's own (BDNEWS_CONFIG, BDNEWS_…).
#
#   restore.sh [--replace] [--libpq] BACKUP
#
#   --replace  also where the database holds something. An SQLite file is set aside as FILE.before-restore-…, like
#              another signing key; what is in a PostgreSQL database is dropped, in the transaction that restores
#   --libpq    as in backup.sh
#   BACKUP     a folder that backup.sh made
#
# Nothing is changed before the backup has proved whole.
set -euo pipefail
umask 077

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-python3}"

fail() {
  printf 'restore.sh: %s\n' "$1" >&2
  exit 1
}

replace='' libpq=''
while [[ "${1:-}" == --* ]]; do
  case "$1" in
    --replace) replace=yes ;;
    --libpq) libpq=yes ;;
    *) fail "unknown option $1; usage: restore.sh [--replace] [--libpq] BACKUP" ;;
  esac
  shift
done
[[ $# -eq 1 ]] || fail 'usage: restore.sh [--replace] [--libpq] BACKUP'
backup="${1%/}"

[[ -f "$backup/SHA256SUMS" ]] || fail "$backup is not a backup: it has no SHA256SUMS"
(cd -- "$backup" && sha256sum --check --quiet --strict SHA256SUMS) || fail "$backup is damaged; nothing was changed"

kind=postgresql where='' data_folder=''
if [[ -z "$libpq" ]]; then
  known="$("$python" "$here/database.py" settings)" || fail 'the settings could not be read; the reason is above'
  { read -r kind && read -r where && read -r password && read -r data_folder; } <<<"$known"
  [[ -z "$password" ]] || export PGPASSWORD="$password"
fi
aside=".before-restore-$(date -u +%Y%m%dT%H%M%SZ)"

kept_key="$backup/signing.key" key="$data_folder/signing.key"
restore_key=
if [[ -n "$data_folder" && -f "$kept_key" ]] && ! cmp --silent -- "$kept_key" "$key"; then
  [[ ! -e "$key" || -n "$replace" ]] || fail "$key is another one than the backup's; --replace sets it aside"
  restore_key=yes
fi

# What root restores belongs to whoever owns the folder: the service.
like_its_folder() {
  [[ "$(id -u)" != 0 ]] || chown --reference="$(dirname -- "$1")" -- "$1"
}

restore_sqlite() {
  local new
  [[ -f "$backup/bdnews.sqlite3" ]] || fail "$backup holds no SQLite database, but the settings name one"
  "$python" "$here/database.py" check "$backup/bdnews.sqlite3" || fail "$backup is damaged; nothing was changed"
  if ! "$python" "$here/database.py" is_empty "$where" && [[ -z "$replace" ]]; then
    fail "$where holds something; --replace sets it aside. Nothing was changed"
  fi
  mkdir -p -- "$(dirname -- "$where")"
  new="$(mktemp -- "$where.restoring-XXXXXX")"
  # shellcheck disable=SC2064  # the name as it is now
  trap "rm -f -- $(printf '%q' "$new")" EXIT
  cp -- "$backup/bdnews.sqlite3" "$new"
  like_its_folder "$new"
  sync -- "$new"
  "$python" "$here/database.py" set_aside "$where" "$aside" || fail 'nothing was changed'
  mv -T -- "$new" "$where"
  sync -- "$(dirname -- "$where")"
}

ask() {
  psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 ${where:+--dbname="$where"} "$@"
}

# COMMIT is said only when pg_restore came to its end: psql would commit half of a dump that broke off.
restoring_statements() {
  printf 'BEGIN;\n'
  if [[ -n "$replace" ]]; then
    printf 'DROP SCHEMA public CASCADE;\nCREATE SCHEMA public AUTHORIZATION pg_database_owner;\n'
    printf 'GRANT USAGE ON SCHEMA public TO PUBLIC;\n'
  fi
  pg_restore --no-owner --no-privileges --file=- "$backup/bdnews.pgdump" || return
  printf 'COMMIT;\n'
}

restore_postgresql() {
  local tables others
  [[ -f "$backup/bdnews.pgdump" ]] || fail "$backup holds no PostgreSQL dump, but the settings name such a database"
  pg_restore --file=/dev/null "$backup/bdnews.pgdump" || fail "$backup is damaged; nothing was changed"
  tables="$(ask --command="SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")" || fail 'the database does not answer'
  if [[ "$tables" != 0 ]]; then
    [[ -n "$replace" ]] || fail 'the database holds something; --replace drops it. Nothing was changed'
    others="$(ask --command='SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()')"
    [[ "$others" == 0 ]] || fail "$others other connections to the database: stop the service first. Nothing was changed"
  fi
  restoring_statements | ask --output=/dev/null || fail 'the restore failed and was rolled back; the reason is above'
}

case "$kind" in
  sqlite) restore_sqlite ;;
  postgresql) restore_postgresql ;;
  *) fail "can't restore a database of the kind '$kind'" ;;
esac
if [[ -n "$restore_key" ]]; then
  mkdir -p -- "$data_folder"
  [[ ! -e "$key" ]] || mv -T -- "$key" "$key$aside"
  cp -- "$kept_key" "$key"
  like_its_folder "$key"
fi
printf 'restored from %s\n' "$backup"
