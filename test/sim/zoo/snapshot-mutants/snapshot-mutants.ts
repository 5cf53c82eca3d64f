// Mutants of rule P1: all volumes of a snapshot are copied at one moment, and no change that was answered before the moment is missing. The
// mutants break the plan of the listener, the gates of the sessions, and the checks of the listener before and after the moment. The zoo
// runs these mutants.

import { OP } from '@rsio/protocol/wire/frames';
import type { Header } from '@rsio/protocol/wire/header';
import type { Status } from '@rsio/protocol/wire/status';
import { Holds } from '@rsio/rssrv/volumes/holds/holds';
import { ChangeGates, type GatedHandle, VolumeGate } from '@rsio/rssrv/snapshots/change-gates';
import type { GuardedVolume } from '@rsio/rssrv/snapshots/hold-messages';
import { MomentPlan, type Order } from '@rsio/rssrv/snapshots/moment-plan';
import { Moments } from '@rsio/rssrv/snapshots/moments';
import type { ChunkedCopy } from '@rsio/rssrv/pools/snapshots/moment';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

interface GatesInner {
  readonly ports: PrivateAs<ChangeGates['ports'], { held(number: number): void }>;
  number: PrivateAs<ChangeGates['number'], number>;
  isAwaited: PrivateAs<ChangeGates['isAwaited'], boolean>;
  begin: PrivateAs<ChangeGates['begin'], (handle: GatedHandle, start: Start, done: Done) => void>;
}

interface MomentsInner {
  run: PrivateAs<Moments['run'], (copies: readonly ChunkedCopy[]) => Promise<void>>;
}

type Done = (status: Status) => void;
type Start = (end: Done) => void;
type Execution = [handle: GatedHandle, change: Pick<Header, 'op'>, start: Start, done: Done];

const MOMENT: readonly Mutant[] = [
  {
    name: 'held-early',
    rule: 'P1',
    breaks: 'A session reports that its changes are held while some are being executed',
    apply: () =>
      override<GatesInner, [], void>(ChangeGates, 'answer', () => (self) => {
        self.isAwaited = false;
        self.ports.held(self.number);
      }),
  },
  {
    name: 'session-unheld',
    rule: 'P1',
    breaks: 'The changes of one of the sessions are not held',
    apply: () =>
      override<MomentPlan, [readonly string[]], Order[]>(
        MomentPlan,
        'begin',
        (original) => (self, users) => original(self, users.slice(1)),
      ),
  },
  {
    name: 'group-apart',
    rule: 'P1',
    breaks: 'The volumes of a snapshot are copied one after the other, each at a moment of its own',
    apply: () =>
      override<MomentsInner, [readonly ChunkedCopy[]], Promise<void>>(Moments, 'run', (original) => async (self, copies) => {
        for (const copy of copies) await original(self, [copy]);
      }),
  },
  {
    name: 'open-unheld',
    rule: 'P1',
    breaks: 'A session that is granted the volume while its changes are held does not learn of the hold',
    apply: () => override(Moments, 'granted', () => () => undefined),
  },
  {
    name: 'new-handle-unheld',
    rule: 'P1',
    breaks: 'A handle that a session opens while changes are held is not held',
    apply: () => override(ChangeGates, 'opened', () => () => undefined),
  },
];

const CHUNKS: readonly Mutant[] = [
  {
    name: 'guard-off',
    rule: 'P1',
    breaks: 'A change does not wait until its chunk is cloned',
    apply: () =>
      override<VolumeGate, [], boolean>(
        VolumeGate,
        'lets',
        () =>
          ({ isHeld }) =>
            !isHeld,
      ),
  },
  {
    name: 'guard-short',
    rule: 'P1',
    breaks: 'The last chunk is not guarded',
    apply: () =>
      override<object, [number, readonly GuardedVolume[]], void>(ChangeGates, 'goOn', (original) => (self, number, guards) => {
        original(
          self,
          number,
          guards.map((one) => ({ ...one, chunks: one.chunks - 1 })),
        );
      }),
  },
  {
    name: 'discard-unguarded',
    rule: 'P1',
    breaks: 'DISCARD and ZERO are neither held nor guarded',
    apply: () =>
      override<GatesInner, Execution, void>(ChangeGates, 'execute', (original) => (self, handle, change, start, done) => {
        if (change.op === OP.WRITE) original(self, handle, change, start, done);
        else self.begin(handle, start, done);
      }),
  },
  {
    name: 'clone-answered-early',
    rule: 'P1',
    breaks: 'A session is told that a chunk is cloned when its clone begins',
    apply: () =>
      override<MomentPlan, [string, number, number, number, number], Order[]>(MomentPlan, 'asked', (original) => (self, ...asked) => {
        const orders = original(self, ...asked);
        const isAnswered = orders.some(({ order }) => order === 'answer');
        return isAnswered ? orders : [...orders, { order: 'answer', ask: asked[1], isCloned: true }];
      }),
  },
];

const LOSSES: readonly Mutant[] = [
  {
    name: 'copied-unsettled',
    rule: 'P1',
    breaks: 'A volume is copied before its client has sent again what the storage has lost',
    apply: () => override(Holds, 'unsettledNode', () => () => null),
  },
  {
    name: 'copied-unsynced',
    rule: 'P1',
    breaks: 'A snapshot is answered although the storage has reported an error for a write before',
    apply: () => override(Moments, 'sync', () => () => Promise.resolve()),
  },
];

export const SNAPSHOT_MUTANTS: readonly Mutant[] = [...MOMENT, ...CHUNKS, ...LOSSES];
