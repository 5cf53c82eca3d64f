// Implements `send`, which sends a short text to another node, for scripts that coordinate. rsiod sends it through each connected server.
// Invariant: if no server takes the message, `send` fails; whether a message arrives is not known.

import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { MESSAGE_TEXT_MAX_BYTES } from '@rsio/common/control/limits';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { plural } from '@rsio/base/lib/units';
import { defineCommand, usageError } from '../../cli/context.ts';

export const SEND = defineCommand({
  call: { by: 'words', words: 'send' },
  synopsis: 'send NODE TEXT|-',
  summary: 'sends a short text to another node',
  details: `The text has at most ${MESSAGE_TEXT_MAX_BYTES} bytes of UTF-8; - reads it from stdin. NODE must be
able to attach a volume that this node can attach. The servers keep the text in
memory for 10 minutes. Nobody promises that it arrives. On the other node,
rsconfig wait-event --from prints it.`,
  options: { namespace: { kind: 'text', value: 'N', help: 'use only servers of namespace N' }, json: JSON_OPTION },
  json: CONTROL_METHODS['message-send'].result,
  operands: { min: 2, max: 2 },
  run: async (context, { namespace, json }, [to = '', word = '']) => {
    const text = word === '-' ? await context.input() : word;
    const bytes = Buffer.byteLength(text);
    if (text === '') throw usageError('The message is empty: give a text');
    if (bytes > MESSAGE_TEXT_MAX_BYTES) throw usageError(`The message has ${bytes} bytes: at most ${MESSAGE_TEXT_MAX_BYTES} are allowed`);
    if (text.includes('\uFFFD')) throw usageError('The message is no UTF-8 text: encode it, for example with base64');
    const answer = await context.call('message-send', { to, text, namespace });
    for (const { server, namespace: place, error } of answer.servers)
      if (error !== null) context.note(`Server ${server} of ${place} did not take it: ${error}`);
    if (json) return printJson(context, answer);
    context.out(`sent to ${to} through ${plural(answer.servers.filter(({ error }) => error === null).length, 'server')}\n`);
    return 0;
  },
});
