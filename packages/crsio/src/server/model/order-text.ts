// What crsio says of a change while rssrv makes it. work/orders.ts makes the change.
// Pure. Invariant: the text names the object of the change.

import { volumeText } from '@rsio/common/manage/server-tables';
import type { Order } from './order.ts';

/** For example `Creating volume db@0`. */
export function doingOf(order: Order): string {
  switch (order.kind) {
    case 'create':
      return `Creating volume ${volumeText(order.volume)}`;
    case 'grow':
      return `Growing volume ${volumeText(order.volume)}`;
    case 'rename':
      return `Renaming volume ${volumeText(order.volume)}`;
    case 'set':
      return `Changing volume ${volumeText(order.volume)}`;
    case 'remove':
      return `Removing volume ${volumeText(order.volume)}`;
    case 'restore':
      return `Restoring volume ${volumeText(order.volume)}`;
    case 'add-interface':
      return `Adding interface ${order.name}`;
    case 'remove-interface':
      return `Removing interface ${order.name}`;
    case 'add-pool':
      return `Adding pool ${order.pool.name}`;
    case 'set-pool':
      return `Changing pool ${order.name}`;
    case 'check-pool':
      return `Checking pool ${order.name}`;
    case 'remove-pool':
      return `Removing pool ${order.name}`;
    case 'add-client':
      return `Adding client ${order.name}`;
    case 'set-rights':
      return `Changing the rights of client ${order.name}`;
    case 'rekey':
      return `Changing the key of client ${order.name}`;
    case 'kick':
      return `Ending the session of client ${order.name}`;
    case 'fence':
      return `Fencing client ${order.name}`;
    case 'unfence':
      return `Letting client ${order.name} in`;
    case 'release':
      return `Ending the holds of client ${order.name}`;
    case 'remove-client':
      return `Removing client ${order.name}`;
  }
}
