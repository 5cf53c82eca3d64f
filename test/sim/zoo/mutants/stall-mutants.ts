// Mutants of rules E1 and E2: when waiting I/O fails, and how the client prevents a failed write from overwriting newer data later. The zoo
// runs these mutants.

import type { Clock } from '@rsio/base/lib/clock';
import type { Attachment } from '@rsio/protocol/client/attachment';
import { Dispatcher } from '@rsio/protocol/client/dispatcher';
import { Request } from '@rsio/protocol/client/requests/request';
import { Trunk } from '@rsio/protocol/client/trunk';
import type { StallWatch } from '@rsio/rsiod/volumes/path-stall';
import type { VolumeTarget } from '@rsio/protocol/client/volume-target';
import { Volume } from '@rsio/rsiod/volumes/volume';
import { override } from '../../base/override.ts';
import { all, type Mutant, type PrivateAs } from './mutant.ts';

interface TrunkInner {
  closeAll: PrivateAs<Trunk['closeAll'], (reason: string) => void>;
  submit: PrivateAs<Trunk['submit'], (request: Request) => void>;
}

interface VolumeInner {
  readonly clock: PrivateAs<Volume['clock'], Clock>;
  readonly target: PrivateAs<Volume['target'], VolumeTarget>;
  /** This member is undefined until the constructor of Volume has ended. */
  readonly stall?: PrivateAs<Volume['stall'], StallWatch>;
  abandon: PrivateAs<Volume['abandon'], () => void>;
}

/** Returns a copy of the request that has its own buffer and that no caller waits for. */
function copyOf(request: Request): Request {
  const own = { buffer: Buffer.from(request.buffer), events: { requestDone: () => undefined }, slot: -1, rangeEnd: 0 };
  return Object.assign(new Request(), request, own satisfies Partial<Request>);
}

export const STALL_MUTANTS: readonly Mutant[] = [
  {
    name: 'stays-in-session',
    rule: 'E1',
    breaks: 'I/O in flight is abandoned, and the session continues without a fence',
    apply: () =>
      all(
        override(Trunk, 'leaveSession', () => () => undefined),
        override(Trunk, 'fence', () => () => true),
      ),
  },
  {
    name: 'fences-only',
    rule: 'E1',
    breaks: 'I/O in flight is abandoned, and new I/O is sent once every path that carried it is FENCED',
    apply: () =>
      all(
        override<TrunkInner, [], void>(Trunk, 'leaveSession', () => (self) => {
          self.closeAll('Requests were abandoned');
        }),
        override(Trunk, 'fence', () => () => false),
      ),
  },
  {
    name: 'session-left',
    rule: 'E1',
    breaks: "The session is abandoned for one volume's I/O although its handle could be revoked, and all volumes stall",
    apply: () => override(Trunk, 'fence', () => () => false),
  },
  {
    name: 'given-up-receives',
    rule: 'E1',
    breaks: 'The rest of an arriving answer is still written into the buffer of the abandoned request',
    explorer: 'given-up',
    apply: () =>
      override<Dispatcher, [Attachment, unknown], unknown>(
        Dispatcher,
        'abandon',
        (original) => (self, attachment) => original(self, attachment, []),
      ),
  },
  {
    name: 'detach-leaves-out',
    rule: 'E1',
    breaks: 'A detach by force does not abandon the I/O in flight',
    apply: () =>
      override<Volume, [], void>(Volume, 'abandon', (original) => (self) => {
        if (self.target.standing === 'halted') original(self);
      }),
  },
  {
    name: 'given-up-again',
    rule: 'E1',
    breaks: 'An abandoned change is still sent again',
    apply: () =>
      override<TrunkInner, [Attachment], Request[]>(Trunk, 'abandon', (original) => (self, attachment) => {
        const given = original(self, attachment);
        for (const request of given) self.submit(copyOf(request));
        return given;
      }),
  },
  {
    name: 'stall-unheeded',
    rule: 'E2',
    breaks: 'I/O waits on after its time is over',
    apply: () => override(Volume, 'abandon', () => () => undefined),
  },
  {
    name: 'stall-impatient',
    rule: 'E2',
    breaks: 'I/O fails as soon as the last path is lost',
    apply: () =>
      override<VolumeInner, [], void>(Volume, 'standingChanged', (original) => (self) => {
        original(self);
        const policy = self.stall?.policy ?? 'forever';
        if (policy !== 'forever' && self.target.standing === 'halted') self.clock.soon(() => self.abandon());
      }),
  },
];
