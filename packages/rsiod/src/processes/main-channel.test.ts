// A data process's end of the channel: what it sends must pass the checks of the main process. Invariant: a long
// text in a message never makes the main process end the data process.

import { RsError } from '@rsio/base/lib/errors';
import { expect, test } from 'vitest';
import type { DeviceNote } from '../keeper/device-note.ts';
import { type ChannelUser, MainChannel } from './main-channel.ts';
import { PROCESS_TEXT_MAX_CHARS } from './limits.ts';
import { type Begin, checkedMessage, type FromProcess } from './messages.ts';

const LONG = 'osl:a@0 is in use by mount point /mnt; '.repeat(PROCESS_TEXT_MAX_CHARS);

test('long errors and warnings are cut, and their beginning arrives', async () => {
  const sent: FromProcess[] = [];
  const channel = new MainChannel({} as Begin, (message) => sent.push(checkedMessage(message)));
  channel.warn(LONG);
  const refuse = (): never => {
    throw new RsError('E_IN_USE', LONG);
  };
  channel.receive({ type: 'call', number: 1, method: 'detach', params: {} }, undefined, {
    handlers: { detach: refuse },
    ownMethods: {},
  } as unknown as ChannelUser);
  await Promise.resolve();
  const [warning, answer] = sent;
  expect(warning).toMatchObject({ type: 'warning', sentence: expect.stringMatching(/^osl:a@0 is in use .* \.\.\.$/) as unknown });
  expect(answer).toMatchObject({
    type: 'answer',
    number: 1,
    error: { code: 'E_IN_USE', message: expect.stringMatching(/ \.\.\.$/) as unknown },
  });
});

test('the notes of the devices are read once, however many mounts the machine has', () => {
  let reads = 0;
  const kept = Array.from({ length: 3 }, (_, at) => ({
    id: at,
    fd: at,
    get note(): string {
      reads++;
      return JSON.stringify(noteOf(`v${at}`));
    },
  }));
  const { namespace, universe, id } = noteOf('listed');
  const attached = {
    boot: '',
    detached: [],
    attached: [{ namespace, name: 'listed', universe, id, readonly: false, serverid: 9, server: 'big-9' }],
  };
  const channel = new MainChannel({ kept, attached } as unknown as Begin, () => undefined);
  expect(['osl:v0@0', 'osl:v2@0', 'osl:listed@0', 'osl:other@0'].map((label) => channel.has(label))).toEqual([true, true, true, false]);
  expect(reads).toBe(kept.length);
});

function noteOf(name: string): DeviceNote {
  return {
    namespace: 'osl',
    name,
    universe: 0,
    id: `id of ${name}`,
    readonly: false,
    sizeBytes: 4096,
    blockSizeBytes: 4096,
    canDiscard: true,
    raw: `/dev/av0/r${name}`,
    block: `/dev/av0/${name}`,
    loop: null,
    life: '1',
    file: { mode: 0o600, uid: 0, gid: 0, madeMs: 0, canResend: true },
  };
}
