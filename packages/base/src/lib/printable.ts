// Makes text from peers, files and people safe to print on one line of a terminal.
// Invariant: the result contains no control characters, so that no text can forge a line or control the terminal.

// Matches control characters (including DEL and U+0080 to U+009F), line and paragraph separators, and the marks that change the direction
// of text.
const CONTROL = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Returns the text with every control character written as `\n`, `\r`, `\t`, `\xHH` or `\uHHHH`. */
export function escapeControls(text: string): string {
  return isPlain(text)
    ? text
    : text.replace(CONTROL, (character) => {
        const code = character.charCodeAt(0);
        const hex = code.toString(16);
        return SHORT[character] ?? (code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u${hex.padStart(4, '0')}`);
      });
}

const [FIRST_PLAIN, LAST_PLAIN] = [0x20, 0x7e];

/** Returns true if all characters are printable ASCII, as almost all text is. Long lists ask for each cell. */
function isPlain(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < FIRST_PLAIN || code > LAST_PLAIN) return false;
  }
  return true;
}
