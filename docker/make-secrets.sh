#!/bin/sh
# Write the passwords of the compose file, random, once: what is there stays.
#
#   sh make-secrets.sh [FOLDER]      (docker/secrets by default)
#
# The folder is its owner's alone (0700). The files in it are 0444, not 0600: compose shows a file to a container with
# the mode that it has here, and there the users have other numbers (omero-server, omero-hcs).
set -eu

folder=${1:-$(dirname "$0")/secrets}
umask 077
mkdir -p "$folder"
chmod 700 "$folder"
for name in database_password omero_root_password; do
  if [ -s "$folder/$name" ]; then
    echo "$folder/$name is there already, and stays."
    continue
  fi
  # 32 random bytes as letters and digits: nothing that a shell or a URL would read otherwise.
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$folder/$name"
  chmod 444 "$folder/$name"
  echo "$folder/$name was made."
done
