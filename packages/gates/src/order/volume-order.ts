// The order of the changes of one volume that is here: of its blocks, and of what hosts have ordered about it (reservations, modes), which all
// gates of the process share. Invariant: it is made when this client has got the volume, and closed when the volume is lost. Rules: D1, D3.

import { BlockOrder } from './block-order.ts';
import type { GateOrder } from './gate-order.ts';

export class VolumeOrder {
  readonly blocks: BlockOrder;
  /** Orders overlap each other; they are changes of one byte. */
  readonly orders: BlockOrder;

  constructor(order: GateOrder, sizeBytes: number) {
    this.blocks = new BlockOrder(order, sizeBytes);
    this.orders = new BlockOrder(order, 1);
  }

  close(): void {
    this.blocks.close();
    this.orders.close();
  }
}
