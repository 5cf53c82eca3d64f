// The methods of rssrv about the file of the namespace: what all its servers have in common. The rules for changing a table are in
// docs/CONTROL.md. Invariant: no answer contains a key.

import { SERVER_CHANGE_MS } from '@rsio/common/control/limits';
import { flagParam, type Param } from '@rsio/common/control/method-table';
import { count, filledText, flag, list, number, object, type Of, optional, orNull, text, whole, word } from '@rsio/base/lib/shape';
import { formatTime } from '@rsio/base/log/log-line';
import { serverMethod } from './server-method.ts';

const SECOND_KEY = object({
  client: text(),
  sessionKey: orNull(word(['old', 'new'], 'Which of its two keys its session uses here'), 'null: it has no session'),
  isNewer: flag('The file has the newer one of the two keys'),
  isProven: flag('The file has the newer key, and the session uses it, so that the older one may end'),
});
export type SecondKeyView = Of<typeof SECOND_KEY>;

const secondKeys = list(SECOND_KEY, 'Clients that have another key beside that of the file');
const extra = list(text(), 'What this server has beyond the file, such as `client big-7`');

export const APPLIED_FILE = object({
  generation: count('A file that was applied later has a higher number'),
  hash: text('Of what the file says, without comments: 16 hexadecimal digits'),
  atMs: number('When it was applied here; the time of the server'),
  by: text('Who applied it'),
});
export type AppliedFile = Of<typeof APPLIED_FILE>;

const generation: Param<number | null> = {
  shape: orNull(whole(1, Number.MAX_SAFE_INTEGER)),
  what: 'a whole number above 0, or null',
  default: null,
};

export const NAMESPACE_SHOWN = object({
  server: text(),
  namespaceid: count(),
  applied: orNull(APPLIED_FILE, 'null: no file was applied on this server'),
  drift: list(text(), 'What differs from the file that was applied last: one sentence for each change that applying it again would make'),
  extra,
  secondKeys,
});
export type NamespaceShown = Of<typeof NAMESPACE_SHOWN>;

export const NAMESPACE_METHODS = {
  'namespace-show': serverMethod({
    help: 'Which file of the namespace was applied last, and what differs from it',
    right: 'admin',
    reads: true,
    params: {},
    result: NAMESPACE_SHOWN,
    command: {
      words: 'drift',
      about: 'server',
      only: 'rsadm',
      summary: 'says what differs from the file of the namespace',
      details: `The command compares the configuration of this server with the file that was
applied last. The exit code is 0 only if nothing differs. rsconfig drift
compares all servers.`,
      example: 'drift',
      says: ({ server, applied, drift, extra: beyond, secondKeys: keys }) => ({
        lines: applied === null ? [] : [appliedText(server, applied), ...driftLines(drift, beyond)],
        notes:
          applied === null ? [`No file of the namespace was applied on ${server}: rsadm apply FILE applies one`] : restNotes(beyond, keys),
        ...(applied !== null && drift.length + beyond.length === 0 ? {} : { code: 1 }),
      }),
    },
  }),
  'namespace-apply': serverMethod({
    help: 'Makes the configuration of the server say what the text says about the namespace, its clients and peers',
    right: 'admin',
    repeats: 'harmless',
    params: {
      text: { shape: filledText(), what: 'the text of the file, with the keys in it', isSecret: true },
      plan: { ...flagParam, what: 'true to change nothing, and only to say what would change' },
      part: { ...flagParam, what: 'true if the text is about single clients: what it does not say stays' },
      clients: {
        shape: word(['any', 'new', 'known']),
        what: 'new if the clients must not be there with another key, known if they must be there, or any',
        default: 'any',
      } as Param<'any' | 'new' | 'known'>,
      prune: { ...flagParam, what: 'true to remove the clients and peers that the text does not name' },
      endKeys: { shape: list(filledText()), what: 'names of clients whose other key may end', default: [] } as Param<readonly string[]>,
      generation,
    },
    result: object({
      server: text(),
      changes: list(text(), 'One sentence for each change'),
      extra,
      secondKeys,
      applied: orNull(APPLIED_FILE, 'The file that counts as applied now'),
      isSame: optional(flag('The order has changed nothing, not even the file that counts as applied; missing: an earlier release')),
    }),
    idleIf: 'isSame',
    waitMs: SERVER_CHANGE_MS,
    command: { byHand: 'apply', because: 'it reads files' },
  }),
} as const;

export function appliedText(server: string, { generation: number_, hash, atMs, by }: AppliedFile): string {
  return `${server} has generation ${number_} (${hash}), applied at ${formatTime(atMs)} by ${by}`;
}

function driftLines(drift: readonly string[], beyond: readonly string[]): string[] {
  return drift.length + beyond.length === 0 ? ['Nothing differs from it'] : drift.map((sentence) => `applying it again: ${sentence}`);
}

/** What an administrator can do about what a server has beyond the file. */
export function beyondRemedy(beyond: readonly string[]): string {
  const them = beyond.length === 1 ? 'it' : 'them';
  const ends = beyond.some((one) => one.startsWith('peer ')) ? ', which ends the copies from a peer' : '';
  return `write ${them} into the file (rsio-namespace(5) says how), or apply --prune removes ${them}${ends}`;
}

/** Sentences about what a server has beyond the file. */
export function restNotes(extra_: readonly string[], keys: readonly SecondKeyView[]): string[] {
  return [
    ...(extra_.length === 0 ? [] : [`Not in the file: ${extra_.join(', ')}; ${beyondRemedy(extra_)}`]),
    ...keys.map(({ client, sessionKey, isNewer, isProven }) => {
      if (isProven) return `client ${client} has two keys, and uses that of the file: apply it again`;
      if (isNewer)
        return `client ${client} has two keys, and ${sessionKey === null ? 'no session' : 'uses the older one'}: give it the newer one`;
      return `client ${client} has two keys, and the file the older one: write the newer one into it, or run rsadm client rekey ${client} --cancel there`;
    }),
  ];
}
