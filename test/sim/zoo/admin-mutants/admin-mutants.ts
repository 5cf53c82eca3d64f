// Mutants of commands that clients send to a server (A1 to A6, G52, G53): rights, repeated requests, requests that nobody waits for, the pace of
// lists, long answers, and the announcements of changes. The zoo hunts these mutants in the worlds of explorers/admin-worlds.ts,
// explorers/list-worlds.ts and explorers/namespace-worlds.ts.

import type { ServerMethodName } from '@rsio/api/rssrv/server-methods';
import { NamespaceSpread } from '@rsio/api/manage/namespace-spread';
import { Audit, type Order } from '@rsio/rssrv/admin/audit';
import { FileMemory } from '@rsio/rssrv/admin/namespace/applied-file';
import { NamespaceFiles } from '@rsio/rssrv/admin/namespace/namespace-handlers';
import { ClientPace, ReadTurns } from '@rsio/rssrv/admin/remote/client-pace';
import { LongAnswers } from '@rsio/rssrv/admin/remote/long-answers';
import { RemoteAsker } from '@rsio/rssrv/admin/remote/remote-requests';
import { Journal } from '@rsio/rssrv/pools/requests/journal';
import { Execution } from '@rsio/rssrv/pools/requests/requests';
import { ListAnnouncements } from '@rsio/rssrv/server/workers/list-announcements';
import { override } from '../../base/override.ts';
import type { Mutant } from '../mutants/mutant.ts';

type Changed = Parameters<ListAnnouncements['changed']>;

const REQUESTS: readonly Mutant[] = [
  {
    name: 'rights-at-arrival',
    rule: 'A1',
    also: ['G18'],
    breaks: 'The rights of a client are checked when its request arrives, and not again when it begins',
    apply: () => {
      const checked = new WeakSet<RemoteAsker>();
      return override<RemoteAsker, [ServerMethodName], void>(RemoteAsker, 'check', (original) => (self, method) => {
        if (!checked.has(self)) original(self, method);
        checked.add(self);
      });
    },
  },
  {
    name: 'answer-forgotten',
    rule: 'A2',
    also: ['G17'],
    breaks: 'A repeated request is executed again, although its answer is in the journal',
    apply: () => override(Journal, 'find', () => () => null),
  },
  {
    name: 'change-unwanted',
    rule: 'A3',
    breaks: 'A change begins, although its client has gone or waits no longer',
    apply: () => override(Execution, 'checkWanted', () => () => undefined),
  },
  {
    name: 'lists-of-client',
    rule: 'A4',
    breaks: 'The server makes several lists for one client at once',
    apply: () => override<object, [() => Promise<unknown>], Promise<unknown>>(ClientPace, 'read', () => (_self, work) => work()),
  },
  {
    name: 'lists-of-all',
    rule: 'A4',
    breaks: 'The server makes lists for any number of clients at once',
    apply: () => override<object, [() => Promise<unknown>], Promise<unknown>>(ReadTurns, 'take', () => (_self, work) => work()),
  },
  {
    name: 'answer-number-again',
    rule: 'A5',
    breaks: 'A long answer gets the number of an earlier one that is still being read',
    apply: () => override(LongAnswers, 'freeNumber', () => () => 1),
  },
];

type Recorded = [Order, { readonly outcome: string }];

const AUDIT: readonly Mutant[] = [
  {
    name: 'audit-late',
    rule: 'G52',
    breaks: 'An order is answered before the audit has it',
    apply: () =>
      override<Audit, Recorded, Promise<void>>(Audit, 'record', (original) => (self, order, outcome) => {
        void original(self, order, outcome);
        return Promise.resolve();
      }),
  },
  {
    name: 'audit-done-only',
    rule: 'G52',
    breaks: 'The audit has no refused orders',
    apply: () =>
      override<Audit, Recorded, Promise<void>>(
        Audit,
        'record',
        (original) => (self, order, outcome) => (outcome.outcome === 'done' ? original(self, order, outcome) : Promise.resolve()),
      ),
  },
];

const LISTS: readonly Mutant[] = [
  {
    name: 'told-after-only',
    rule: 'A6',
    breaks: 'A client that may no longer attach a changed volume is not told of the change',
    apply: () =>
      override<object, Changed, void>(
        ListAnnouncements,
        'changed',
        (original) => (self, grown, seenBy) => original(self, grown, seenBy?.slice(-1) ?? null),
      ),
  },
  {
    name: 'told-to-all',
    rule: 'A6',
    breaks: 'Every client is told of a change, and reads its list again',
    apply: () => override<object, Changed, void>(ListAnnouncements, 'changed', (original) => (self, grown) => original(self, grown, null)),
  },
];

type SessionKeys = ReadonlyMap<string, 'old' | 'new' | null>;
type Answers = [readonly { readonly answer: object | null }[], readonly string[] | null];

const NAMESPACES: readonly Mutant[] = [
  {
    name: 'key-ends-unproven',
    rule: 'G53',
    breaks: 'The old key of a client ends, although no session has proved the new one',
    apply: () => override<NamespaceFiles, [], SessionKeys>(NamespaceFiles, 'sessionKeys', () => () => new Map([['venus', 'new']])),
  },
  {
    name: 'key-ends-while-away',
    rule: 'G53',
    breaks: 'An old key ends, although a server that is away does not have the new one',
    apply: () =>
      override<object, Answers, string[]>(
        NamespaceSpread,
        'endable',
        (original) => (self, answers, only) =>
          original(
            self,
            answers.filter(({ answer }) => answer !== null),
            only,
          ),
      ),
  },
  {
    name: 'older-file-taken',
    rule: 'G53',
    breaks: 'A server takes a file, although it has a newer one, or another one of the same generation',
    apply: () => override(FileMemory, 'checkNewer', () => () => undefined),
  },
  {
    name: 'asker-shut-out',
    rule: 'G53',
    breaks: 'A file takes the right admin from the client that applies it',
    apply: () => override(NamespaceFiles, 'checkOutcome', () => () => undefined),
  },
];

export const ADMIN_MUTANTS: readonly Mutant[] = [
  ...[...REQUESTS, ...AUDIT].map((mutant): Mutant => ({ ...mutant, explorer: 'admin' })),
  ...LISTS.map((mutant): Mutant => ({ ...mutant, explorer: 'lists' })),
  ...NAMESPACES.map((mutant): Mutant => ({ ...mutant, explorer: 'namespaces' })),
];
