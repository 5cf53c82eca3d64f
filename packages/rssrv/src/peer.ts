// Entry point of the process of a peer: a process of rssrv with the connection to one other server (a section [peer] of rssrvcfg). The
// listener starts it, and sends it the connection, calls and pulls (replication/peers/). Invariant: the process exits when the channel to
// the listener closes, and when a message is not one of the listener.

import './limits.ts';

import { nameProcess } from '@rsio/base/daemon/process-facts';
import { systemClock } from '@rsio/base/lib/clock';
import { programVersion } from '@rsio/base/lib/version';
import { tcpConnector } from '@rsio/protocol/link/tcp-transport';
import { punchHole } from './jobs/moves/punch-hole.ts';
import { PeerChild } from './replication/peers/child/peer-child.ts';
import { messageToPeer } from './replication/peers/messages.ts';

const child = new PeerChild({
  clock: systemClock,
  connector: tcpConnector,
  punch: punchHole,
  send: (message) => void process.send?.(message, () => undefined),
  // The last messages must be sent before this process exits.
  leave: () => setImmediate(() => process.exit(0)),
});

// The listener decides when this process exits. A signal to the whole process group must not end it earlier.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.once('disconnect', () => process.exit(1));
process.on('message', (value) => {
  const message = messageToPeer(value);
  if (message.type === 'begin') {
    // A process of the new release may misunderstand the messages of a listener that an upgrade has not yet restarted.
    if (message.version !== programVersion()) {
      process.stderr.write(`rssrv ${message.version} is running, but its files are those of ${programVersion()}: restart rssrv\n`);
      process.exit(1);
    }
    nameProcess(`rssrv: peer ${message.connection.name}`);
  }
  child.receive(message);
});
