// The methods about messages between nodes: first the methods of rsiod, then the methods of rssrv, which rsiod calls.
// rsiod/src/control/messages.ts and rssrv/src/admin/remote/messages.ts execute them. Invariant: no method promises that a message arrives.

import { CONTROL_ANSWER_MS, CONTROL_TIMEOUT_MS, MESSAGE_TEXT_MAX_BYTES } from './limits.ts';
import { EVENTS_PARAMS, EVENTS_RESULT, method, type Param } from './method-table.ts';
import { count, filledText, list, number, object, type Of, orNull, text } from '../lib/shape.ts';

export const MESSAGE = object({
  number: count('Ascending, also after restarts of rsiod unless its clock was set back'),
  atMs: number('When rsiod has received it'),
  namespace: text(),
  from: text('The node that has sent it, as its key proves'),
  id: text('The same on all servers that have it'),
  text: text(),
});
export type MessageView = Of<typeof MESSAGE>;

const to: Param<string> = { shape: filledText(), what: 'the name of a node' };
const messageText: Param<string> = { shape: filledText(), what: `text of at most ${MESSAGE_TEXT_MAX_BYTES} bytes` };
const { missed, last, beganMs } = EVENTS_RESULT.form.fields;

export const MESSAGE_METHODS = {
  'message-send': method(
    'Sends a text to another node through each connected server, without a promise of delivery; null: in all namespaces',
    { to, text: messageText, namespace: { shape: orNull(filledText()), what: 'the name of a namespace or null', default: null } },
    object({
      id: text(),
      servers: list(object({ namespace: text(), server: text(), error: orNull(text('Why it did not take the message')) })),
    }),
    CONTROL_TIMEOUT_MS,
  ),
  messages: method(
    'The latest messages to this node, or those after the message with this number; with waitMs, rsiod goes on asking the servers for one',
    EVENTS_PARAMS,
    object({ messages: list(MESSAGE), missed, last, beganMs }),
    CONTROL_TIMEOUT_MS,
  ),
} as const;

export const SERVER_MESSAGE_METHODS = {
  'message-send': method(
    'Keeps a text in memory for another client that may attach a volume of the calling client; a repeated id is kept once',
    { to, id: { shape: filledText(), what: 'an id, at most 64 characters' }, text: messageText },
    object({}),
    CONTROL_ANSWER_MS,
    'use',
  ),
  'message-take': method(
    'Removes the named messages to the calling client, and answers with the oldest others',
    { taken: { shape: list(filledText()), what: 'a list of ids', default: [] } },
    object({ messages: list(object({ id: text(), from: text('The client that has sent it'), text: text() })) }),
    CONTROL_ANSWER_MS,
    'use',
  ),
} as const;
