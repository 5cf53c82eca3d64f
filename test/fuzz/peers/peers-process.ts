// The hostile peers in a process of their own, at the lowest priority: they stand for other machines, which do not use this one's cores.
// Told by its first message whom to turn to and how often; ends when told, or when its parent is gone. Leaves measuring to peers-report.ts.

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
