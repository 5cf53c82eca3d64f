// Types for a client that asks for a volume, and for the answer. Sessions and messages import these types. Invariant: a grant names the
// epoch of its volume. A later take-over names this epoch to revoke the grant.

import type { Holder } from '@rsio/protocol/wire/messages';
import type { Status } from '@rsio/protocol/wire/status';
import type { ServedVolume } from '../../storage/io/served-volume.ts';

/** A client whose identity the listener has verified. */
export interface ClientIdentity {
  readonly node: string;
  readonly instance: number;
  readonly machine: string;
  readonly boot: string;
  /** Process id of the client; null for a client of an early version, which sends no process id. */
  readonly process: string | null;
  readonly address: string;
}

export type Grant =
  | {
      readonly granted: true;
      readonly volume: ServedVolume;
      readonly readonly: boolean;
      readonly identity: string;
      readonly incarnation: string;
      /** The volume's epoch at the time of this grant. */
      readonly epoch: number;
    }
  | { readonly granted: false; readonly status: Status; readonly sentence: string; readonly holders: readonly Holder[] };
