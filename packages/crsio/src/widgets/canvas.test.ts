// Tests the canvas: text stays in its row, wide characters take two columns, and control sequences are escaped. The properties are tested
// with arbitrary text, because names from peers and files may contain any character.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Canvas } from './canvas.ts';
import { textWidth } from './text-width.ts';

const textOf = (canvas: Canvas): string[] => canvas.rows().map((runs) => runs.map(({ text }) => text).join(''));

test('text is cut at its width and at the edge', () => {
  const canvas = new Canvas({ columns: 8, rows: 2 });
  canvas.put(0, 2, 'abcdef', 'plain', 3);
  canvas.put(1, 6, '日本語', 'bold');
  canvas.put(5, 0, 'outside');
  expect(textOf(canvas)).toEqual(['  abc   ', '      日']);
  expect(canvas.rows()[1]).toEqual([
    { style: 'plain', text: '      ' },
    { style: 'bold', text: '日' },
  ]);
});

test.each(['a\u{110bd}', '\u0d4e', '\u0d4e\u{110bd}', '\u0600\u{11d46}'])(
  '%j is joined with the space behind it, and the row keeps its width',
  (text) => {
    const canvas = new Canvas({ columns: 10, rows: 1 });
    canvas.put(0, 0, text);
    expect(textWidth(textOf(canvas)[0] ?? '')).toBe(10);
  },
);

test('any text keeps the width of every row, and no control characters pass', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 0, max: 12 }), (text, column) => {
      const canvas = new Canvas({ columns: 10, rows: 1 });
      canvas.put(0, column, text);
      const [row = ''] = textOf(canvas);
      expect(row).not.toMatch(/\p{Cc}/u);
      expect(textWidth(row)).toBe(10);
    }),
  );
});

test('a wide character that something is drawn over leaves blanks, and every row keeps its width', () => {
  const canvas = new Canvas({ columns: 8, rows: 2 });
  canvas.put(0, 0, '日本語');
  canvas.put(0, 3, '+');
  canvas.put(1, 0, '日本語');
  canvas.put(1, 2, '-+');
  expect(textOf(canvas)).toEqual(['日 +語  ', '日-+語  ']);
  const some = fc.array(fc.tuple(fc.constantFrom('日本', '+', '--', 'a語'), fc.integer({ min: 0, max: 9 })), { maxLength: 8 });
  fc.assert(
    fc.property(some, (puts) => {
      const drawn = new Canvas({ columns: 10, rows: 1 });
      for (const [text, column] of puts) drawn.put(0, column, text);
      expect(textWidth(textOf(drawn)[0] ?? '')).toBe(10);
    }),
  );
});
