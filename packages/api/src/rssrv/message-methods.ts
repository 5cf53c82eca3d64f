// The methods of rssrv about messages between nodes, which rsiod calls. rssrv/src/admin/remote/messages.ts executes them. Invariant: no
// method promises that a message arrives.

import { messageText, messageTo } from '../rsiod/message-methods.ts';
import { filledText, list, object, text } from '@rsio/base/lib/shape';
import { serverMethod } from './server-method.ts';

export const SERVER_MESSAGE_METHODS = {
  'message-send': serverMethod({
    help: 'Keeps a text in memory for another client that may attach a volume of the calling client; a repeated id is kept once',
    right: 'use',
    repeats: 'harmless',
    unrecorded: 'it changes nothing of the server',
    shows: {},
    params: { to: messageTo, id: { shape: filledText(), what: 'an id, at most 64 characters' }, text: messageText },
    result: object({}),
    command: { calledBy: 'rsiod' },
  }),
  'message-take': serverMethod({
    help: 'Removes the named messages to the calling client, and answers with the oldest others',
    right: 'use',
    repeats: 'harmless',
    unrecorded: 'it changes nothing of the server',
    shows: {},
    params: { taken: { shape: list(filledText()), what: 'a list of ids', default: [] } },
    result: object({ messages: list(object({ id: text(), from: text('The client that has sent it'), text: text() })) }),
    command: { calledBy: 'rsiod' },
  }),
} as const;
