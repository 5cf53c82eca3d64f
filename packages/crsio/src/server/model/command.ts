// The user's commands on a server as data, and the changes (orders) that they lead to. Rows, actions and answers carry commands; perform.ts
// executes them, and orders.ts carries out an order. Invariant: commands and orders refer to objects by their names, never by a position on
// the screen.

import type { ServerMethods } from '@rsio/common/control/server/server-methods';
import type { RekeyStep } from '@rsio/common/manage/client-rekey';
import type { NewPool } from '@rsio/common/manage/pool-addition';
import type { VolumeName } from '@rsio/common/manage/volumes/values';

export type ListKind = 'status' | 'interfaces' | 'pools' | 'volumes' | 'removed' | 'clients';

/** The purpose of a form. */
export type Dialog =
  | { readonly kind: 'create-volume' }
  | { readonly kind: 'grow' | 'rename' | 'take-over'; readonly volume: VolumeName }
  | { readonly kind: 'add-interface' | 'add-pool' | 'add-client' }
  | { readonly kind: 'pool-settings' | 'rights'; readonly name: string };

/** A change of the server. */
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

/** What ends something of a client, or lets it in again. `release`: its holds end. */
export interface ClientOrder {
  readonly kind: 'kick' | 'fence' | 'unfence' | 'release';
  readonly name: string;
}

/** A change of the file, which rssrv then reads; checking a pool changes nothing. Empty texts and null stand for a default. */
export type FileOrder =
  | { readonly kind: 'add-interface'; readonly name: string; readonly address: string; readonly port: string }
  | { readonly kind: 'add-pool'; readonly pool: NewPool }
  | { readonly kind: 'set-pool'; readonly name: string; readonly changes: readonly (readonly [key: string, value: string | null])[] }
  | { readonly kind: 'add-client' | 'set-rights'; readonly name: string; readonly rights: string }
  | { readonly kind: 'rekey'; readonly name: string; readonly step: RekeyStep }
  | { readonly kind: 'check-pool' | 'remove-interface' | 'remove-pool' | 'remove-client'; readonly name: string };

/** What the user is asked before something is removed or interrupted. */
export type Question =
  | { readonly kind: 'remove-volume'; readonly volume: VolumeName }
  | { readonly kind: 'remove-interface' | 'remove-pool' | 'remove-client' | 'kick' | 'fence' | 'release'; readonly name: string };

/** Where the clients that the user marks in a list go. */
export type MarksTarget = { readonly kind: 'field' } | { readonly kind: 'volume'; readonly volume: VolumeName };

export type ServerCommand =
  | { readonly do: 'open'; readonly list: ListKind }
  | { readonly do: 'open-volume'; readonly volume: VolumeName }
  | { readonly do: 'open-pool' | 'open-client'; readonly name: string }
  | { readonly do: 'edit'; readonly dialog: Dialog }
  | { readonly do: 'fill'; readonly key: string; readonly text: string }
  | { readonly do: 'mark-clients'; readonly target: MarksTarget }
  | { readonly do: 'toggle'; readonly index: number }
  | { readonly do: 'ask'; readonly question: Question }
  | { readonly do: 'show'; readonly title: string; readonly text: string }
  | { readonly do: 'order'; readonly order: Order }
  | { readonly do: 'look' }
  | { readonly do: 'accept-form' | 'drop-form' | 'help' | 'actions' | 'close-popup' | 'leave' | 'end' };
