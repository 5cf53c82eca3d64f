// Mutants of the client's end: slots, copies, fences, overlaps. The zoo runs these mutants. If rule S3 would stop the damage of a mutant at
// the first stray answer, the mutant also makes the client accept stray answers, and says so.

import { Attachment } from '@rsio/protocol/client/attachment';
import { Dispatcher } from '@rsio/protocol/client/dispatcher';
import { Fences } from '@rsio/protocol/client/fences';
import { OverlapTracker } from '@rsio/protocol/client/requests/overlap';
import type { Path } from '@rsio/protocol/client/paths/path';
import type { Request } from '@rsio/protocol/client/requests/request';
import { SlotTable } from '@rsio/protocol/link/slot-table';
import { Slots } from '@rsio/protocol/client/requests/slots';
import { Trunk } from '@rsio/protocol/client/trunk';
import { Decoder } from '@rsio/protocol/wire/decoder';
import { OP } from '@rsio/protocol/wire/frames';
import type { Header } from '@rsio/protocol/wire/header';
import { override, overrideGetter } from '../../base/override.ts';
import { all, type DispatcherInner, lettingStrayAnswersPass, type Mutant, type PrivateAs, type SlotsInner } from './mutant.ts';

interface TableInner {
  entries: PrivateAs<SlotTable['entries'], { seq: number; state: string; owedFirst: number; owedMore: number[] }[]>;
}

interface TrunkInner {
  dispatcher: PrivateAs<Trunk['dispatcher'], DispatcherInner>;
}

interface OverlapInner {
  inFlight: PrivateAs<OverlapTracker['inFlight'], Request[]>;
  count: PrivateAs<OverlapTracker['count'], number>;
  waiting: PrivateAs<OverlapTracker['waiting'], Request[]>;
}

interface AttachmentInner {
  overlaps: PrivateAs<Attachment['overlaps'], OverlapInner>;
}

function twoCopies(): () => void {
  return all(
    override<DispatcherInner, [readonly Path[]], void>(Dispatcher, 'findResends', () => (self) => {
      self.resends = Array.from({ length: self.slots.size }, (_unused, index) => index);
    }),
    override(Slots, 'copiesOf', () => () => []),
    override<SlotsInner, [number, number], void>(Slots, 'addCopy', (original) => (self, index, path) => {
      if (!self.slots[index]!.copies.includes(path)) original(self, index, path);
    }),
  );
}

function serverMasks(): () => void {
  return override<TableInner, [Header, number, ...unknown[]], string>(
    SlotTable,
    'receive',
    (original) =>
      (self, header, path, ...others) => {
        const entry = self.entries[header.slot];
        const isOwed = entry !== undefined && (entry.owedFirst === path || entry.owedMore.includes(path));
        const isSecond = isOwed && entry.state === 'executing' && entry.seq === header.seq;
        return isSecond ? 'executing' : original(self, header, path, ...others);
      },
  );
}

function ownCloseFences(): () => void {
  return override<TrunkInner, [Path, string], void>(Trunk, 'pathClosed', (original) => (self, path, reason) => {
    original(self, path, reason);
    self.dispatcher.fenced(path.number);
  });
}

