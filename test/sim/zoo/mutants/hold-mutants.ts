// Mutants of rules H1 to H4: which client holds a volume, which requests must end before the next grant, and the behaviour of a client that
// has lost a volume. The mutants break the production Holders, the revoking of sessions and the client's attachments. Where production code
// decides by processes and files that the simulator lacks, a mutant breaks the simulator's listener instead, and says so. The zoo runs
// these mutants.

import { RsError } from '@rsio/base/lib/errors';
import { Attachment } from '@rsio/protocol/client/attachment';
import { Opener } from '@rsio/protocol/client/opener';
import { type OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { Server } from '@rsio/rsiod/network/server';
import type { ClientIdentity, Grant } from '@rsio/rssrv/volumes/holds/grants';
import type { Opening } from '@rsio/rssrv/volumes/holds/hold-rules';
import { HoldStore } from '@rsio/rssrv/volumes/holds/hold-store';
import { type GrantPorts, Holds } from '@rsio/rssrv/volumes/holds/holds';
import type { OpenVolume } from '@rsio/rssrv/session/request';
import type { ServedVolume } from '@rsio/rssrv/storage/io/served-volume';
import { SessionVolumes } from '@rsio/rssrv/session/session-volumes';
import { override } from '../../base/override.ts';
import { SimFacts } from '../../machines/sim-facts.ts';
import { SimMachine } from '../../machines/sim-machine.ts';
import { SimSession } from '../../machines/sim-session.ts';
import { all, type Mutant, type PrivateAs } from './mutant.ts';

type GrantArguments = [volumeId: string, client: ClientIdentity, request: OpenRequest, ports: GrantPorts];
type EndOthers = [volume: ServedVolume, opening: Opening, ports: GrantPorts];

interface VolumesInner {
  open: PrivateAs<SessionVolumes['open'], Map<number, OpenVolume>>;
  opening: PrivateAs<SessionVolumes['opening'], Set<unknown>>;
}

interface SessionInner {
  claimant: PrivateAs<SimSession['claimant'], ClientIdentity>;
  uses: SimSession['uses'];
  host: PrivateAs<SimSession['host'], { holds(): { holders: Holds } }>;
}

interface AttachmentInner {
  phase: PrivateAs<Attachment['phase'], string>;
  slotsHeld: PrivateAs<Attachment['slotsHeld'], number>;
}

interface OpenerInner {
  openAfter: PrivateAs<Opener['openAfter'], (attachment: Attachment, delayMs: number) => void>;
}

const FOR_EVER = Number.MAX_SAFE_INTEGER;

/** Changes each OPEN with `change` before the holders get it. */
function otherRequest(change: (request: OpenRequest) => OpenRequest): () => void {
  return override<Holds, GrantArguments, Promise<Grant>>(
    Holds,
    'grant',
    (original) => (self, volumeId, client, request, ports) => original(self, volumeId, client, change(request), ports),
  );
}

/** Changes the ports of steps 1 and 2 of a take-over with `change`. */
function otherSteps(change: (ports: GrantPorts) => Partial<GrantPorts>): () => void {
  return override<Holds, EndOthers, Promise<string | null>>(
    Holds,
    'endOthers',
    (original) => (self, volume, opening, ports) => original(self, volume, opening, { ...ports, ...change(ports) }),
  );
}

const LISTENER_SIDE: readonly Mutant[] = [
  {
    name: 'hold-ends-with-session',
    rule: 'H1',
    breaks: 'A hold ends when the process of its session ends',
    apply: () =>
      override<SessionInner, [], void>(SimSession, 'gone', (original) => (self) => {
        const { holders } = self.host.holds();
        for (const volume of self.uses) void holders.release(volume, self.claimant, FOR_EVER);
        original(self);
      }),
  },
  {
    name: 'no-wait',
    rule: 'H2',
    breaks: "A volume is granted before the previous holder's process has released it",
    apply: () =>
      otherSteps((ports) => ({
        revokeHold: async (...hold) => {
          void ports.revokeHold(...hold);
          return true;
        },
      })),
  },
  {
    name: 'no-fsync',
    rule: 'H2',
    breaks: "A volume is granted without a sync of the previous holder's writes",
    apply: () => otherSteps(() => ({ sync: async () => undefined })),
  },
  {
    name: 'epoch-after-grant',
    rule: 'H2',
    breaks: 'A grant is answered before the new holder is recorded',
    apply: () =>
      override<HoldStore, [string, unknown, unknown], Promise<void>>(HoldStore, 'change', (original) => async (self, ...change) => {
        void original(self, ...change);
      }),
  },
  {
    name: 'epoch-volatile',
    rule: 'H2',
    breaks: 'Holders and epochs are kept where a boot clears them (of the simulated machine)',
    apply: () =>
      override<SimMachine, [], void>(SimMachine, 'crashed', (original) => (self) => {
        self.file.kept = null;
        self.ledgers.clear();
        original(self);
      }),
  },
  {
    name: 'kept-in-two-files',
    rule: 'H1',
    breaks: 'The file of holders names the holds of a pool, too, so that a start may read an entry that the ledger does not have',
    apply: () => override<HoldStore, [string], void>(HoldStore, 'keptBy', () => () => undefined),
  },
  {
    name: 'resume-ungated',
    rule: 'H2',
    breaks: 'A client that returns after a loss gets a new hold if the volume is free by then',
    apply: () => otherRequest((request) => ({ ...request, resume: null })),
  },
  {
    name: 'no-grace',
    rule: 'H3',
    breaks: 'A take-over does not wait for a holder that has to send lost writes again',
    apply: () => otherRequest((request) => (request.take === TAKE.OVER ? { ...request, take: TAKE.FORCE } : request)),
  },
  {
    name: 'no-memory',
    rule: 'H4',
    breaks: 'A replaced instance may return',
    apply: () => override(Holds, 'isCurrent', () => () => true),
  },
  {
    name: 'replaced-elsewhere',
    rule: 'H4',
    breaks: 'An instance that another machine has replaced is not remembered',
    apply: () =>
      all(
        override<Holds, [ClientIdentity, unknown], Promise<void>>(
          Holds,
          'noteInstance',
          (original) => (self, client) => original(self, client, null),
        ),
        override<HoldStore, [volume: string, holds: unknown, node: string, notes?: unknown], Promise<void>>(
          HoldStore,
          'change',
          (original) => (self, volume, holds, node) => original(self, volume, holds, node),
        ),
      ),
  },
  {
    name: 'other-file-served',
    rule: 'H5',
    breaks: 'A held volume returns from another file (broken in the simulated server, because production checks files)',
    apply: () => override(SimFacts, 'changed', () => () => null),
  },
  {
    name: 'shorter-served',
    rule: 'H5',
    breaks: 'A held volume returns shorter than it was (of the simulated server)',
    apply: () => override(SimFacts, 'shrunk', () => () => null),
  },
  {
    name: 'copy-replaces',
    rule: 'H4',
    breaks: 'An instance with an equal number replaces a live one, whatever its boot and process',
    apply: () =>
      override<Holds, [ClientIdentity, ClientIdentity, number], boolean>(
        Holds,
        'mayReplace',
        (original) => (self, before, next, silentMs) =>
          (before.machine === next.machine && before.instance <= next.instance) || original(self, before, next, silentMs),
      ),
  },
];

const WORKER_SIDE: readonly Mutant[] = [
  {
    name: 'grant-on-close',
    rule: 'H2',
    breaks: 'A revoked handle counts as released once nothing new starts on it, while requests still execute',
    apply: () =>
      override<VolumesInner, [string, number], Promise<boolean>>(SessionVolumes, 'revoke', (original) => async (self, volume, epoch) => {
        void original(self, volume, epoch);
        return true;
      }),
  },
  {
    name: 'revoke-opens',
    rule: 'H2',
    breaks: 'An OPEN in progress while its volume is revoked still becomes a handle',
    apply: () =>
      override<VolumesInner, [string, number], Promise<boolean>>(SessionVolumes, 'revoke', (original) => (self, ...what) => {
        const { opening } = self;
        self.opening = new Set();
        const revoked = original(self, ...what);
        self.opening = opening;
        return revoked;
      }),
  },
];

const CLIENT_SIDE: readonly Mutant[] = [
  {
    name: 'stale-reported',
    rule: 'R4',
    also: ['H2'],
    breaks: 'I/O on a revoked handle ends with STALE, and the volume is not opened again',
    apply: () => override(Attachment, 'keepStale', () => () => false),
  },
  {
    name: 'stale-answered-early',
    rule: 'R4',
    also: ['H2'],
    breaks: 'A revoked volume is opened again while requests of its old handle are in flight',
    apply: () =>
      override<AttachmentInner, [], void>(Attachment, 'leaveRevoked', (original) => (self) => {
        const { slotsHeld } = self;
        self.slotsHeld = 0;
        original(self);
        self.slotsHeld = slotsHeld;
      }),
  },
  {
    name: 'replaced-waits',
    rule: 'R5',
    breaks: 'A client that another instance has replaced keeps its I/O waiting, and begins another session',
    explorer: 'replaced',
    apply: () => override(Server, 'replace', () => () => undefined),
  },
  {
    name: 'replaced-unproven',
    rule: 'R5',
    breaks: 'A REFUSE without a valid mac ends all I/O of a client',
    explorer: 'replaced',
    apply: () =>
      override<Server, [RsError], void>(
        Server,
        'connectionFailed',
        (original) => (self, error) => original(self, new RsError(error.code, error.message, { ...error.context, proved: true })),
      ),
  },
  {
    name: 'taken-waits',
    rule: 'H2',
    breaks: 'I/O of a volume that was taken over waits and is tried again',
    apply: () =>
      override<OpenerInner, [Attachment, number, string], void>(Opener, 'refused', (original) => (self, attachment, status, sentence) => {
        if (attachment.volume !== null && status === STATUS.TAKEN) self.openAfter(attachment, 1000);
        else original(self, attachment, status, sentence);
      }),
  },
  {
    name: 'attach-beside-leaving',
    rule: 'H1',
    breaks: 'A volume is opened again while an earlier attachment of it is leaving',
    apply: () => override<object, [Attachment], boolean>(Opener, 'isBehind', () => () => false),
  },
  {
    name: 'idle-deaf',
    rule: 'H2',
    breaks: 'A client without I/O never learns that it has lost its volume',
    apply: () => override(Server, 'verifyAttached', () => () => undefined),
  },
];

export const HOLD_MUTANTS: readonly Mutant[] = [...LISTENER_SIDE, ...WORKER_SIDE, ...CLIENT_SIDE];
