// Implements `client kick`, `fence`, `unfence` and `release`, which end sessions or holds of a client. rssrv executes the orders;
// packages/rssrv/src/volumes/fences.ts explains fences. Invariant: `client fence` succeeds only if the server executes no further request
// of the client; every other outcome is an error.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { SERVER_METHODS } from '@rsio/api/rssrv/server-methods';
import { escapeControls } from '@rsio/base/lib/printable';
import { volumeName } from '@rsio/api/views/values';
import { type AdmContext, defineCommand } from '../cli/context.ts';

const COMPLETES_CLIENTS = `"\${ask[@]}" client list | tail -n +2 | cut -d' ' -f1`;

export const CLIENT_KICK = defineCommand({
  call: { by: 'words', words: 'client kick' },
  synopsis: 'client kick NAME',
  summary: 'ends the session of a client, which then reconnects',
  details: `The I/O of the client pauses until it has a new session; nothing is lost. The
command returns when the old session has ended.`,
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['client-kick'].result,
  operands: { min: 1, max: 1 },
  completes: COMPLETES_CLIENTS,
  run: async (context, { json }, [name = '']) => {
    const ended = await context.call('client-kick', { name });
    if (json) return printJson(context, ended);
    context.out(ended.wasConnected ? `The session of ${escapeControls(name)} has ended\n` : `${escapeControls(name)} had no session\n`);
    return undefined;
  },
});

export const CLIENT_FENCE = defineCommand({
  call: { by: 'words', words: 'client fence' },
  synopsis: 'client fence NAME',
  summary: 'keeps a client out, and waits until its requests have ended',
  details: `After success, no write of the client reaches a volume of this server until
rsadm client unfence NAME, even if rssrv restarts. The client keeps its holds
until another client takes them over or rsadm client release ends them. If a
request of the client still runs after 30 s, the command fails, and that request
may still write. The fence remains; repeat the command to wait again. The
command does not affect the client on other servers.`,
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['client-fence'].result,
  operands: { min: 1, max: 1 },
  completes: COMPLETES_CLIENTS,
  run: async (context, { json }, [name = '']) => {
    const ended = await context.call('client-fence', { name });
    if (json) return printJson(context, ended);
    context.out(`${escapeControls(name)} is fenced: nothing of it can run on this server\n`);
    tellHolds(context, name, ended.volumes);
    if (!ended.isClean) {
      context.note('its server process was killed, so that its last writes may be lost if this machine crashes before they are on disk');
    }
    return undefined;
  },
});

export const CLIENT_UNFENCE = defineCommand({
  call: { by: 'words', words: 'client unfence' },
  synopsis: 'client unfence NAME',
  summary: 'lets a fenced client in again',
  options: { json: JSON_OPTION },
  json: SERVER_METHODS['client-unfence'].result,
  operands: { min: 1, max: 1 },
  completes: COMPLETES_CLIENTS,
  run: async (context, { json }, [name = '']) => {
    const answer = await context.call('client-unfence', { name });
    if (json) return printJson(context, answer);
    context.out(answer.wasFenced ? `${escapeControls(name)} may connect again\n` : `${escapeControls(name)} was not fenced\n`);
    return undefined;
  },
});

export const CLIENT_RELEASE = defineCommand({
  call: { by: 'words', words: 'client release' },
  synopsis: 'client release NAME [--volume V] [--force]',
  summary: 'ends the holds of a client that does not come back',
  details: `The client must have no session. rssrv syncs each volume first. If the client
comes back, its I/O on the volume fails, and writes that it had not sent are
lost. --force also ends holds on volumes whose storage may have lost
acknowledged writes, although only the client can send these writes again. For
--force, the client must be fenced.`,
  options: {
    volume: { kind: 'text', value: 'V', help: 'only the hold on this volume' },
    force: { kind: 'flag', help: 'also give up writes that only the client still has' },
    json: JSON_OPTION,
  },
  json: SERVER_METHODS['client-release'].result,
  operands: { min: 1, max: 1 },
  completes: COMPLETES_CLIENTS,
  run: async (context, { volume, force, json }, [name = '']) => {
    const one = volume === null ? null : volumeName(volume, 'rsadm');
    const answer = await context.call('client-release', { name, volume: one?.name ?? null, universe: one?.universe ?? 0, force });
    if (json) return printJson(context, answer);
    for (const released of answer.released) context.out(`${escapeControls(name)} no longer holds ${escapeControls(released)}\n`);
    if (answer.released.length === 0) context.note(`${name} holds nothing`);
    return undefined;
  },
});

function tellHolds({ note }: AdmContext, name: string, volumes: readonly string[]): void {
  if (volumes.length > 0) note(`${name} still holds ${volumes.join(', ')}: take them over, or run rsadm client release ${name}`);
}
