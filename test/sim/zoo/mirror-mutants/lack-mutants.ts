// Mutants of the holder's memory about absent replicas (rule M12): with each mutant, a copy leaves out a block that the replica lacks. The
// zoo runs these mutants. The explorer gives the holder room for few entries, so that its memory has separate times for only some regions.

import { ResyncPlan } from '@rsio/protocol/mirror/copy/resync-plan';
import { type Blocks, BlockSet } from '@rsio/protocol/mirror/lacks/block-set';
import { ChangeTimes } from '@rsio/protocol/mirror/lacks/change-times';
import { Lacks } from '@rsio/protocol/mirror/lacks/lacks';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from '../mutants/mutant.ts';

interface LacksInner {
  readonly known: PrivateAs<
    Lacks['known'],
    Map<string, { disk: { blocks: BlockSet; tick: number } | null; storage: { life: string; tick: number } | null }>
  >;
}

interface TimesInner {
  readonly timed: PrivateAs<ChangeTimes['timed'], Map<number, Uint32Array>>;
}

interface PlanInner {
  toCopy: PrivateAs<ResyncPlan['toCopy'], BlockSet>;
}

const MUTANTS: readonly Omit<Mutant, 'rule' | 'explorer'>[] = [
  {
    name: 'lack-unflushed',
    breaks: 'What a replica had answered and not flushed when it left is not copied, whatever its storage has lost',
    apply: () =>
      override<Lacks, [string, number, string | null], void>(
        Lacks,
        'left',
        (original) => (self, identity, _flushed, life) => original(self, identity, self.tick, life),
      ),
  },
  {
    name: 'lack-other-life',
    breaks: 'What was in the storage of a replica counts as there, although the storage is another incarnation',
    apply: () =>
      override<LacksInner, [string, string | null], BlockSet>(
        Lacks,
        'of',
        (original) => (self, identity, life) => original(self, identity, self.known.get(identity)?.storage?.life ?? life),
      ),
  },
  {
    name: 'lack-away',
    breaks: 'What was changed while a replica was away is not copied',
    apply: () => override<ChangeTimes, [number, number, number], void>(ChangeTimes, 'mark', () => () => undefined),
  },
  {
    name: 'lack-settled',
    breaks: 'What was settled while a replica was away is not copied',
    apply: () => override<Lacks, [number], void>(Lacks, 'settled', () => () => undefined),
  },
  {
    name: 'lack-forgotten',
    breaks: 'Changes of regions for which there is no memory are forgotten',
    apply: () =>
      override<TimesInner, [number, number], Blocks>(
        ChangeTimes,
        'changedSince',
        (original) => (self, region, tick) => (self.timed.has(region) ? original(self, region, tick) : null),
      ),
  },
  {
    name: 'lack-begun',
    breaks: 'A region that gets times of its own counts as unchanged before',
    apply: () =>
      override<TimesInner, [number], Uint32Array | null>(ChangeTimes, 'begin', (original) => (self, region) => {
        const times = original(self, region);
        times?.fill(0);
        return times;
      }),
  },
  {
    name: 'lack-checkpoint-late',
    breaks: 'A checkpoint counts what was copied after its flush was sent',
    apply: () =>
      override<Lacks, [string, BlockSet, number], void>(
        Lacks,
        'flushed',
        (original) => (self, identity, _remaining, tick) => original(self, identity, new BlockSet(), tick),
      ),
  },
  {
    name: 'lack-map',
    breaks: 'What only the map of the replica has is not copied',
    apply: () =>
      override<PlanInner, unknown[], boolean>(ResyncPlan, 'pageRead', (original) => (self, ...page) => {
        const before = self.toCopy.clone();
        const isRight = original(self, ...page);
        self.toCopy = before;
        return isRight;
      }),
  },
  {
    name: 'lack-part-diverged',
    breaks: 'Of a region that differs again, only what was lacking before is copied',
    apply: () =>
      override<PlanInner & { phase: string }, [number], void>(ResyncPlan, 'diverged', (original) => (self, region) => {
        const blocks = self.toCopy.blocksOf(region);
        original(self, region);
        if (blocks === null || blocks === 'whole') return;
        self.toCopy.remove(region);
        self.toCopy.add(region, blocks);
      }),
  },
];

export const LACK_MUTANTS: readonly Mutant[] = MUTANTS.map((mutant): Mutant => ({ ...mutant, rule: 'M12', explorer: 'copies' }));
