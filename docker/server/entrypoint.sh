#!/bin/bash
# Start OMERO.server's image with passwords from files.
#
# The image takes them from its environment alone: CONFIG_omero_db_pass and ROOTPASS. Here they are in the environment
# of its first steps (configuration, data base), and no more in that of the server. This does what the image's own
# entry point does, which is: run what is in /startup, in order.
set -euo pipefail

password() {
  local file=/run/secrets/$1
  [ -r "$file" ] || { echo "The secret $file cannot be read. Make it with docker/make-secrets.sh." >&2; exit 1; }
  head --lines=1 "$file"
}

# shellcheck source=/dev/null
source /opt/omero/server/venv3/bin/activate

CONFIG_omero_db_pass=$(password database_password)
ROOTPASS=$(password omero_root_password)
export CONFIG_omero_db_pass ROOTPASS

for step in "${STARTUP:-/startup}"/*; do
  [ -f "$step" ] && [ -x "$step" ] || continue
  echo "Running $step"
  case $step in
    */99-*) unset CONFIG_omero_db_pass ROOTPASS; exec "$step" "$@" ;;
    *) "$step" "$@" ;;
  esac
done
