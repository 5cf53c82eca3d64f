// The volumes that this process has attached, their owners, and the volumes that it must not attach by itself. attachments.ts changes the
// list, and attached-record.ts records it for the next process.

import type { Volume } from '../volumes/volume.ts';
import { Owners } from './owners.ts';

export class AttachedVolumes<V = Volume> {
  /**
   * Attached volumes, in the order in which they were requested. Each new volume must be inserted in this order, because concurrent OPENs
   * may complete in any order.
   */
  readonly list: V[] = [];
  readonly owners = new Owners();
  /**
   * Labels and ids of the volumes that the administrator has detached or another client has taken, and that have not been attached since.
   * The configuration key `attach` does not apply to them.
   */
  readonly detached = new Set<string>();
}
