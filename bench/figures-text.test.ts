// Checks the layout of the file of figures, and that the text loses no figure.
// The published file is checked by published.test.ts.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { figuresText } from './figures-text.ts';

test('each server, line of a sheet and goal has a line of its own', () => {
  const rows = [
    {
      row: { name: 'r', servers: ['a', 'b'] },
      servers: [
        { id: 'a', rounds: [1, 2] },
        { id: 'b', rounds: [] },
      ],
    },
  ];
  const sheets = [{ name: 's', lines: [{ values: [null] }, { values: [1.23456789] }] }];
  expect(figuresText({ absent: [], rows, sheets, goals: [{ isMet: true }, { isMet: null }] }).split('\n')).toEqual([
    '{',
    '"absent": [],',
    '"rows": [',
    '{"row": {"name": "r", "servers": ["a", "b"]}, "servers": [',
    '{"id": "a", "rounds": [1, 2]},',
    '{"id": "b", "rounds": []}',
    ']}',
    '],',
    '"sheets": [',
    '{"name": "s", "lines": [',
    '{"values": [null]},',
    '{"values": [1.23457]}',
    ']}',
    '],',
    '"goals": [',
    '{"isMet": true},',
    '{"isMet": null}',
    ']',
    '}',
    '',
  ]);
});

test('written figures read back unchanged', () => {
  const names = fc.constantFrom('rows', 'servers', 'sheets', 'lines', 'goals', 'a "b"');
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, fc.integer(), fc.string(), fc.boolean(), fc.constant(null), tie('list'), tie('object')),
    list: fc.array(tie('value'), { maxLength: 3 }),
    object: fc.dictionary(names, tie('value'), { noNullPrototype: true }),
  }));
  const objects = fc.dictionary(names, value, { noNullPrototype: true });
  const isReadAgain = (figures: object): void => {
    expect(JSON.parse(figuresText(figures))).toEqual(JSON.parse(JSON.stringify(figures)));
  };
  fc.assert(fc.property(objects, isReadAgain));
});
