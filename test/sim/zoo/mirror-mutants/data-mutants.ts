// Mutants of a mirror's data path (rules M7 to M10 and M14 to M16): which answers acknowledge a request, which requests wait for each
// other, and which READs are sent. The zoo runs these mutants.

import { Confirmations } from '@rsio/protocol/mirror/io/confirmations';
import type { CopyLock } from '@rsio/protocol/mirror/io/copy-lock';
import { DataPath } from '@rsio/protocol/mirror/io/data-path';
import { Member, Members } from '@rsio/protocol/mirror/io/members';
import { type Child, Operation } from '@rsio/protocol/mirror/io/operation';
import { Replica } from '@rsio/protocol/mirror/io/replica';
import { type LockEntry, SectorLock } from '@rsio/protocol/mirror/io/sector-lock';
import { OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { override, overrideGetter } from '../../base/override.ts';
import { all, type Mutant, type PrivateAs } from '../mutants/mutant.ts';

interface PathInner {
  readonly members: Members;
  readonly finish: PrivateAs<DataPath['finish'], (operation: Operation, status: number) => void>;
}

interface LockInner {
  readonly hold: PrivateAs<SectorLock['hold'], (entry: LockEntry) => void>;
}

interface OperationInner {
  readonly children: PrivateAs<Operation['children'], (Child | undefined)[]>;
}

type Judge = [Operation];
const NO_LOCK = { release: (): void => undefined };

/**
 * Removes the assertion that a request has no children in flight when it ends. Mutants that end a request too early call this function,
 * because the assertion would stop these mutants.
 */
function leavingChildren(): () => void {
  return override<OperationInner, [number], void>(Operation, 'leaveChild', () => ({ children }, number) => {
    const child = children[number];
    if (child === undefined) return;
    if (child.member !== null) child.member.load--;
    child.operation = null;
    children[number] = undefined;
  });
}

const ACKNOWLEDGEMENTS: readonly Mutant[] = [
  {
    name: 'ack-early',
    rule: 'M8',
    breaks: 'The first answer acknowledges a change',
    apply: () =>
      all(
        leavingChildren(),
        override<PathInner, Judge, void>(DataPath, 'judge', () => (self, operation) => {
          if (operation.phase === 'running' && operation.okMask !== 0) self.finish(operation, STATUS.OK);
        }),
      ),
  },
  {
    name: 'gone-uncounted',
    rule: 'M8',
    breaks: 'A replica whose session was given up does not count any more',
    apply: () =>
      override<Members, [number], number>(
        Members,
        'missing',
        () =>
          ({ countsMask, presentMask, recoveredMask }, okMask) =>
            countsMask & presentMask & ~(okMask & recoveredMask),
      ),
  },
  {
    name: 'refusal-counts',
    rule: 'M8',
    breaks: 'A refusal acknowledges a change',
    apply: () =>
      override<DataPath, Judge, void>(DataPath, 'refused', () => (_self, operation) => {
        operation.okMask |= operation.refusedMask;
      }),
  },
  {
    name: 'lost-unnoticed',
    rule: 'M8',
    breaks: 'A replica that has refused what another one executed stays in sync',
    apply: () => override<DataPath, [number, string], void>(DataPath, 'loseAll', () => () => undefined),
  },
  {
    name: 'returning-unwritten',
    rule: 'M8',
    breaks: 'Changes go only to the replicas that count',
    apply: () =>
      override<PathInner, Judge, void>(DataPath, 'sendAll', (original) => (self, operation) => {
        const { members } = self;
        const { all } = members;
        members.all = all.filter(({ counts }) => counts);
        original(self, operation);
        members.all = all;
      }),
  },
  {
    name: 'o1-acked-only',
    rule: 'M9',
    breaks: 'A change is over when all that count have answered, although another replica has not',
    apply: () =>
      all(
        leavingChildren(),
        override<PathInner, Judge, void>(DataPath, 'judge', (original) => (self, operation) => {
          const { members } = self;
          const isOver = operation.phase === 'running' && operation.refusedMask === 0 && members.countsMask !== 0;
          if (isOver && members.missing(operation.okMask) === 0) self.finish(operation, STATUS.OK);
          else original(self, operation);
        }),
      ),
  },
  {
    name: 'copy-unlocked',
    rule: 'M9',
    breaks: 'Copies and changes of one place are under way together',
    apply: () =>
      override<DataPath, [number, number, () => void], Pick<CopyLock, 'release'>>(
        DataPath,
        'lock',
        () => (_self, _begin, _end, granted) => {
          granted();
          return NO_LOCK;
        },
      ),
  },
  {
    name: 'answer-survives',
    rule: 'M10',
    breaks: 'An answer to a change counts although its replica has started another incarnation',
    apply: () => overrideGetter<Replica, boolean>(Replica, 'hasRecovered', ({ isAnswering }) => isAnswering),
  },
  {
    name: 'flush-one',
    rule: 'M10',
    breaks: 'The first answer to a FLUSH is given to the user',
    apply: () =>
      all(
        leavingChildren(),
        override<PathInner, Judge, void>(DataPath, 'judge', (original) => (self, operation) => {
          const isFlush = operation.request?.op === OP.FLUSH;
          if (isFlush && operation.phase === 'running' && operation.okMask !== 0) self.finish(operation, STATUS.OK);
          else original(self, operation);
        }),
      ),
  },
];

const READS: readonly Mutant[] = [
  {
    name: 'read-unsettled',
    rule: 'M7',
    breaks: 'READs do not wait until their region is settled',
    apply: () => override<DataPath, [Operation], boolean>(DataPath, 'isParked', () => () => false),
  },
  {
    name: 'abandoned-settled',
    rule: 'M7',
    breaks: 'A region counts as equal although a change there was refused or abandoned',
    apply: () => override<DataPath, [Operation], boolean>(DataPath, 'unsettle', () => () => false),
  },
  {
    name: 'read-any',
    rule: 'M14',
    breaks: 'Requests that overlap are under way together',
    apply: () =>
      override<LockInner, [LockEntry], boolean>(SectorLock, 'enter', () => (self, entry) => {
        self.hold(entry);
        return true;
      }),
  },
  {
    name: 'read-lock-one-way',
    rule: 'M14',
    breaks: 'READs do not wait for changes',
    apply: () =>
      override<LockInner, [LockEntry], boolean>(SectorLock, 'enter', (original) => (self, entry) => {
        if (entry.isExclusive) return original(self, entry);
        self.hold(entry);
        return true;
      }),
  },
  {
    name: 'read-unconfirmed',
    rule: 'M15',
    breaks: 'READs leave without confirmation of the term',
    apply: () => override<Confirmations, [number], boolean>(Confirmations, 'isConfirmed', () => () => true),
  },
  {
    name: 'confirmed-before',
    rule: 'M15',
    breaks: 'A confirmation counts that was asked for before the READ came',
    apply: () =>
      override<Member, [number], void>(Member, 'confirm', (original) => (self, startSequence) => original(self, startSequence + 3)),
  },
  {
    name: 'read-from-returning',
    rule: 'M15',
    breaks: 'Any replica with a session executes READs',
    apply: () =>
      override<Members, [number], Member | null>(
        Members,
        'reader',
        () => (self, triedMask) => self.all.findLast(({ isReady, bit }) => isReady && (triedMask & bit) === 0) ?? null,
      ),
  },
  {
    name: 'taken-answered',
    rule: 'M16',
    breaks: 'What was under way when a higher term is met is answered as if it were done',
    apply: () =>
      override<DataPath, [number, string], void>(DataPath, 'end', (original) => (self, status, reason) => {
        original(self, status === STATUS.TAKEN ? STATUS.OK : status, reason);
      }),
  },
];

export const DATA_MUTANTS: readonly Mutant[] = [...ACKNOWLEDGEMENTS, ...READS].map((mutant) => ({ ...mutant, explorer: 'data' }));
