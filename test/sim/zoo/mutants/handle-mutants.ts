// Mutants of the conditions of OPEN, and of the rules for handles: when handles end, which holds they have, and which numbers they get. The
// zoo runs these mutants. Invariant: each mutant breaks one rule, in one place.

import { Attachment } from '@rsio/protocol/client/attachment';
import { HandleRelease, type Released } from '@rsio/protocol/client/handle-release';
import { LogAdmission } from '@rsio/protocol/client/replay/log-admission';
import { Opener } from '@rsio/protocol/client/opener';
import type { OpenAnswer } from '@rsio/protocol/wire/messages';
import { HandleNumbers } from '@rsio/rssrv/session/handle-numbers';
import { override } from '../../base/override.ts';
import { all, type Mutant, type PrivateAs } from './mutant.ts';

interface AttachmentInner {
  admission: PrivateAs<Attachment['admission'], { end(): void }>;
}

interface OpeningInner {
  spare: unknown;
}

interface OpenerInner {
  openings: PrivateAs<Opener['openings'], Map<Attachment, OpeningInner>>;
  handles: PrivateAs<Opener['handles'], { drop(handle: number): void }>;
}

export const HANDLE_MUTANTS: readonly Mutant[] = [
  {
    name: 'waiting-dropped',
    rule: 'L1',
    breaks: "Changes that wait for room are forgotten when the log's own FLUSH fails",
    apply: () =>
      override<{ waiting: unknown[] }, [unknown, number], void>(LogAdmission, 'admitWithFua', () => (self) => {
        self.waiting.length = 0;
      }),
  },
  {
    name: 'log-ends-on-readonly',
    rule: 'R6',
    breaks: 'The client accepts a volume that returns read-only or shared, and ends the log',
    apply: () =>
      all(
        override(Attachment, 'whyUnfit', () => () => null),
        override<AttachmentInner, [OpenAnswer], void>(Attachment, 'opened', (original) => (self, answer) => {
          if (answer.readonly || answer.shared) self.admission.end();
          original(self, answer);
        }),
      ),
  },
  {
    name: 'other-blocks-taken',
    rule: 'R6',
    breaks: 'The client accepts a volume that returns with another block size',
    apply: () =>
      override<Attachment, [OpenAnswer], string | null>(
        Attachment,
        'whyUnfit',
        (original) => (self, answer) => original(self, { ...answer, blockSizeBytes: self.volume?.blockSizeBytes ?? answer.blockSizeBytes }),
      ),
  },
  {
    name: 'unfit-let-go',
    rule: 'R6',
    breaks: "A client that waits for its volume's properties closes it meanwhile, and loses the hold",
    apply: () =>
      override<OpenerInner, [Attachment, number, string], void>(
        Opener,
        'waitUntilFit',
        (original) => (self, attachment, handle, sentence) => {
          original(self, attachment, handle, sentence);
          self.openings.get(attachment)!.spare = null;
          self.handles.drop(handle);
        },
      ),
  },
  {
    name: 'no-renewal',
    rule: 'R7',
    breaks: 'No end leaves a session whose handle numbers are used up',
    apply: () =>
      all(
        override(HandleNumbers, 'whyEnd', () => () => null),
        override(Opener, 'renew', () => () => false),
      ),
  },
  {
    name: 'close-refused',
    rule: 'H1',
    breaks: 'CLOSE is sent while a request of the handle is in flight, and a refusal counts as the end of the hold',
    apply: () =>
      all(
        override<object, [() => void], void>(Attachment, 'whenNothingInFlight', () => (_self, then) => then()),
        override<object, [number, number, string | null, Released], void>(
          HandleRelease,
          'later',
          () => (_self, _tries, _ms, _sentence, released) => released(null),
        ),
      ),
  },
];
