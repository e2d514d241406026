#!/usr/bin/env bash
# Back up the database and the signing key, while the service runs. Settings are the service's own (BDNEWS_CONFIG, BDNEWS_…).
#
#   backup.sh [--keep N] [--libpq] FOLDER
#
#   --keep N   keep the newest N backups in FOLDER (14)
#   --libpq    a PostgreSQL database that libpq's own variables name (PGHOST, PGDATABASE, PGPASSWORD …), for places
#              without bdnews, such as a container of PostgreSQL's image
#
# A backup is a folder FOLDER/bdnews-YYYYMMDDTHHMMSSZ (UTC). It has this name only when it is complete and was read back.
# PYTHON names the Python that bdnews_dispatch is installed for.
set -euo pipefail
umask 077

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-python3}"

fail() {
  printf 'backup.sh: %s\n' "$1" >&2
  exit 1
}

keep=14
libpq=
while [[ "${1:-}" == --* ]]; do
  case "$1" in
    --keep)
      keep="${2:-}"
      shift
      ;;
    --libpq) libpq=yes ;;
    *) fail "unknown option $1; usage: backup.sh [--keep N] [--libpq] FOLDER" ;;
  esac
  shift
done
[[ $# -eq 1 ]] || fail 'usage: backup.sh [--keep N] [--libpq] FOLDER'
[[ "$keep" =~ ^[1-9][0-9]*$ ]] || fail "--keep wants a number of at least 1, not '$keep'"
folder="$1"
mkdir -p -- "$folder"

kind=postgresql where='' data_folder=''
if [[ -z "$libpq" ]]; then
  known="$("$python" "$here/database.py" settings)" || fail 'the settings could not be read; the reason is above'
  { read -r kind && read -r where && read -r password && read -r data_folder; } <<<"$known"
  [[ -z "$password" ]] || export PGPASSWORD="$password"
fi

name_of_now() { name="bdnews-$(date -u +%Y%m%dT%H%M%SZ)"; }
name_of_now
while [[ -e "$folder/$name" ]]; do
  sleep 1
  name_of_now
done
# Begun in the same folder: the last step is a rename, which is there whole or not at all.
partial="$(mktemp -d -- "$folder/.partial-XXXXXX")"
trap 'rm -rf -- "$partial"' EXIT

case "$kind" in
  sqlite)
    [[ -f "$where" ]] || fail "there is no database at $where"
    "$python" "$here/database.py" copy "$where" "$partial/bdnews.sqlite3" || fail "$where could not be copied; the reason is above"
    ;;
  postgresql)
    pg_dump --format=custom --no-owner --no-privileges --file="$partial/bdnews.pgdump" ${where:+--dbname="$where"} ||
      fail 'pg_dump failed; the reason is above'
    pg_restore --file=/dev/null "$partial/bdnews.pgdump" || fail 'the dump could not be read back'
    ;;
  *) fail "can't back up a database of the kind '$kind'" ;;
esac
# Without its key, the links in all mails that went out are dead.
if [[ -n "$data_folder" && -f "$data_folder/signing.key" ]]; then
  cp -- "$data_folder/signing.key" "$partial/signing.key"
fi

(
  cd -- "$partial"
  sha256sum -- * >SHA256SUMS
  sync -- * .
)
mv -T -- "$partial" "$folder/$name"
sync -- "$folder"
trap - EXIT
printf '%s\n' "$folder/$name"

# Only now, and only what is complete: a backup that fails never costs an older one.
shopt -s nullglob
backups=()
for sums in "$folder"/bdnews-*Z/SHA256SUMS; do backups+=("${sums%/SHA256SUMS}"); done
for ((n = 0; n < ${#backups[@]} - keep; n++)); do rm -rf -- "${backups[n]}"; done
find "$folder" -maxdepth 1 -name '.partial-*' -mmin +1440 -exec rm -rf -- {} +
