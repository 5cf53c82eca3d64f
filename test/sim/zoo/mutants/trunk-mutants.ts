// Mutants of a trunk that measures its paths. The mutants concern requests on a path that falls silent, early copies (hedges and probes),
// and paths without requests. The zoo runs these mutants.

import type { LivenessTimes } from '@rsio/protocol/client/paths/path-verdict';
import { Dispatcher } from '@rsio/protocol/client/dispatcher';
import { Liveness } from '@rsio/protocol/client/paths/liveness';
import type { Path } from '@rsio/protocol/client/paths/path';
import type { Request } from '@rsio/protocol/client/requests/request';
import { type AnswerKind, Slots } from '@rsio/protocol/client/requests/slots';
import { ANSWER } from '@rsio/protocol/wire/frames';
import type { Header } from '@rsio/protocol/wire/header';
import { override } from '../../base/override.ts';
import { all, type DispatcherInner, lettingStrayAnswersPass, type Mutant, type PrivateAs, type SlotsInner } from './mutant.ts';

interface LivenessInner {
  times: PrivateAs<Liveness['times'], LivenessTimes>;
  readonly events: PrivateAs<Liveness['events'], { distrust(path: Path, reason: string): void }>;
}

/** Treats each frame with the op and seq of a slot as the answer of this slot, even on a path that owes no answer for the slot. */
function takingUnowedAnswers(): () => void {
  return override<DispatcherInner, [Path, Header], Request | null>(Dispatcher, 'expected', (original) => (self, path, header) => {
    const { slots } = self;
    if (slots.owes(header.slot, header.seq, path.number)) return original(self, path, header);
    const request = header.slot < slots.size && slots.seqOf(header.slot) === header.seq ? slots.requestOf(header.slot) : null;
    return request !== null && (header.op & ~ANSWER) === request.op && header.count === request.count ? request : null;
  });
}

export const TRUNK_MUTANTS: readonly Mutant[] = [
  {
    name: 'silent-kept',
    rule: 'S2',
    breaks: 'Requests of a silent path are sent again only once it is dead',
    apply: () =>
      override<DispatcherInner, [readonly Path[]], void>(Dispatcher, 'findResends', () => (self, paths) => {
        self.resends = self.slots.unserved((number) => paths.some((path) => path.number === number));
      }),
  },
  {
    name: 'silent-trusted',
    rule: 'S2',
    breaks: 'Silence makes no path suspect',
    apply: () =>
      override<LivenessInner, [readonly Path[], number], void>(Liveness, 'judge', (original) => (self, paths, nowMs) => {
        const { events } = self;
        Object.defineProperty(events, 'distrust', { value: () => undefined, configurable: true });
        original(self, paths, nowMs);
        Reflect.deleteProperty(events, 'distrust');
      }),
  },
  {
    name: 'silent-for-ever',
    rule: 'S2',
    breaks: 'No path is ever declared dead: the client waits for a silent one without limit',
    apply: () =>
      override<LivenessInner, [readonly Path[], number], void>(Liveness, 'judge', (original) => (self, paths, nowMs) => {
        const { times } = self;
        self.times = { ...times, deadMs: Number.POSITIVE_INFINITY };
        original(self, paths, nowMs);
        self.times = times;
      }),
  },
  {
    name: 'first-path-only',
    rule: 'S2',
    breaks: 'Everything is sent over the first path that is not suspect, and nothing over the others',
    apply: () =>
      override<object, [readonly Path[], number], void>(Dispatcher, 'send', (original) => (self, paths, nowMs) => {
        const first = paths.find(({ isSuspect }) => !isSuspect) ?? paths[0]!;
        original(self, [first], nowMs);
      }),
  },
  {
    name: 'no-probe',
    rule: 'S2',
    breaks: 'A path that is idle, because it was slow once or others come first, is never tried again',
    apply: () => override(Dispatcher, 'probe', () => () => undefined),
  },
  {
    name: 'hedge-answers-both',
    rule: 'S4',
    breaks: 'The first answer of a READ that was sent twice counts for both copies',
    apply: () =>
      all(
        override<SlotsInner, [number, number, number], AnswerKind>(Slots, 'answer', (original) => (self, index, seq, path) => {
          const kind = original(self, index, seq, path);
          const slot = self.slots[index]!;
          if (kind === 'result' && slot.isHedged) slot.copies.length = 0;
          return kind;
        }),
        lettingStrayAnswersPass(),
      ),
  },
  {
    name: 'probe-uncounted',
    rule: 'S4',
    breaks: 'A probe in flight is not recorded: its slot is reused, and its answer is taken for that of the next request',
    apply: () =>
      all(
        override<DispatcherInner, [Request, readonly Path[]], void>(Dispatcher, 'probe', (original) => (self, request, paths) => {
          const { slot } = request;
          const before = [...self.slots.copiesOf(slot)];
          original(self, request, paths);
          const copies = self.slots.copiesOf(slot) as number[];
          copies.splice(0, copies.length, ...before);
        }),
        takingUnowedAnswers(),
      ),
  },
];
