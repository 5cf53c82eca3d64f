// HTML that cannot be broken out of: the template tag `html` escapes every value that is not Html itself. Invariant: only the literal parts of
// templates in this program ever become markup; names, paths and error texts of other machines become text.

/** Markup that is complete in itself. */
export class Html {
  readonly text: string;

  /** Only the template tag makes it: a text is escaped by then. */
  private constructor(text: string) {
    this.text = text;
  }

  static of(strings: readonly string[], values: readonly Part[]): Html {
    let text = strings[0] ?? '';
    for (const [index, value] of values.entries()) text += textOf(value) + (strings[index + 1] ?? '');
    return new Html(text);
  }

  toString(): string {
    return this.text;
  }
}

/** What may stand in a template; null, undefined and false stand for nothing. */
export type Part = Html | string | number | null | undefined | false | readonly Part[];

export function html(strings: TemplateStringsArray, ...values: readonly Part[]): Html {
  return Html.of(strings, values);
}

function textOf(value: Part): string {
  if (value === null || value === undefined || value === false) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return escaped(value);
  return value.map(textOf).join('');
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;', '`': '&#96;' };
// What a browser would not show as it is: control characters, and those that turn the direction of text, by which a name could lie.
const UNSEEN = /[^\P{Cc}\t\n\r]|[\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/** Most texts are plain, and a page has thousands of them. */
const PLAIN = /^[ \w.,:;@%/()+*?=#![\]{}|~^$-]*$/;

function escaped(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replace(UNSEEN, '\ufffd').replace(/[&<>"'`]/g, (character) => ENTITIES[character] ?? '');
}
