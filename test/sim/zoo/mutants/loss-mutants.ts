// Mutants of rule V1: a server notices losses of its storage, starts a new incarnation of the storage, and revokes its handles. The mutants
// break production sessions. Where production code decides by processes and files that the simulator lacks, a mutant breaks the simulator's
// listener instead, and says so. The zoo runs these mutants.

import { STATUS } from '@rsio/protocol/wire/status';
import { FlushGate } from '@rsio/rssrv/storage/io/flush-gate';
import type { IoDone } from '@rsio/rssrv/storage/io/backend';
import { VolumeSyncs } from '@rsio/rssrv/session/volume-syncs';
import { override } from '../../base/override.ts';
import { SimServer, type ServerPorts } from '../../machines/sim-server.ts';
import { SimSession } from '../../machines/sim-session.ts';
import type { Mutant, PrivateAs } from './mutant.ts';

interface SessionInner {
  isClean: PrivateAs<SimSession['isClean'], boolean>;
}

interface ServerInner {
  ports: PrivateAs<SimServer['ports'], ServerPorts>;
}

const LATE_LIFE_MS = 100;

export const LOSS_MUTANTS: readonly Mutant[] = [
  {
    name: 'gate-forgets',
    rule: 'V1',
    breaks: 'A flush after a failed one of the same handle may be answered OK',
    apply: () =>
      override<{ failure: number }, [IoDone], void>(FlushGate, 'flush', (original) => (self, done) => {
        self.failure = STATUS.OK;
        original(self, done);
      }),
  },
  {
    name: 'flush-error-swallowed',
    rule: 'V1',
    breaks: 'A failed sync is answered OK',
    apply: () => override<object, [IoDone], void>(FlushGate, 'flush', (original) => (self, done) => original(self, () => done(STATUS.OK))),
  },
  {
    name: 'lost-untold',
    rule: 'V1',
    breaks: 'A failed sync is answered with its error and has no other effect',
    apply: () => override(VolumeSyncs, 'syncEnded', () => () => undefined),
  },
  {
    name: 'lost-shown',
    rule: 'V1',
    breaks: 'After a failed sync, reads show for a while what will never be on disk',
    explorer: 'lost-pages',
    apply: () =>
      override<{ forget: (end: () => void) => void }, [string, readonly IoDone[]], void>(
        FlushGate,
        'failed',
        (original) =>
          (self, ...failed) => {
            self.forget = (end) => end();
            original(self, ...failed);
          },
      ),
  },
  {
    name: 'no-self-sync',
    rule: 'V1',
    breaks: 'The server never syncs on its own',
    explorer: 'syncs',
    apply: () => override(VolumeSyncs, 'tick', () => () => undefined),
  },
  {
    name: 'no-opening-sync',
    rule: 'V1',
    breaks: 'What a killed process wrote is not synced until the next process of the volume writes',
    explorer: 'syncs',
    apply: () => override(VolumeSyncs, 'opened', () => () => undefined),
  },
  {
    name: 'lost-unrevoked',
    rule: 'V1',
    breaks: 'Handles of an ended incarnation stay valid (in the simulated listener)',
    apply: () => override(SimSession, 'revokeLost', () => () => undefined),
  },
  {
    name: 'life-late',
    rule: 'V1',
    breaks: 'Handles are revoked before the new incarnation has started (in the simulated listener)',
    apply: () =>
      override<ServerInner, [string], void>(SimServer, 'lost', (original) => (self, volume) => {
        const { machine, clock } = self.ports;
        const lost = machine.lost.bind(machine);
        machine.lost = () => void clock.after(LATE_LIFE_MS, () => lost(volume));
        original(self, volume);
        machine.lost = lost;
      }),
  },
  {
    name: 'lost-error',
    rule: 'V1',
    breaks: 'The kill of a process, which may have seen an error, starts no new incarnation (in the simulated listener)',
    apply: () =>
      override<SessionInner, [], void>(SimSession, 'gone', (original) => (self) => {
        self.isClean = true;
        original(self);
      }),
  },
];
