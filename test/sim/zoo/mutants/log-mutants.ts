// Mutants of rules L1 to L3: which answered writes the client keeps in its replay log, and when it may drop them. The zoo runs these
// mutants. Invariant: each mutant breaks one rule, in one place.

import { LogAdmission } from '@rsio/protocol/client/replay/log-admission';
import { ReplayLog, type Room } from '@rsio/protocol/client/replay/replay-log';
import type { Request } from '@rsio/protocol/client/requests/request';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { override } from '../../base/override.ts';
import type { Mutant, PrivateAs } from './mutant.ts';

interface Clearable {
  clear(): void;
}

interface LogInner {
  blocks: PrivateAs<ReplayLog['blocks'], Clearable>;
  ranges: PrivateAs<ReplayLog['ranges'], Clearable>;
  dropped: PrivateAs<ReplayLog['dropped'], (request: Request) => void>;
}

interface RoomInner {
  log: PrivateAs<LogAdmission['log'], ReplayLog | null>;
}

export const LOG_MUTANTS: readonly Mutant[] = [
  {
    name: 'no-log',
    rule: 'L1',
    breaks: 'Answered writes are not kept',
    apply: () => override<LogInner, [Request], void>(ReplayLog, 'answered', () => (self, request) => self.dropped(request)),
  },
  {
    name: 'fua-no-cut',
    rule: 'L1',
    breaks: 'An answered FUA write leaves overlapped writes in the log',
    apply: () =>
      override<LogInner, [Request], void>(ReplayLog, 'answered', (original) => (self, request) => {
        if ((request.flags & FLAG.FUA) === 0) original(self, request);
        else self.dropped(request);
      }),
  },
  {
    name: 'write-through-off',
    rule: 'L1',
    breaks: 'A write that does not fit into the log, or has no log, is sent without FUA and not kept',
    apply: () =>
      override<RoomInner, [Request], boolean>(LogAdmission, 'admits', (original) => (self, request) => {
        const wasFua = (request.flags & FLAG.FUA) !== 0;
        const goes = original(self, request);
        if (wasFua || (request.flags & FLAG.FUA) === 0) return goes;
        request.flags &= ~FLAG.FUA;
        self.log?.dropped(request);
        return goes;
      }),
  },
  {
    name: 'total-waited-for',
    rule: 'L1',
    breaks: 'A write without room in the total waits, although its own log cannot free any',
    apply: () =>
      override<LogInner, [Request], Room>(ReplayLog, 'reserve', (original) => (self, request) => {
        const room = original(self, request);
        return room === 'total' ? 'flush' : room;
      }),
  },
  {
    name: 'trim-all',
    rule: 'L2',
    breaks: 'A FLUSH answered OK removes everything that is in the log at that time',
    apply: () =>
      override<LogInner, [number, number], void>(ReplayLog, 'flushed', (original) => (self, mark, submittedMs) => {
        original(self, mark, submittedMs);
        self.blocks.clear();
        self.ranges.clear();
      }),
  },
  {
    name: 'trim-on-failed-flush',
    rule: 'L2',
    breaks: 'A failed FLUSH removes the writes that it would have covered',
    apply: () =>
      override<RoomInner, [Request, number], void>(LogAdmission, 'answered', (original) => (self, request, status) => {
        original(self, request, request.op === OP.FLUSH ? STATUS.OK : status);
      }),
  },
  {
    name: 'shared-logged',
    rule: 'L3',
    breaks: 'A shared volume has a log, which is sent again over the writes of other clients',
    explorer: 'shared-logs',
    apply: () => override(LogAdmission, 'end', () => () => undefined),
  },
];
