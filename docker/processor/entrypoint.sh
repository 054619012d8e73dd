#!/bin/bash
# Join an OMERO server as the node that runs its scripts.
#
# OMERO_MASTER_HOST  name of the server's machine in the containers' network
# OMERO_NODE_NAME    this node's name in the server's omero.server.nodedescriptors
# OMERO_NODE_ADDRESS this machine's address as the server sees it; found by the machine's name by default
# OMERO_NODE_WAIT    seconds to wait for the server's registry
# OMERO_REGISTRY     its port
set -euo pipefail

master=${OMERO_MASTER_HOST:-server}
node=${OMERO_NODE_NAME:-processor}
patience=${OMERO_NODE_WAIT:-300}
port=${OMERO_REGISTRY:-4061}

# A fresh copy at every start: what an earlier one was told is gone with its tmpfs, or overwritten.
if [ -d "$OMERODIR/etc.dist" ]; then
  cp -R "$OMERODIR/etc.dist/." "$OMERODIR/etc/"
fi
# Where this is there, `omero node start` asks whether the grid is up, and writes no configuration if it is.
rm -f "$OMERODIR/etc/internal.cfg"

# `omero node start` writes etc/ice.config and etc/internal.cfg of these templates. Scripts reach the server by
# what the first one says, encrypted; the server's registry knows this node by its own address.
cat >"$OMERODIR/etc/templates/ice.config" <<END
omero.host=@omero.master.host@
omero.port=@omero.ports.prefix@@omero.ports.ssl@
END
# Templates of some releases look for the registry on this machine.
sed -i 's/-h 127\.0\.0\.1/-h @omero.master.host@/' "$OMERODIR/etc/templates/internal.cfg"
own_address=${OMERO_NODE_ADDRESS:-$(getent ahostsv4 "$HOSTNAME" | head --lines=1 | cut --delimiter=' ' --fields=1)}
cat >"$OMERODIR/etc/$node.cfg" <<END
IceGrid.Node.Name=$node
IceGrid.Node.Endpoints=tcp -h $own_address
IceGrid.Node.Data=var/$node
IceGrid.Node.Output=var/log
Ice.StdOut=var/log/$node.out
Ice.StdErr=var/log/$node.err
END
printf 'omero.master.host=%s\nomero.ports.registry=%s\n' "$master" "$port" | omero config load -

for ((second = 0; second < patience; second++)); do
  if (exec 3<>"/dev/tcp/$master/$port") 2>/dev/null; then
    echo "Node $node ($own_address) joins the server $master."
    exec omero node "$node" start --foreground
  fi
  sleep 1
done
echo "No registry of an OMERO server answers at $master:$port for $patience s. Is the server up, is omero.master.host of the" \
     "server its name in this network ($master), and does its omero.server.nodedescriptors name $node?" >&2
exit 1
