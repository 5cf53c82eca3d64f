// Mutants of rules R1 and R2: the requests that a client sends again after the storage has started a new incarnation, and their order. If
// assertions of the replay log would limit the damage, the mutant also breaks the assertions, and says so. The zoo runs these mutants. No
// mutant lets new changes overtake changes that are sent again: O1 holds back overlapping changes, and other changes do no harm.

import { Attachment } from '@rsio/protocol/client/attachment';
import { changesContent } from '@rsio/protocol/client/requests/overlap';
import { Opener } from '@rsio/protocol/client/opener';
import type { Replay } from '@rsio/protocol/client/replay/replay';
import { ReplayLog } from '@rsio/protocol/client/replay/replay-log';
import type { GrowingQueue } from '@rsio/base/lib/growing-queue';
import { ReplaySender } from '@rsio/protocol/client/replay/replay-sender';
import type { Request } from '@rsio/protocol/client/requests/request';
import { OP } from '@rsio/protocol/wire/frames';
import { OpenAnswer, type OpenRequest } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { ClientIdentity, Grant } from '@rsio/rssrv/volumes/holds/grants';
import { type GrantPorts, Holds } from '@rsio/rssrv/volumes/holds/holds';
import { override, overrideGetter } from '../../base/override.ts';
import { all, type Mutant, type PrivateAs } from './mutant.ts';

interface AttachmentInner {
  name: PrivateAs<Attachment['name'], string>;
  phase: PrivateAs<Attachment['phase'], string>;
  volume: PrivateAs<Attachment['volume'], OpenAnswer | null>;
  log: PrivateAs<Attachment['log'], ReplayLog | null>;
  admission: PrivateAs<Attachment['admission'], { log: ReplayLog | null }>;
  sendable: PrivateAs<Attachment['sendable'], GrowingQueue<Request>>;
  resends: PrivateAs<Attachment['resends'], Request[]>;
  resendsInFlight: PrivateAs<Attachment['resendsInFlight'], number>;
  replays: PrivateAs<Attachment['replays'], { hasNext: boolean; replay: Replay | null; drop(): void }>;
  moveTo: PrivateAs<Attachment['moveTo'], (phase: string, reason: string) => void>;
  leaveResending: PrivateAs<Attachment['leaveResending'], () => void>;
}

interface ReplayInner {
  incarnation: PrivateAs<Replay['incarnation'], string>;
  out: PrivateAs<Replay['out'], number>;
  readonly hasNext: PrivateAs<Replay['hasNext'], boolean>;
}

interface LogInner {
  incarnation: PrivateAs<ReplayLog['incarnation'], string | null>;
  replay: PrivateAs<ReplayLog['replay'], ReplayInner | null>;
  blocks: PrivateAs<ReplayLog['blocks'], { pool: object }>;
}

type GrantArguments = [volumeId: string, client: ClientIdentity, request: OpenRequest, ports: GrantPorts];

const isRead = ({ op }: Request): boolean => op === OP.READ;
const isFlush = ({ op }: Request): boolean => op === OP.FLUSH;
const isChange = ({ op }: Request): boolean => changesContent(op);

/**
 * In this phase, sends the first waiting request for which `may` returns true. Returns false if it sent no request, because no such request
 * waits or the attachment is in another phase.
 */
function isEarly(self: AttachmentInner, phase: string, may: (request: Request) => boolean): boolean {
  if (self.phase !== phase) return false;
  const waiting = self.sendable.takeAll();
  const at = waiting.findIndex(may);
  if (at >= 0) waiting.unshift(...waiting.splice(at, 1));
  for (const request of waiting) self.sendable.push(request);
  return at >= 0;
}

/** In this phase, sends new requests for which `may` returns true before all others. */
function early(phase: string, may: (request: Request) => boolean): () => void {
  return all(
    overrideGetter<AttachmentInner, boolean>(Attachment, 'hasSendable', (self, original) => isEarly(self, phase, may) || original(self)),
    override<AttachmentInner, [], Request>(
      Attachment,
      'peek',
      (original) => (self) => (isEarly(self, phase, may) ? self.sendable.peek()! : original(self)),
    ),
    override<AttachmentInner, [], Request | null>(Attachment, 'next', (original) => (self) => {
      if (!isEarly(self, phase, may)) return original(self);
      self.phase = 'ready';
      const request = original(self);
      self.phase = phase;
      // Counts the request among the requests that were sent again, because its answer will reduce their number by one.
      if (phase === 'resending' && request !== null && isChange(request)) self.resendsInFlight++;
      return request;
    }),
    lettingAnswersPass('answered'),
    lettingAnswersPass('flushed'),
  );
}

/** Makes the log accept answers during a replay. */
function lettingAnswersPass(method: string): () => void {
  return override<LogInner, unknown[], void>(ReplayLog, method, (original) => (self, ...args) => {
    const { replay } = self;
    self.replay = null;
    original(self, ...args);
    self.replay = replay;
  });
}

function sentIsDone(): () => void {
  return override<AttachmentInner, [], Request | null>(Attachment, 'next', (original) => (self) => {
    const { replay } = self.replays;
    const request = original(self);
    if (self.phase !== 'replaying' || replay === null || replay.hasNext) return request;
    const log = self.log as unknown as LogInner;
    log.incarnation = replay.incarnation;
    log.replay = null;
    self.replays.drop();
    self.moveTo('resending', '');
    self.leaveResending();
    return request;
  });
}

