// Runs the hostile peers in a separate process at the lowest priority. The peers stand for other machines, which would not use the cores of
// this machine. The first message names the address to attack and the rate. The process ends on request, or with its parent.
// peers-report.ts makes the measurements.

import os from 'node:os';
import { HostilePeers, type HostileTarget } from './hostile-peers.ts';

export interface PeersOrder {
  readonly target: HostileTarget;
  readonly perSecond: number;
}

os.setPriority(os.constants.priority.PRIORITY_LOW);
process.once('disconnect', () => process.exit(1));
process.once('message', (order: PeersOrder) => {
  const peers = new HostilePeers(order.target);
  process.once('message', () => {
    void peers.stop().then((counts) => process.send?.(counts, () => process.exit(0)));
  });
  void peers.start(order.perSecond).then(() => process.send?.('started'));
});
