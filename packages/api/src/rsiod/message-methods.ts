// The methods of rsiod about messages between nodes. rsiod/src/control/messages.ts executes them with those of rssrv
// (rssrv/message-methods.ts). Invariant: no method promises that a message arrives.

import { clientMethod } from './client-method.ts';
import { CONTROL_TIMEOUT_MS, MESSAGE_TEXT_MAX_BYTES } from '@rsio/common/control/limits';
import { EVENTS_PARAMS, EVENTS_RESULT, type Param } from '@rsio/common/control/method-table';
import { count, filledText, list, number, object, type Of, orNull, text } from '@rsio/base/lib/shape';

export const MESSAGE = object({
  number: count('Ascending, also after restarts of rsiod unless its clock was set back'),
  atMs: number('When rsiod has received it'),
  namespace: text(),
  from: text('The node that has sent it, as its key proves'),
  id: text('The same on all servers that have it'),
  text: text(),
});
export type MessageView = Of<typeof MESSAGE>;

export const messageTo: Param<string> = { shape: filledText(), what: 'the name of a node' };
export const messageText: Param<string> = { shape: filledText(), what: `text of at most ${MESSAGE_TEXT_MAX_BYTES} bytes` };
const { missed, last, beganMs } = EVENTS_RESULT.form.fields;

export const MESSAGE_METHODS = {
  'message-send': clientMethod({
    help: 'Sends a text to another node through each connected server, without a promise of delivery; null: in all namespaces',
    effect: 'operates',
    params: {
      to: messageTo,
      text: messageText,
      namespace: { shape: orNull(filledText()), what: 'the name of a namespace or null', default: null },
    },
    result: object({
      id: text(),
      servers: list(object({ namespace: text(), server: text(), error: orNull(text('Why it did not take the message')) })),
    }),
    waitMs: CONTROL_TIMEOUT_MS,
    command: { byHand: 'send', because: 'it reads the text from stdin, and checks its length' },
  }),
  messages: clientMethod({
    help: 'The latest messages to this node, or those after the message with this number; with waitMs, rsiod goes on asking the servers for one',
    // It takes the messages from the servers.
    effect: 'operates',
    params: EVENTS_PARAMS,
    result: object({ messages: list(MESSAGE), missed, last, beganMs }),
    waitMs: CONTROL_TIMEOUT_MS,
    command: { partOf: 'wait-event' },
  }),
} as const;
