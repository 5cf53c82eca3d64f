// Tests that only the literal parts of templates become markup. Invariant: no name, error text or attribute value of another machine
// becomes markup, on any page.

import { expect, test } from 'vitest';
import { html } from './html.ts';

const HOSTILE = `"><script>alert('x')</script>&\``;
const HARMLESS = '&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&#96;';

test('a value becomes text, in elements and attributes', () => {
  expect(html`<b title="${HOSTILE}">${HOSTILE}</b>`.text).toBe(`<b title="${HARMLESS}">${HARMLESS}</b>`);
});

test('markup that a template has made stays markup, also in lists', () => {
  const item = html`<li>${'<'}</li>`;
  expect(html`<ul>${[item, [item]]}</ul>`.text).toBe('<ul><li>&lt;</li><li>&lt;</li></ul>');
  expect(String(item)).toBe(item.text);
});

test('numbers are shown, and what is not there is not', () => {
  expect(html`${0}${null}${undefined}${false}${''}`.text).toBe('0');
});

test('an object that looks like markup is none', () => {
  const forged = { text: '<b>', toString: () => '<b>' } as unknown as string;
  expect(() => html`${forged}`.text).toThrow();
});

test('control characters and those that turn text around are shown as unknown', () => {
  expect(html`${'a\u0000b\u001bc\u202ed\u2066e\tf\n'}`.text).toBe('a\ufffdb\ufffdc\ufffdd\ufffde\tf\n');
});
