// A data process's end of the channel: what it sends must pass the checks of the main process. Invariant: a long
// text in a message never makes the main process end the data process.

import { RsError } from '@rsio/common/lib/errors';
import { expect, test } from 'vitest';
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
