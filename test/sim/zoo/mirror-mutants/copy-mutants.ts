// Mutants of copies between the replicas of a mirror (rules M3, M7, M9, M12, M13 and M20): settling, the return of a replica, and the
// clearing of intent maps. The zoo runs these mutants.

import { ClearRun } from '@rsio/protocol/mirror/copy/clear-run';
import { Copier } from '@rsio/protocol/mirror/copy/copier';
import type { CopyIo, CopyLock, CopyView } from '@rsio/protocol/mirror/copy/copy-ports';
import { type PieceOrder, PieceRun } from '@rsio/protocol/mirror/copy/piece-run';
import { ClearPlan, type Clearing } from '@rsio/protocol/mirror/copy/clear-plan';
import type { Piece } from '@rsio/protocol/mirror/copy/region-pieces';
import { ResyncPlan, type ResyncPhase } from '@rsio/protocol/mirror/copy/resync-plan';
import { SettlePlan } from '@rsio/protocol/mirror/copy/settle-plan';
import { BlockSet } from '@rsio/protocol/mirror/lacks/block-set';
import { RegionSet } from '@rsio/protocol/mirror/region-set';
import { Verifier } from '@rsio/protocol/mirror/verify/verifier';
import { override } from '../../base/override.ts';
import { all, type Mutant, type PrivateAs } from '../mutants/mutant.ts';

interface CopierInner {
  readonly io: PrivateAs<Copier['io'], CopyIo>;
  readonly settle: PrivateAs<Copier['settle'], SettlePlan>;
  view: PrivateAs<Copier['view'], CopyView | null>;
}

interface ResyncInner {
  phase: ResyncPhase;
  tenure: string | null;
  readonly unsettled: PrivateAs<ResyncPlan['unsettled'], RegionSet>;
  toCopy: PrivateAs<ResyncPlan['toCopy'], BlockSet>;
}

interface SettleInner {
  copied: PrivateAs<SettlePlan['copied'], Set<number>>;
}

interface ClearInner {
  missing: PrivateAs<ClearRun['missing'], number>;
  isOver: PrivateAs<ClearRun['isOver'], boolean>;
  readonly takeLocks: PrivateAs<ClearRun['takeLocks'], () => void>;
  readonly granted: PrivateAs<ClearRun['granted'], () => void>;
  readonly clear: PrivateAs<ClearRun['clear'], () => void>;
}

interface PieceInner {
  lock: PrivateAs<PieceRun['lock'], CopyLock | null>;
  order: PrivateAs<PieceRun['order'], PieceOrder>;
  readonly read: PrivateAs<PieceRun['read'], () => void>;
  readonly write: PrivateAs<PieceRun['write'], (source: string) => void>;
}

interface VerifierInner {
  readonly view: PrivateAs<Verifier['view'], CopyView | null>;
}

const CLEARING: readonly Mutant[] = [
  {
    name: 'clear-unflushed',
    rule: 'M3',
    breaks: 'Bits are cleared although what was written is not flushed',
    apply: () =>
      all(
        override<ClearInner, [], void>(ClearRun, 'start', () => (self) => self.takeLocks()),
        override<ClearInner, [], void>(ClearRun, 'granted', () => (self) => {
          if (!self.isOver && --self.missing === 0) self.clear();
        }),
      ),
  },
  {
    name: 'clear-unlocked',
    rule: 'M3',
    breaks: 'Bits are cleared while changes of their regions are under way',
    apply: () =>
      override<ClearInner, [], void>(ClearRun, 'takeLocks', () => (self) => {
        self.missing = 1;
        self.granted();
      }),
  },
  {
    name: 'clear-other-life',
    rule: 'M3',
    breaks: 'Bits are cleared although a replica has started another incarnation or has left since',
    apply: () => override<ClearPlan, [Clearing], boolean>(ClearPlan, 'isValid', () => () => true),
  },
];

const SETTLING: readonly Mutant[] = [
  {
    name: 'unclean-as-clean',
    rule: 'M7',
    breaks: 'Nothing is settled after an end that was not clean',
    apply: () =>
      override<Copier, [boolean, number], void>(Copier, 'begin', (original) => (self, _isClean, size) => original(self, true, size)),
  },
  {
    name: 'no-settle-flush',
    rule: 'M7',
    breaks: 'A region is settled before the copies are flushed',
    apply: () =>
      override<CopierInner, [number], void>(Copier, 'startFlush', () => (self) => {
        const flush = self.settle.nextFlush();
        if (flush !== null) for (const region of self.settle.flushEnded(flush, true)) self.io.settled(region);
      }),
  },
  {
    name: 'settle-one-block',
    rule: 'M20',
    breaks: 'A region is settled when its first piece is copied',
    apply: () =>
      override<SettleInner, [Piece, boolean], void>(SettlePlan, 'pieceEnded', (original) => (self, piece, isCopied) => {
        original(self, piece, isCopied);
        if (isCopied) self.copied.add(piece.region);
      }),
  },
];