const SLOT_MUTANTS: readonly Mutant[] = [
  {
    name: 'no-reask',
    rule: 'S2',
    breaks: 'Requests of a silent or dead path are not sent again',
    apply: () => override(Dispatcher, 'findResends', () => () => undefined),
  },
  {
    name: 'two-copies',
    rule: 'S2',
    breaks: 'Unanswered requests are sent again even on paths that carry a copy, with one bit per path',
    apply: twoCopies,
  },
  {
    name: 'two-copies-mask',
    rule: 'S2',
    breaks: 'The same, and the server has one bit per path too',
    apply: () => all(twoCopies(), serverMasks(), lettingStrayAnswersPass()),
  },
  {
    name: 'late-receiver',
    rule: 'S3',
    breaks: 'A second answer is received into the buffer of a READ that is already answered',
    apply: () => override(Decoder, 'discardBody', () => () => undefined),
  },
  {
    name: 'receive-twice',
    rule: 'S3',
    breaks: 'Two answers of one READ are received into its buffer at the same time',
    apply: () =>
      override<DispatcherInner, [Path, Header], void>(Dispatcher, 'answerBegins', () => (self, path, header) => {
        const request = self.expected(path, header);
        if (request === null || request.op !== OP.READ) return;
        path.receivingSlot = header.slot;
        path.connection.decoder.receiveInto(request.buffer, request.bufferOffset);
      }),
  },
  {
    name: 'no-quarantine',
    rule: 'S4',
    breaks: 'A slot is reused as soon as the result has arrived',
    apply: () =>
      all(
        override<SlotsInner, [number], void>(Slots, 'settle', (original) => (self, index) => {
          const slot = self.slots[index]!;
          if (slot.isTaken && slot.request === null) slot.copies.length = 0;
          original(self, index);
        }),
        lettingStrayAnswersPass(),
      ),
  },
  {
    name: 'no-fence-wait',
    rule: 'S5',
    breaks: "The client's own close counts as FENCED, and it sends no FENCE",
    apply: () =>
      all(
        ownCloseFences(),
        override(Fences, 'died', () => () => undefined),
      ),
  },
  {
    name: 'no-fence-resend',
    rule: 'S5',
    breaks: 'A FENCE lost with its path is not sent again, and a join does not name the dead path',
    apply: () =>
      all(
        override(Fences, 'distrust', () => () => undefined),
        override<{ dead: Map<number, number | null> }, [], number[]>(
          Fences,
          'named',
          (original) => (self) => original(self).filter((number) => self.dead.get(number) === null),
        ),
      ),
  },
  {
    name: 'fence-slot',
    rule: 'S5',
    breaks: 'FENCE is sent only while a slot is free for it',
    apply: () =>
      override<TrunkInner, [], void>(Trunk, 'askFences', (original) => (self) => {
        if (self.dispatcher.slots.hasRoom(false)) original(self);
      }),
  },
  {
    name: 'no-fence-worst',
    rule: 'S6',
    breaks: 'The client waits for a suspect path until it is dead, although most slots are in quarantine',
    apply: () => overrideGetter(Dispatcher, 'isQuarantineLarge', () => false),
  },
];

const ORDER_MUTANTS: readonly Mutant[] = [
  {
    name: 'no-serialize',
    rule: 'O1',
    breaks: 'Overlapping changes are in flight together',
    apply: () => override(OverlapTracker, 'enter', () => () => true),
  },
  {
    name: 'overlap-overtakes',
    rule: 'O1',
    breaks: 'A change overtakes a waiting one that it overlaps',
    apply: () =>
      override<OverlapInner, [Request], boolean>(OverlapTracker, 'enter', (original) => (self, request) => {
        const waiting = self.waiting;
        self.waiting = [];
        const goes = original(self, request);
        self.waiting = [...waiting, ...self.waiting];
        return goes;
      }),
  },
  {
    name: 'overlap-last-first',
    rule: 'O1',
    breaks: 'Of changes that wait for the same range the last one goes first',
    apply: () =>
      override<OverlapInner, [(released: Request) => void], void>(OverlapTracker, 'releaseWaiting', (original) => (self, release) => {
        self.waiting.reverse();
        original(self, release);
        self.waiting.reverse();
      }),
  },
  {
    name: 'overlap-forgotten',
    rule: 'O1',
    breaks: 'With a new session the client forgets which changes are unanswered',
    apply: () =>
      override<AttachmentInner, [readonly Request[], string], void>(Attachment, 'sessionLost', (original) => (self, unanswered, reason) => {
        original(self, unanswered, reason);
        self.overlaps.inFlight.length = 0;
        self.overlaps.count = 0;
      }),
  },
];

export const CLIENT_MUTANTS: readonly Mutant[] = [...SLOT_MUTANTS, ...ORDER_MUTANTS];
