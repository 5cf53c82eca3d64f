// Mutants of rule S11: a handle with abandoned I/O is fenced, while the session and its other volumes continue. The zoo runs them. If the
// server would cut the damage short as an error of the client, the mutant breaks that guard as well, and says so.

import { Attachment } from '@rsio/protocol/client/attachment';
import { HandleFences } from '@rsio/protocol/client/handle-fences';
import { SlotTable } from '@rsio/protocol/link/slot-table';
import { Slots } from '@rsio/protocol/client/requests/slots';
import { Trunk } from '@rsio/protocol/client/trunk';
import { STATUS, type Status } from '@rsio/protocol/wire/status';
import { SessionVolumes } from '@rsio/rssrv/session/session-volumes';
import { override } from '../../base/override.ts';
import { all, type Mutant } from './mutant.ts';

interface FencedSlots {
  readonly slots: { fencedHandle: number }[];
}

interface FencedAttachment {
  isFenced: boolean;
  leaveRevoked(): void;
}

export const REVOKE_MUTANTS: readonly Mutant[] = [
  {
    name: 'revoked-early',
    rule: 'S11',
    breaks: 'REVOKED is said while what was begun on the handle still executes',
    apply: () =>
      override<SessionVolumes, [number], Promise<Status>>(SessionVolumes, 'revokeHandle', (original) => (self, handle) => {
        void original(self, handle);
        return Promise.resolve(STATUS.OK);
      }),
  },
  {
    name: 'revoke-ignored',
    rule: 'S11',
    breaks: 'REVOKED is said and the handle goes on: what comes late is executed',
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
    breaks: 'The seq of what was given up and never seen is not used up at the server',
    apply: () => override(SlotTable, 'abandon', () => () => true),
  },
  {
    name: 'revoke-unasked',
    rule: 'S11',
    breaks: 'REVOKE that went down with its path, or fell silent with it, is not asked again',
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
    breaks: 'A volume that was detached by force is released before REVOKED',
    apply: () =>
      override<Trunk, [Attachment, () => void], void>(Trunk, 'whenUnfenced', () => (_self, _attachment, unfenced) => {
        unfenced();
      }),
  },
];
