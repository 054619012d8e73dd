#!/bin/sh
# Whether the server's registry has a processor that runs here: what a container's health check asks.
set -eu

state=$(icegridadmin "--Ice.Config=$OMERODIR/etc/internal.cfg" -e "server state Processor-0")
case $state in
  active*) exit 0 ;;
  *) echo "Processor-0 is: $state" >&2; exit 1 ;;
esac