function resendInReplay(): () => void {
  const sent = new WeakSet<Request>();
  const isOne = (self: AttachmentInner): boolean => self.phase === 'replaying' && self.resends.length > 0;
  return all(
    overrideGetter<AttachmentInner, boolean>(Attachment, 'hasSendable', (self, original) => isOne(self) || original(self)),
    override<AttachmentInner, [], Request>(
      Attachment,
      'peek',
      (original) => (self) => self.resends.at(isOne(self) ? -1 : Infinity) ?? original(self),
    ),
    override<AttachmentInner, [], Request | null>(Attachment, 'next', (original) => (self) => {
      if (!isOne(self)) return original(self);
      const request = self.resends.pop()!;
      sent.add(request);
      return request;
    }),
    override<AttachmentInner, [Request, number], void>(Attachment, 'answered', (original) => (self, request, status) => {
      if (sent.delete(request) && self.phase === 'resending') self.resendsInFlight++;
      original(self, request, status);
    }),
    lettingAnswersPass('answered'),
  );
}

/** Gives a new hold to a client that returns after a loss, if the volume is free. */
function grantingAnew(): () => void {
  return override<Holds, GrantArguments, Promise<Grant>>(
    Holds,
    'grant',
    (original) => (self, volumeId, client, request, ports) => original(self, volumeId, client, { ...request, resume: null }, ports),
  );
}

function anyIdentity(): () => void {
  return override<object, [AttachmentInner, Buffer | undefined], void>(Opener, 'answered', (original) => (self, attachment, body) => {
    const { identity } = OpenAnswer.decode(body!, 0, body!.length);
    if (attachment.volume !== null) attachment.volume = { ...attachment.volume, identity };
    original(self, attachment, body);
  });
}

/** Keeps the replay logs of ended attachments. The next attachment of the same volume in the same process gets the log back. */
function logsThatStay(): () => void {
  const kept = new WeakMap<object, Map<string, ReplayLog>>();
  const of = (log: ReplayLog): Map<string, ReplayLog> => {
    const { pool } = (log as unknown as LogInner).blocks;
    const logs = kept.get(pool) ?? new Map<string, ReplayLog>();
    kept.set(pool, logs);
    return logs;
  };
  return all(
    override<AttachmentInner, [string, string], void>(Attachment, 'moveTo', (original) => (self, phase, reason) => {
      const { log } = self.admission;
      if (phase === 'failed' && log !== null && !log.isEmpty) {
        of(log).set(self.name, log);
        self.admission.log = null;
      }
      original(self, phase, reason);
    }),
    override<AttachmentInner, [OpenAnswer], void>(Attachment, 'opened', (original) => (self, volume) => {
      const { log } = self.admission;
      const old = log === null ? undefined : of(log).get(self.name);
      if (old !== undefined && self.volume === null) {
        of(old).delete(self.name);
        self.admission.log = old;
      }
      original(self, volume);
    }),
  );
}

export const RECOVERY_MUTANTS: readonly Mutant[] = [
  {
    name: 'replay-after-takeover',
    rule: 'R1',
    breaks: 'A client that gets a lost volume back sends its log again (and a server without `resume` lets it)',
    apply: () => all(grantingAnew(), anyIdentity()),
  },
  {
    name: 'log-survives-identity',
    rule: 'R1',
    breaks: 'The log of a lost volume becomes that of the next attachment',
    apply: logsThatStay,
  },
  {
    name: 'adopt-at-open',
    rule: 'R2',
    breaks: 'The log adopts the new incarnation when OPEN is answered, before it was sent again',
    apply: () =>
      override<LogInner, [string], Replay | null>(ReplayLog, 'opened', (original) => (self, life) => {
        const replay = original(self, life);
        self.incarnation = life;
        return replay;
      }),
  },
  {
    name: 'replay-sent-is-done',
    rule: 'R2',
    breaks: 'The log adopts the new incarnation when all of it is sent, before it is answered',
    apply: sentIsDone,
  },
  {
    name: 'replay-error-ignored',
    rule: 'R2',
    breaks: 'A part of the log that is answered with an error counts as restored',
    apply: () =>
      override<object, [Request, number, ReplayLog], string>(
        ReplaySender,
        'answered',
        (original) => (self, request, _status, log) => original(self, request, STATUS.OK, log),
      ),
  },
  {
    name: 'replay-goes-on',
    rule: 'R2',
    breaks: 'An interrupted replay continues where it was, even in another incarnation',
    apply: () =>
      override<LogInner, [string], ReplayInner | null>(ReplayLog, 'opened', (original) => (self, life) => {
        const before = self.replay;
        const replay = original(self, life);
        if (replay === null || before === null || !before.hasNext) return replay;
        before.incarnation = life;
        before.out = 0;
        self.replay = before;
        return before;
      }),
  },
  {
    name: 'resend-in-replay',
    rule: 'R2',
    breaks: 'Unanswered requests are sent again together with the log (which takes the answers)',
    apply: resendInReplay,
  },
  {
    name: 'reads-in-replay',
    rule: 'R2',
    breaks: 'READs are sent while the log is sent again',
    apply: () => early('replaying', isRead),
  },
  {
    name: 'writes-in-replay',
    rule: 'R2',
    breaks: 'New changes are sent while the log is sent again (which takes the answers)',
    apply: () => early('replaying', isChange),
  },
  {
    name: 'flush-in-replay',
    rule: 'R2',
    breaks: 'FLUSH is sent while the log is sent again (which takes the answer)',
    apply: () => early('replaying', isFlush),
  },
  {
    name: 'reads-in-resend',
    rule: 'R2',
    breaks: 'READs are sent while unanswered changes are sent again',
    apply: () => early('resending', isRead),
  },
];
