// Mutants of rule S11: a handle with abandoned I/O is fenced, while the session and its other volumes continue. The zoo runs these mutants.
// If a protocol error of the server would limit the damage, the mutant also prevents this error, and says so.

import { Attachment } from '@rsio/protocol/client/attachment';
import { HandleFences } from '@rsio/protocol/client/handle-fences';
import { SlotTable } from '@rsio/protocol/link/slot-table';
import { Slots } from '@rsio/protocol/client/requests/slots';
import { Trunk } from '@rsio/protocol/client/trunk';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import type { OpenVolume } from '@rsio/rssrv/session/request';
import { SessionVolumes } from '@rsio/rssrv/session/session-volumes';
import { override } from '../../base/override.ts';
import { all, type Mutant, type PrivateAs } from './mutant.ts';

interface FencedSlots {
  readonly slots: { fencedHandle: number }[];
}

interface FencedAttachment {
  isFenced: boolean;
  leaveRevoked(): void;
}

interface ReleasingVolumes {
  open: PrivateAs<SessionVolumes['open'], Map<number, OpenVolume>>;
}

export const REVOKE_MUTANTS: readonly Mutant[] = [
  {
    name: 'revoked-early',
    rule: 'S11',
    breaks: 'REVOKED is sent while requests of the handle still execute',
    apply: () =>
      override<SessionVolumes, [number], Promise<Status>>(SessionVolumes, 'revokeHandle', (original) => (self, handle) => {
        void original(self, handle);
        return Promise.resolve(STATUS.OK);
      }),
  },
  {
    name: 'revoke-ignored',
    rule: 'S11',
    breaks: 'REVOKED is sent and the handle stays valid, so late requests execute',
    apply: () =>
      all(
        override<SessionVolumes, [number], Promise<Status>>(SessionVolumes, 'revokeHandle', () => () => Promise.resolve(STATUS.OK)),
        override(SlotTable, 'abandon', () => () => true),
        override<FencedSlots, [number], void>(Slots, 'settle', (original) => (self, index) => {
          self.slots[index]!.fencedHandle = -1;
          original(self, index);
        }),
      ),
  },
  {
    name: 'tags-ignored',
    rule: 'S11',
    breaks: 'The server does not use up the seq of an abandoned request that it has never seen',
    apply: () => override(SlotTable, 'abandon', () => () => true),
  },
  {
    name: 'revoke-unasked',
    rule: 'S11',
    breaks: 'A REVOKE lost with a dead or silent path is not sent again',
    apply: () =>
      all(
        override(HandleFences, 'pathDied', () => () => undefined),
        override(HandleFences, 'distrust', () => () => undefined),
      ),
  },
  {
    name: 'revoke-unawaited',
    rule: 'S11',
    breaks: 'A volume is opened again before REVOKED',
    apply: () =>
      override<FencedAttachment, [], void>(Attachment, 'fence', (original) => (self) => {
        original(self);
        self.isFenced = false;
        self.leaveRevoked();
      }),
  },
  {
    name: 'detach-unawaited',
    rule: 'S11',
    breaks: 'A volume detached by force is released before REVOKED, and the server answers CLOSE before the revoked handle has ended',
    apply: () =>
      all(
        override<Trunk, [Attachment, () => void], void>(Trunk, 'whenUnfenced', () => (_self, _attachment, unfenced) => {
          unfenced();
        }),
        override<ReleasingVolumes, [Pick<OpenVolume, 'volume'>], Promise<void>>(
          SessionVolumes,
          'releaseUnlessOpen',
          (original) => async (self, left) => {
            if ([...self.open.values()].some(({ volume }) => volume.id === left.volume.id)) return;
            await original(self, left);
          },
        ),
      ),
  },
];
