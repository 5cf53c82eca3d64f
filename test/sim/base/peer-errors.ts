// Reports every protocol error that the client or the server detects in what the other end has sent. A world must have no protocol errors
// if both of its ends run our code and no bit flips. The world decides the consequence of an error. Only one world at a time runs in a
// program.

import { Path } from '@rsio/protocol/client/paths/path';
import { Decoder } from '@rsio/protocol/wire/decoder';
import { ServerPath } from '@rsio/rssrv/session/server-path';
import { override } from './override.ts';

let tell: (sentence: string) => void = () => undefined;

/** Calls `told` with each later error. */
export function whenPeerErrs(told: (sentence: string) => void): void {
  tell = told;
}

const FINDERS = [
  [Path, 'violation', 'The client finds that the server errs'],
  [ServerPath, 'violation', 'The server finds that the client errs'],
  [Decoder, 'fail', 'A stream cannot be decoded'],
] as const;

for (const [owner, name, sentence] of FINDERS) {
  override<object, [string], void>(owner, name, (original) => (self, what) => {
    tell(`${sentence}: ${what}`);
    original(self, what);
  });
}
