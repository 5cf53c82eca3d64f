// Prevents HTML injection: the template tag `html` escapes every value that is not of the class Html. Invariant: only the literal parts of
// templates in this program become markup; names, paths and error texts of other machines stay text.

/** Markup whose values have been escaped. */
export class Html {
  readonly text: string;

  /** Private, so that only the template tag can create an Html object, after it has escaped the values. */
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

/** A value in a template. The values null, undefined and false become an empty text. */
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
// Matches control characters, and characters that change the direction of text. With such characters, a name could look like another name.
const UNSEEN = /[^\P{Cc}\t\n\r]|[\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/** Matches most of the texts that need no escaping. A page has thousands of such texts, and this check is faster than escaping them. */
const PLAIN = /^[ \w.,:;@%/()+*?=#![\]{}|~^$-]*$/;

function escaped(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replace(UNSEEN, '\ufffd').replace(/[&<>"'`]/g, (character) => ENTITIES[character] ?? '');
}