const RETURNING: readonly Mutant[] = [
  {
    name: 'resync-unsettled',
    rule: 'M7',
    breaks: 'An unsettled region is copied to a replica that returns',
    apply: () =>
      override<ResyncInner, [], number>(ResyncPlan, 'nextFree', (original) => (self) => {
        const unsettled = new RegionSet();
        return original({ ...self, unsettled, __proto__: Object.getPrototypeOf(self) as object } as ResyncInner);
      }),
  },
  {
    name: 'resync-no-serial',
    rule: 'M9',
    breaks: 'A piece is copied without keeping changes of its range back',
    apply: () =>
      override<PieceInner, [], void>(PieceRun, 'start', () => (self) => {
        self.lock = { release: () => undefined };
        self.read();
      }),
  },
  {
    name: 'map-source-only',
    rule: 'M12',
    breaks: 'What is set in the map of the replica that returns is not copied',
    apply: () =>
      override<ResyncInner, [string], void>(ResyncPlan, 'setTenure', (original) => (self, tenure) => {
        const isNew = tenure !== self.tenure;
        original(self, tenure);
        if (isNew) self.phase = 'copying';
      }),
  },
  {
    name: 'map-target-only',
    rule: 'M12',
    breaks: 'What is set in the maps of I is not copied to the replica that returns',
    apply: () =>
      override<ResyncInner, [string], void>(ResyncPlan, 'setTenure', (original) => (self, tenure) => {
        const isNew = tenure !== self.tenure;
        original(self, tenure);
        if (isNew) self.toCopy = new BlockSet();
      }),
  },
  {
    name: 'resync-forget',
    rule: 'M12',
    breaks: 'Copies count that the replica got in an earlier session or incarnation',
    apply: () =>
      override<ResyncInner, [string], void>(ResyncPlan, 'setTenure', (original) => (self, tenure) => {
        if (self.phase === 'away') original(self, tenure);
        else self.tenure = tenure;
      }),
  },
  {
    name: 'copy-one-block',
    rule: 'M20',
    breaks: 'A region is copied to a replica that returns when its first piece is',
    apply: () =>
      override<ResyncInner, [Piece, boolean], void>(ResyncPlan, 'pieceEnded', (original) => (self, piece, isCopied) => {
        original(self, piece, isCopied);
        if (isCopied) self.toCopy.remove(piece.region);
      }),
  },
  {
    name: 'detach-copies',
    rule: 'M13',
    breaks: 'A detach does not wait for the copies under way',
    apply: () => override<Copier, [() => void], void>(Copier, 'pause', () => (_self, then) => then()),
  },
];

/** Mutants of the growth of a mirror. The larger mirror includes a range beyond the former end, where a replica may have other data. */
const GROWING: readonly Mutant[] = [
  {
    name: 'beyond-zero',
    rule: 'M21',
    breaks: 'What a replica had beyond the end of the mirror is taken to be zero when the mirror grows',
    apply: () =>
      override<CopierInner, [number], void>(Copier, 'grow', (original) => (self, sizeBytes) => {
        const { view } = self;
        self.view = null;
        original(self, sizeBytes);
        self.view = view;
      }),
  },
  {
    name: 'beyond-cleared',
    rule: 'M21',
    breaks: 'The bit of the region with the end of the mirror is cleared although a replica is larger',
    apply: () => override<ClearPlan, [number | null], void>(ClearPlan, 'setKept', () => () => undefined),
  },
];

/** Mutants of repairs after a comparison. */
const REPAIRING: readonly Mutant[] = [
  {
    name: 'repair-members-only',
    rule: 'M12',
    also: ['G36'],
    breaks: 'A repair does not reach a replica that returns',
    apply: () =>
      all(
        override<VerifierInner, [], ReadonlyMap<string, string>>(Verifier, 'repairTargets', (original) => (self) => {
          const isMember = (identity: string): boolean =>
            self.view?.replicas.some((one) => one.identity === identity && one.role === 'member') === true;
          return new Map([...original(self)].filter(([identity]) => isMember(identity)));
        }),
        override<Copier, [number, ReadonlySet<string>], void>(Copier, 'recopy', () => () => undefined),
      ),
  },
  {
    name: 'repair-unsourced',
    rule: 'M12',
    also: ['G36'],
    breaks: 'The map of the source of a repair does not get the region',
    apply: () =>
      override<PieceInner, [string], void>(PieceRun, 'write', (original) => (self, source) => {
        const { order } = self;
        self.order = { ...order, targets: (from) => order.targets(from).filter((identity) => identity !== from) };
        original(self, source);
      }),
  },
];

/** Mutants that only the simulator can find, because the explorer of the copier has neither unreachable replicas nor failing storage. */
const SIMULATED: readonly Mutant[] = [
  {
    name: 'source-unflushed',
    rule: 'M12',
    explorer: 'copied-sources',
    breaks: 'What a source shows is copied before a flush has said that its storage has lost nothing',
    apply: () => override<PieceInner, [string, string], void>(PieceRun, 'confirm', () => (self, source) => self.write(source)),
  },
  {
    name: 'settle-reachable',
    rule: 'M7',
    breaks: 'Only the replicas of I that can be reached are settled',
    apply: () =>
      override<CopierInner, [CopyView], void>(Copier, 'refresh', (original) => (self, view) => {
        const replicas = view.replicas.filter(({ identity }) => self.io.tenureOf(identity) !== null);
        original(self, { ...view, replicas });
      }),
  },
];

export const COPY_MUTANTS: readonly Mutant[] = [
  ...[...CLEARING, ...SETTLING, ...RETURNING].map((mutant): Mutant => ({ ...mutant, explorer: 'copies' })),
  ...GROWING.map((mutant): Mutant => ({ ...mutant, explorer: 'beyond' })),
  ...REPAIRING.map((mutant): Mutant => ({ ...mutant, explorer: 'repairs' })),
  ...SIMULATED.map((mutant): Mutant => ({ ...mutant, needsMirrors: true })),
];
