// key new: a random key that survives shells, files, telephones and people. It is printed and kept nowhere.
// Invariant: every letter is as likely as every other.

import { randomInt } from 'node:crypto';
import { KEY_NEW_CHARS } from '@rsio/common/config/schema/limits';
import { defineCommand, JSON_OPTION } from '../../cli/command.ts';
import { KEY_SHAPE } from '../../cli/json-shapes.ts';
import { printJson } from '../../cli/command-context.ts';

/** Without what can be mistaken for another: 0 o 1 l i; without x, so that no key looks like a number. */
const LETTERS = '23456789abcdefghjkmnpqrstuvwyz';

export const KEY_NEW = defineCommand({
  call: { by: 'words', words: 'key new' },
  synopsis: 'key new',
  summary: 'prints a new random key',
  details: `The key consists of lower-case letters and digits that are easy to tell apart.
It can serve as nodekey, namespacekey or serverkey.`,
  options: { json: JSON_OPTION },
  json: KEY_SHAPE,
  operands: { min: 0, max: 0 },
  run: async (context, { json }) => {
    const key = Array.from({ length: KEY_NEW_CHARS }, () => LETTERS[randomInt(LETTERS.length)]).join('');
    if (json) return printJson(context, { key });
    context.out(`${key}\n`);
    return 0;
  },
});
