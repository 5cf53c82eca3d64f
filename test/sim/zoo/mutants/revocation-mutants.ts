// Mutants of rule H6: an order that takes a volume away from a client. Only worlds in which administrators give such orders can find them.
// The mutants break the production class Revocations, or the change of the holds at its end. The zoo runs these mutants.

import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { OpenVolume } from '@rsio/rssrv/session/request';
import { VolumeSyncs } from '@rsio/rssrv/session/volume-syncs';
import { Holds } from '@rsio/rssrv/volumes/holds/holds';
import type { VolumeHolds } from '@rsio/rssrv/volumes/holds/hold-rules';
import { type LeftVolume, type RevocationPorts, Revocations } from '@rsio/rssrv/volumes/holds/revocations';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from './mutant.ts';

interface RevocationsInner {
  ports: PrivateAs<Revocations['ports'], RevocationPorts>;
}

interface HoldsInner {
  entryOf: PrivateAs<Holds['entryOf'], (volumeId: string) => VolumeHolds>;
  put: PrivateAs<Holds['put'], (volumeId: string, to: VolumeHolds) => void>;
}

type EndHold = [volume: LeftVolume, id: string, node: string, check: () => void];

/** Changes the ports with which the hold is ended. */
function otherSteps(change: (ports: RevocationPorts) => Partial<RevocationPorts>): () => void {
  return override<RevocationsInner, EndHold, Promise<boolean>>(Revocations, 'endHold', (original) => (self, ...hold) => {
    const other = Object.create(self as object) as RevocationsInner;
    other.ports = { ...self.ports, ...change(self.ports) };
    return original(other, ...hold);
  });
}

export const REVOCATION_MUTANTS: readonly Mutant[] = [
  {
    name: 'revoke-unproven',
    rule: 'H6',
    breaks: 'The hold ends while requests of the client still run',
    needsRevocations: true,
    apply: () =>
      otherSteps((ports) => ({
        revoke: async (...grants) => {
          void ports.revoke(...grants);
          return true;
        },
      })),
  },
  {
    name: 'revoke-unsynced',
    rule: 'H6',
    breaks: 'The hold ends before the writes of the client are durable',
    needsRevocations: true,
    // The session also syncs a handle when it closes the handle, so the mutant must remove both syncs.
    apply: () => {
      let underWay = 0;
      const restoreSteps = otherSteps((ports) => ({
        sync: async () => undefined,
        revoke: async (...grants) => {
          underWay++;
          return ports.revoke(...grants).finally(() => underWay--);
        },
      }));
      const restoreLast = override<VolumeSyncs, [OpenVolume], Promise<Status>>(
        VolumeSyncs,
        'last',
        (original) => (self, open) => (underWay > 0 ? Promise.resolve(STATUS.OK) : original(self, open)),
      );
      return () => {
        restoreLast();
        restoreSteps();
      };
    },
  },
  {
    name: 'revoke-unsettled',
    rule: 'H6',
    also: ['H3'],
    breaks: 'The hold of a client ends that has to send lost writes again',
    needsRevocations: true,
    apply: () =>
      override<RevocationsInner, [LeftVolume], unknown>(
        Revocations,
        'servedTo',
        () =>
          (self, { id }) =>
            self.ports.find(id),
      ),
  },
  {
    name: 'revoke-volatile',
    rule: 'H6',
    breaks: 'The end of the hold is not durable when the order is answered',
    needsRevocations: true,
    apply: () =>
      override<HoldsInner, [string, string, (hold: unknown) => Promise<void>], Promise<boolean>>(
        Holds,
        'endHold',
        () => async (self, volumeId, node, prepare) => {
          const own = self.entryOf(volumeId).holds.find((hold) => hold.node === node);
          if (own === undefined) return false;
          await prepare(own);
          const entry = self.entryOf(volumeId);
          self.put(volumeId, { ...entry, epoch: entry.epoch + 1, holds: entry.holds.filter((hold) => hold.node !== node) });
          return true;
        },
      ),
  },
];
