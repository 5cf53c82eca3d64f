// The changes of a server (orders) as data. work/orders.ts makes them. Invariant: an order refers to objects by their names, never by a position
// on the screen.

import type { ServerMethods } from '@rsio/common/control/server/server-methods';
import type { RekeyStep } from '@rsio/common/manage/client-rekey';
import type { NewPool } from '@rsio/common/manage/pool-addition';
import type { VolumeName } from '@rsio/common/manage/volumes/values';

export type Order =
  | {
      readonly kind: 'create';
      readonly volume: Omit<ServerMethods['volume-create']['params'], 'request'>;
      /** Clients to add to [clients] afterwards. */
      readonly newClients: readonly string[];
    }
  | { readonly kind: 'grow'; readonly volume: VolumeName; readonly sizeBytes: number }
  | { readonly kind: 'rename'; readonly volume: VolumeName; readonly to: VolumeName }
  | { readonly kind: 'set'; readonly volume: VolumeName; readonly settings: readonly string[] }
  | { readonly kind: 'remove' | 'restore'; readonly volume: VolumeName }
  | FileOrder
  | ClientOrder;

/** Ends something of a client, or lets it in again. `release` ends its holds. */
export interface ClientOrder {
  readonly kind: 'kick' | 'fence' | 'unfence' | 'release';
  readonly name: string;
}

/** A change of the file, which rssrv then reads. `check-pool` changes nothing. Empty texts and null stand for a default. */
export type FileOrder =
  | { readonly kind: 'add-interface'; readonly name: string; readonly address: string; readonly port: string }
  | { readonly kind: 'add-pool'; readonly pool: NewPool }
  | { readonly kind: 'set-pool'; readonly name: string; readonly changes: readonly (readonly [key: string, value: string | null])[] }
  | { readonly kind: 'add-client' | 'set-rights'; readonly name: string; readonly rights: string }
  | { readonly kind: 'rekey'; readonly name: string; readonly step: RekeyStep }
  | { readonly kind: 'check-pool' | 'remove-interface' | 'remove-pool' | 'remove-client'; readonly name: string };

/** What a change has led to. */
export interface Outcome {
  readonly sentence: string;
  /** A text that the user must see, such as a new key; null if there is none. */
  readonly shown: { readonly title: string; readonly text: string } | null;
}
