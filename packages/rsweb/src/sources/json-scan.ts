// Checks the nesting depth and the number of values of a JSON text before the text is parsed. Pure. Invariant: parsing an accepted text
// takes a bounded amount of memory.

const DEPTH_MAX = 12;
const CONTAINERS_MAX = 200_000;
const VALUES_MAX = 1_000_000;

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT, COMMA] = Buffer.from('"\\[]{},');

/** Returns the reason why the text must not be parsed; null if it may be parsed. The text need not be valid JSON. */
export function jsonTrouble(bytes: Uint8Array): string | null {
  let [depth, containers, values, isText] = [0, 0, 0, false];
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (isText) {
      if (byte === BACKSLASH) at++;
      else if (byte === QUOTE) isText = false;
    } else if (byte === QUOTE) isText = true;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      containers++;
      depth++;
      if (depth > DEPTH_MAX) return `it is nested deeper than ${DEPTH_MAX}`;
      if (containers > CONTAINERS_MAX) return `it has more than ${CONTAINERS_MAX} lists and objects`;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth--;
    else if (byte === COMMA && ++values > VALUES_MAX) return `it has more than ${VALUES_MAX} values`;
  }
  return null;
}
