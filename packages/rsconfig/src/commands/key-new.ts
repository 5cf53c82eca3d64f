// Implements the command `key new`. cli/new-key.ts makes the key.
// Invariant: the new key is printed, and stored nowhere.

import { newKey } from '@rsio/common/cli/new-key';
import { JSON_OPTION, printJson } from '@rsio/common/cli/command';
import { defineCommand } from '../cli/context.ts';
import { KEY_SHAPE } from '../cli/json-shapes.ts';

export const KEY_NEW = defineCommand({
  call: { by: 'words', words: 'key new' },
  synopsis: 'key new',
  summary: 'prints a new random key',
  details: `The key consists of lower-case letters and digits that are easy to tell apart.
The key can serve as nodekey, namespacekey or serverkey.`,
  options: { json: JSON_OPTION },
  json: KEY_SHAPE,
  operands: { min: 0, max: 0 },
  run: async (context, { json }) => {
    const key = newKey();
    if (json) return printJson(context, { key });
    context.out(`${key}\n`);
    return 0;
  },
});
