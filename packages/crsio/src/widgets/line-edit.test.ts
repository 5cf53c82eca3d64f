// Tests the line editor: every key, wide characters, pastes, and its invariant for random keys and texts. The results are shown as text
// with a bar at the cursor.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KeyName } from './keys.ts';
import { editedText, editOf, editWindow, insertText, type LineEdit, pressEdit } from './line-edit.ts';
import { fit, textWidth } from './text-width.ts';

const EDITING: readonly KeyName[] = ['left', 'right', 'home', 'end', 'backspace', 'delete', 'cut-before', 'cut-after', 'cut-word'];

/** Types texts and presses keys; returns the text before and after the cursor. */
function after(text: string, ...inputs: readonly (KeyName | { readonly text: string })[]): string {
  const edit = inputs.reduce<LineEdit>(
    (now, input) => (typeof input === 'string' ? (pressEdit(now, input) ?? now) : insertText(now, input.text)),
    editOf(text),
  );
  return `${edit.graphemes.slice(0, edit.cursor).join('')}|${edit.graphemes.slice(edit.cursor).join('')}`;
}

test('keys move, insert and delete at the cursor', () => {
  expect(after('osl')).toBe('osl|');
  expect(after('osl', 'left', 'left', { text: 'x' })).toBe('ox|sl');
  expect(after('osl', 'home', 'left', { text: 'a' })).toBe('a|osl');
  expect(after('osl', 'home', 'end', 'right')).toBe('osl|');
  expect(after('osl', 'home', 'delete')).toBe('|sl');
  expect(after('osl', 'left', 'backspace')).toBe('o|l');
  expect(after('osl', 'delete')).toBe('osl|');
  expect(after('', 'backspace')).toBe('|');
});

test('keys cut to the start, to the end, and the word before', () => {
  expect(after('a bc de', 'left', 'left', 'cut-before')).toBe('|de');
  expect(after('a bc de', 'left', 'left', 'cut-after')).toBe('a bc |');
  expect(after('a bc de ', 'cut-word')).toBe('a bc |');
  expect(after('a', 'cut-word', 'cut-word')).toBe('|');
});

test('a paste of several lines gives the first non-empty one, without control characters', () => {
  expect(after('', { text: '\n  0xkey \r\nsecond' })).toBe('0xkey|');
  expect(after('a', { text: '\x1b[31mred\x07' })).toBe('a[31mred|');
  expect(after('', { text: 'a\tb' })).toBe('a b|');
});

test('a combining mark joins the character before it, and one key deletes both', () => {
  expect(after('e', { text: '\u0301' }, 'left')).toBe('|e\u0301');
  expect(after('e\u0301x', 'left', 'backspace')).toBe('|x');
});

test('the editor ignores other keys', () => {
  expect(pressEdit(editOf('a'), 'up')).toBeNull();
  expect(pressEdit(editOf('a'), 'enter')).toBeNull();
});

test('the window shows the cursor, also after wide characters and in hidden text', () => {
  const wide = editOf('日本語テスト');
  expect(editWindow(wide, 6, null)).toEqual({ text: 'スト', cursorColumn: 4 });
  expect(editWindow(pressEdit(wide, 'home')!, 6, null)).toEqual({ text: '日本語', cursorColumn: 0 });
  expect(editWindow(editOf('0xkey'), 10, '*')).toEqual({ text: '*****', cursorColumn: 5 });
});

test('random keys and texts keep the cursor inside, no control characters, and the window within its width', () => {
  const input = fc.oneof(fc.constantFrom(...EDITING), fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(fc.array(input, { maxLength: 30 }), fc.integer({ min: 3, max: 20 }), (inputs, width) => {
      let edit = editOf('');
      for (const each of inputs) {
        edit = EDITING.includes(each as KeyName) ? pressEdit(edit, each as KeyName)! : insertText(edit, each);
        expect(edit.cursor).toBeGreaterThanOrEqual(0);
        expect(edit.cursor).toBeLessThanOrEqual(edit.graphemes.length);
      }
      expect(editedText(edit)).not.toMatch(/\p{Cc}/u);
      const { text, cursorColumn } = editWindow(edit, width, null);
      expect(textWidth(text)).toBeLessThanOrEqual(width);
      expect(cursorColumn).toBeLessThan(width);
    }),
  );
});

test('any text fits exactly into any width', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 40 }), (text, width) => {
      expect(textWidth(fit(text, width))).toBe(width);
    }),
  );
});
